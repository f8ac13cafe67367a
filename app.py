"""Starts the demo: `python app.py`, and a Hugging Face Space."""

from demo.app import build_app, main

__all__ = ["build_app", "main"]

if __name__ == "__main__":
    main()
