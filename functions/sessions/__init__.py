"""The functions that create, read and announce sessions."""

import gc

# An import makes 47,000 objects that stay. At Python's threshold of 2,000 they are searched for cycles 35 times, which
# is a tenth of the start (CPU); a request leaves four to fourteen behind, so that there is little to find later, too.
gc.set_threshold(100_000)
