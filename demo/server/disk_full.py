"""A disk that is full, whoever says so: the system, or a tool in its words."""

from __future__ import annotations

import errno
import os

ERRORS = {errno.ENOSPC, errno.EDQUOT}
WORDS = "The server's disk is full. Its host was told; try again later."


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an exception, or what it came from, is that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in ERRORS:
            return True
        if os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
