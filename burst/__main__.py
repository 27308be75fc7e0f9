"""`python -m burst` is the console command `burst`."""

import sys

from burst.cli import main

if __name__ == "__main__":
    sys.exit(main.main())
