"""Other ways to write the worker, each in one file, as its own documentation teaches it.

They run in a virtual environment of their own (`make bench-peers`), so nothing here imports orderd.
"""
