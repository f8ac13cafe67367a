"""The command line, and how it shows progress. It may import all of `film`; nothing of `film` imports it."""
