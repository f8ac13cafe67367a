"""A film at a glance: a dozen small pictures, evenly spaced, as they arrive.

They are data URIs of a few kilobytes in one piece of HTML, so nothing is written to the disk and nothing is asked for
over the network again.
"""

from __future__ import annotations

import base64
import io

from PIL import Image

from film.media.images import Frame, to_uint8
from film.rendering.events import Progress

CELLS = 12
HEIGHT = 96  # pixels: twice what they are shown at, for fine screens
JPEG_QUALITY = 70


def thumbnail(frame: Frame) -> str:
    """A small copy of a frame, as a data URI."""
    step = max(1, frame.shape[0] // (2 * HEIGHT))  # of a large frame most pixels need not even be looked at
    image = Image.fromarray(to_uint8(frame[::step, ::step]))
    image.thumbnail((4 * HEIGHT, HEIGHT))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=JPEG_QUALITY)
    return uri(jpeg.getvalue())


def uri(jpeg: bytes) -> str:
    """A JPEG as a data URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def evenly(total: int, cells: int = CELLS) -> list[int]:
    """Which of `total` things stand for all of them, the first and the last included."""
    cells = min(cells, total)
    return sorted({round(k * (total - 1) / max(1, cells - 1)) for k in range(cells)})


class Filmstrip:
    """The frames of one film that are kept, as far as they have come."""

    def __init__(self) -> None:
        self.cells: list[str | None] = [None] * CELLS
        self._chosen: list[int] = []

    def take(self, event: Progress) -> bool:
        """Whether the strip has changed by this frame. Of a film of unknown length it stays empty."""
        if not self._chosen:
            self._chosen = evenly(event.total)
            self.cells = [None] * len(self._chosen)
        if event.frame is None or event.done - 1 not in self._chosen:
            return False
        self.cells[self._chosen.index(event.done - 1)] = thumbnail(event.frame)
        return True
