"""The way of a message: decode, load, decide, write, commit, settle."""
