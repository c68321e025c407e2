"""The functions that create, read and announce sessions."""

import gc

# An import makes 47,000 objects that stay. At Python's threshold of 2,000 they are searched for cycles 35 times, which
# is a tenth of the start (CPU). Each handler's module ends that with `collect_from_now_on`.
DEFAULT_THRESHOLD = gc.get_threshold()
gc.set_threshold(100_000)


def collect_from_now_on() -> None:
    """Have garbage collected as usual, but for what is there already: call it once, when all is imported."""
    gc.freeze()
    gc.set_threshold(*DEFAULT_THRESHOLD)
