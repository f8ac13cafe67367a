"""Uploads as Gradio reads them, but bounded and tidy.

Gradio keeps what is no file in a form in memory, whatever its size, and leaves on the disk what came of an upload that
breaks off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio import route_utils
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException

FIELD_BYTES = 64 * 2**10  # of all fields of one form that are no files; the page sends none


class BoundedForm(route_utils.GradioMultiPartParser):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._field_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self._field_bytes += end - start
            if self._field_bytes > FIELD_BYTES:
                raise MultiPartException("The form holds more than its files.")
        super().on_part_data(data, start, end)

    async def parse(self) -> FormData:
        try:
            return await super().parse()
        except BaseException:
            for file in self._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            raise


def bound_forms() -> None:
    """From now on Gradio reads uploads so."""
    route_utils.GradioMultiPartParser = BoundedForm  # type: ignore[misc]
