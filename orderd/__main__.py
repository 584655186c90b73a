"""`python -m orderd` is `orderd`."""

import sys

from orderd.daemon.main import main

if __name__ == "__main__":
    sys.exit(main())
