"""How fast orderd is, beside `pgbench -c 1`, other ways to write a worker, and the machine's limit.

`python -m bench orderd`, `alone`, `peers` and `curves` measure on private servers and write what
they measured to `build/bench`; `python -m bench report` renders that into docs/explanation.
"""
