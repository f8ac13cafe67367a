"""A file known by what is in it: a name, a size and a time of change may be another file's."""

from __future__ import annotations

import hashlib
import os

BLOCK = 2**20  # bytes
WHOLE = 256 * BLOCK  # that are read of any file: a second or less; what is larger is read in as many bytes' places


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Hexadecimal hash of a file's size and content. OSError when it cannot be read.

    Of a file above WHOLE bytes, evenly spaced blocks, its first and its last among them, stand for the content.
    """
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(f"{size}\n".encode())
        last, count = max(0, size - BLOCK), -(-min(size, WHOLE) // BLOCK)
        for number in range(count):
            # Of a file that is read whole, one block after the other.
            file.seek(number * BLOCK if size <= WHOLE else last * number // (count - 1))
            digest.update(file.read(BLOCK))
    return digest.hexdigest()
