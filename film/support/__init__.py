"""What every other sub-package may use: checks of values, files written whole, temporary folders, memory, errors.

It imports nothing else of `film`.
"""
