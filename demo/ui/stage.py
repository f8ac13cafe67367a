"""What the page's stage shows of a film while it is made: frames as JPEG files, and what is told of them.

The files lie among uploads and films, and expire as these do. `stage.js` plays them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from PIL import Image

from demo.server.http_guard import FILE
from demo.server.storage import Storage
from film.media.images import to_uint8
from film.rendering.events import Progress

MOST = 65  # frames of one film: enough for a strip, and for a preview that moves smoothly
LONGEST = 1280  # pixels: larger frames are scaled down
JPEG_QUALITY = 85


class Preview:
    """The frames of one film that the stage knows, as far as they have come."""

    def __init__(self, storage: Storage, facts: dict[str, Any], photos: Sequence[int] = ()) -> None:
        """`facts` are told as they are; `photos` are the places of the photos among the film's frames."""
        self._storage = storage
        self._facts = facts | {"id": secrets.token_hex(4), "root": f"{FILE}{storage.folder}/", "photos": list(photos)}
        self._photos = frozenset(photos)
        self.by_level = False  # whether it is made coarse to fine
        self.frames: dict[int, str] = {}  # by their places in the film; names below the storage's folder

    def take(self, event: Progress) -> bool:
        """Whether the stage shows one frame more."""
        place, step = event.place, step_of(event.total)
        if event.frame is None or place is None or not event.total:
            return False
        if place % step and place != event.total - 1 and place not in self._photos:
            return False
        with self._storage.making() as folder:
            path = folder / f"{place:05d}.jpg"
            image = Image.fromarray(to_uint8(event.frame))
            image.thumbnail((LONGEST, LONGEST))
            image.save(path, "JPEG", quality=JPEG_QUALITY)
            kept = self._storage.keep(path)
        self.frames[place] = f"{kept.parent.name}/{kept.name}"
        self._facts |= {"total": event.total, "step": step}
        self._facts.setdefault("size", event.frame.shape[1::-1])
        return True

    def told(self, state: str = "making", **facts: Any) -> str:
        """For `stage.js`."""
        return json.dumps(self._facts | {"state": state, "byLevel": self.by_level, "frames": self.frames} | facts)


def step_of(total: int) -> int:
    """Every how many-th frame is shown: a power of 2, so that coarse levels are shown whole."""
    step = 1
    while (total - 1) // step + 1 > MOST:
        step *= 2
    return step


def photo_places(gaps: Sequence[Sequence[Fraction]]) -> list[int]:
    """Where the photos lie among the frames of a film with these moments between them."""
    times = [photo + moment for photo, moments in enumerate(gaps) for moment in moments]
    return [place for place, time in enumerate(times) if time.denominator == 1]
