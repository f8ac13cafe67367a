"""`python -m film`."""

import sys

from film.cli import main

sys.exit(main())
