"""`python -m film`."""

import sys

INTERRUPTED = 130  # as in `film.cli.commands`, which may not be there yet

try:
    from film.cli.commands import main  # which takes a moment

    code = main()
except KeyboardInterrupt:
    code = INTERRUPTED
sys.exit(code)
