"""An exception -> the one sentence that the user reads."""

from __future__ import annotations


def sentence(error: Exception) -> str:
    """Its own words in one line; for a file that cannot be opened, without the system's number for that."""
    if isinstance(error, OSError) and error.filename is not None:
        match error:
            case FileNotFoundError():
                return f"There is no file or folder {error.filename}."
            case IsADirectoryError():
                return f"{error.filename} is a folder where a file is needed."
            case _:
                return f"{error.filename} cannot be used ({error.strerror})."
    return " ".join(str(error).split())
