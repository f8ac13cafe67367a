"""The web demo: `app.py` wires the page (`ui`), the endpoints (`api`) and the sharing of the machine (`server`).

It imports `film`; `film` never imports it.
"""
