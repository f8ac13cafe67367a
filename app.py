"""Starts the demo: `python app.py`, and a Hugging Face Space."""

import sys

from film.support import extras

try:
    for module in ("gradio", "mcp"):
        extras.load(module, "demo", "The demo")
except RuntimeError as error:
    if __name__ == "__main__":
        sys.exit(str(error))
    raise

from demo.app import build_app, main  # noqa: E402

__all__ = ["build_app", "main"]

if __name__ == "__main__":
    main()
