"""`python -m service` is `tocsin`."""

import sys

from service.cli import main

sys.exit(main())
