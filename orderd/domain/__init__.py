"""The shop's rules: pure functions on the rows of a batch."""
