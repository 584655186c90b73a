"""`python -m orderd.ctl` is `orderctl`."""

import sys

from orderd.ctl.main import main

if __name__ == "__main__":
    sys.exit(main())
