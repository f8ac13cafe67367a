"""What a film is made from: photos in order, or a video. Either becomes a stream of frame pairs.

A source is opened when its first frames have been read, so that a damaged one is refused before any work is done;
the others are read when the film comes to them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from film.engine.interpolator import FramePair
from film.media import alpha, images, photo_file, scene_detection
from film.media.audio import Sound
from film.media.companions import Companions
from film.media.images import Frame, Reader
from film.media.video_writer import SEAMLESS
from film.rendering import planning, timeline
from film.rendering.events import Notice
from film.rendering.options import PhotoOptions
from film.support.fingerprint import fingerprint


@dataclass(frozen=True)
class Source:
    """The frame pairs of a film, and what is known of it beforehand."""

    pairs: Iterator[FramePair]
    size: tuple[int, int]  # height and width of its frames
    frames: int  # of the film; for a video as far as its header tells
    calls: int | None  # of the model for all of them, if known
    choices: dict[str, Any]  # what decides the frames, beside the model
    notes: deque[str] = field(default_factory=deque)  # for the user; more may come while pairs are taken
    sound: Sound | None = None
    companions: Companions | None = None
    moments: Sequence[Sequence[Fraction]] | None = None  # wanted between each two photos; None for a video
    alpha: bool = False  # whether its frames have an opacity: (H, W, 4), see `media.alpha`
    transfer: str | None = None  # how its colours are encoded, if in high dynamic range

    def take_notes(self) -> Iterator[Notice]:
        while self.notes:
            yield Notice(self.notes.popleft())


@contextlib.contextmanager
def open_photos(
    photos: Sequence[Path],
    output: Path,
    options: PhotoOptions,
    max_pixels: int = images.MAX_PIXELS,
    reader: Reader = images,
    honours_time: bool = False,
) -> Iterator[Source]:
    """A film through photos. ValueError, OSError as in `images`, ValueError as in `planning.length`."""
    route = [*photos, photos[0]] if options.play == SEAMLESS else photos
    weights = _differences(route, max_pixels, reader) if options.spacing == "motion" else None
    moments, _ = planning.length(options, len(photos), output, weights, honours_time)
    ground = None if options.keeps_alpha(os.fspath(output)) else options.ground()
    sizes = [reader.image_size(photo, max_pixels) for photo in photos]
    size = images.common_size(sizes, options.longest_side)
    count = sum(map(len, moments))
    notes = deque(_fitting(sizes, size))
    notes.extend(
        f"{photo.name} has no end marker; all of its pixels are there, and it is used."
        for photo in photos
        if photo_file.lacks_end(photo)
    )
    if count < len(photos):
        notes.append(
            f"The film has {count} frames and there are {len(photos)} photos: some are not shown; give at least"
            f" {len(photos)} frames."
        )
    transparent = ground is None and any(reader.has_alpha(photo, max_pixels) for photo in photos)
    before: tuple[str, Any] | None = None

    def fitted(photo: Path) -> Frame:
        """The photo at the common size; a note if it has little in common with the one before."""
        nonlocal before
        frame = _grounded(reader.read_image(photo, max_pixels, alpha=True), ground, transparent)
        frame = images.fit(frame, size)
        small = scene_detection.small(images.to_uint8(frame[..., :3]))
        if before and scene_detection.likeness(before[1], small) < scene_detection.UNRELATED:
            notes.append(f"{before[0]} and {photo.name} have little in common: the film can only dissolve there.")
        before = photo.name, small
        return frame

    frames: Iterator[Frame] = map(fitted, route)
    frames = itertools.chain(emptied(deque(itertools.islice(frames, 2))), frames)
    yield Source(
        pairs=timeline.through(frames, moments),
        size=size,
        frames=count,
        calls=planning.calls(moments, honours_time),
        choices={
            "photos": [fingerprint(photo) for photo in photos],
            "size": size,
            "moments": moments,
            "background": ground,
        },
        notes=notes,
        moments=moments,
        alpha=transparent,
    )


def _differences(photos: Sequence[Path], max_pixels: int, reader: Reader) -> list[float]:
    """How much each photo differs from the next: its content value, see `scene_detection`. Reads one at a time."""
    size = images.common_size([reader.image_size(photo, max_pixels) for photo in photos])
    copies = (
        scene_detection.small(images.to_uint8(images.fit(reader.read_image(photo, max_pixels), size)))
        for photo in photos
    )
    return [scene_detection.content_value(a, b) for a, b in itertools.pairwise(copies)]


def _grounded(frame: Frame, ground: Sequence[float] | None, transparent: bool) -> Frame:
    """A photo as the film has it: over the ground, or in a transparent film with an opacity, if it had none, of 1."""
    if ground is not None:
        return alpha.over(frame, ground)
    if transparent and frame.shape[2] == 3:
        return alpha.with_alpha(frame, np.ones(frame.shape[:2], np.float32))
    return frame


def emptied(items: deque[Any]) -> Iterator[Any]:
    """Each item, which is then held no longer."""
    while items:
        yield items.popleft()


def _fitting(sizes: Sequence[tuple[int, ...]], size: tuple[int, int]) -> Iterator[str]:
    """What to tell the user about photos of different sizes."""
    if len(set(sizes)) == 1:
        return
    which = "both" if len(sizes) == 2 else "all"
    given = " and ".join(f"{width}x{height}" for height, width in dict.fromkeys(sizes))
    aspects = [width / height for height, width in sizes]
    if max(aspects) / min(aspects) < 1.01:
        yield f"The photos differ in size ({given}); {which} are made {size[1]}x{size[0]}."
    else:
        yield f"The photos differ in shape ({given}); {which} are cropped around their centre to {size[1]}x{size[0]}."
