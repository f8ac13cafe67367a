"""The log: one JSON object per line, so that a request can be followed through it and its figures added up."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Iterable, MutableMapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO


def hiding(files: Iterable[str]) -> dict[str, Any]:
    """The `extra` of a line that may name these files of a visitor: it is written without their names."""
    return {"hidden": {Path(file).name for file in files}}


class JsonLines(logging.Formatter):
    """Time, level, logger, message, and whatever else `extra={"fields": {...}}` says. See also `hiding`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        for name in getattr(record, "hidden", ()):
            for key in line.keys() & {"message", "traceback"}:
                line[key] = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "(a file)", line[key])
        return json.dumps(line, ensure_ascii=False, default=str)


class RequestLog(logging.LoggerAdapter):  # type: ignore[type-arg]
    """A logger whose every line carries one request's id and what else is known of it, but no names of its files."""

    def __init__(self, logger: logging.Logger, files: Iterable[str], **fields: Any) -> None:
        super().__init__(logger, {})
        self._hidden = hiding(files)
        self.id = secrets.token_hex(4)
        self._fields = {"request": self.id, **fields}

    def know(self, **fields: Any) -> None:
        """From now on every line says this, too."""
        self._fields |= fields

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {"fields": dict(self._fields), **self._hidden}}


class _Stray:
    """A stream for what libraries print by themselves: each line, or each traceback, becomes a line of the log."""

    def __init__(self, logger: logging.Logger, stream: TextIO) -> None:
        self._logger = logger
        self._stream = stream
        self._rest = ""
        self._traceback: list[str] = []

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if self._traceback or line.startswith("Traceback"):
                self._traceback.append(line)
                if line[:1].strip() and not line.startswith("Traceback"):  # the error itself, at the margin
                    told, self._traceback = "\n".join(self._traceback), []
                    self._logger.error(line, extra={"fields": {"traceback": told}})
            elif line.strip():
                self._logger.warning(line)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def to_standard_error() -> None:
    """From now on what is logged, or printed there, is a line of JSON on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for talkative in ("httpx", "mcp"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # Gradio prints the traceback of what fails in a handler there, by itself.
    sys.stderr = _Stray(logging.getLogger("stderr"), sys.stderr)  # type: ignore[assignment]
