"""`python -m refimpl.cli`, the same as `refimpl`."""

import sys

from refimpl.cli import main

sys.exit(main())
