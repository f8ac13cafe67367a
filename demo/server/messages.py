"""An exception -> the one sentence a visitor sees."""

from __future__ import annotations

import errno
import logging
import os
import re

from demo.server.json_logging import RequestLog

DISK_FULL = "The server's disk is full. Its host was told; try again later."
# An absolute path inside what a tool said; not the path of a URL.
PATH = re.compile(r"(?<![\w:/.])(?:/[^\s/:'\"(),;]+)+/([^\s/:'\"(),;]+)|\b[A-Za-z]:\\(?:[^\s\\:'\"]+\\)*([^\s\\:'\"]+)")

logger = logging.getLogger("film.page")


def message(error: Exception, log: logging.Logger | RequestLog = logger) -> str:
    """Errors of input and environment speak for themselves; of others the log says more."""
    if is_disk_full(error):
        log.error("the disk is full: %s", error)
        return DISK_FULL
    if isinstance(error, (ValueError, RuntimeError)):
        return without_paths(str(error))
    log.error("something failed", exc_info=error)
    request = f", for request {log.id}" if isinstance(log, RequestLog) else ""
    return f"Something failed on the server; its log says what{request}."


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an exception, or what it came from, is that the disk is full: the system's word, or a tool's."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def without_paths(text: str) -> str:
    """The text with every absolute path cut down to the name at its end."""
    return PATH.sub(lambda found: found[1] or found[2], text)
