"""An exception -> the one sentence a visitor sees."""

from __future__ import annotations

import logging

from demo.server.job_service import without_paths

logger = logging.getLogger("film.page")


def message(error: Exception) -> str:
    """Errors of input and environment speak for themselves; of others the log says more."""
    if isinstance(error, (ValueError, RuntimeError)):
        return without_paths(str(error))
    logger.error("something failed", exc_info=error)
    return "Something failed on the server; its log says what."
