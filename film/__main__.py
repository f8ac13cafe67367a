"""`python -m film`."""

import sys

INTERRUPTED = 130  # as in `film.cli`, which may not be there yet

try:
    from film.cli import main  # which takes a moment

    code = main()
except KeyboardInterrupt:
    code = INTERRUPTED
sys.exit(code)
