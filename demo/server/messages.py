"""An exception -> the one sentence a visitor sees."""

from __future__ import annotations

import logging

from demo.server.disk_full import WORDS, is_disk_full
from demo.server.job_service import without_paths

logger = logging.getLogger("film.page")


def message(error: Exception) -> str:
    """Errors of input and environment speak for themselves; of others the log says more."""
    if is_disk_full(error):
        logger.error("the disk is full: %s", error)
        return WORDS
    if isinstance(error, (ValueError, RuntimeError)):
        return without_paths(str(error))
    logger.error("something failed", exc_info=error)
    return "Something failed on the server; its log says what."
