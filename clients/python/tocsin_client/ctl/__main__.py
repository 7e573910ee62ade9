"""`python -m tocsin_client.ctl`."""

import sys

from tocsin_client.ctl.command import main

if __name__ == "__main__":
    sys.exit(main())
