"""One whole film: planned, rendered in chunks, told as events, written to a file, and resumed.

It imports the sub-packages from `support` to `engine`.
"""
