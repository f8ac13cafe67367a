"""Measurements. What some of them share with the tests, such as starting the server, lies in `tests/support/`."""
