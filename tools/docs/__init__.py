"""Generator of the reference documents; `make docs` runs it."""
