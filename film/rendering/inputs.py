"""What a film is made from: photos in order, or a video. Either becomes a stream of gaps.

A source is opened when its first frames have been read, so that a damaged one is refused before any work is done;
the others are read when the film comes to them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from film.engine.frame_pair import FramePair
from film.media import images, scene_detection, video_reader
from film.media.audio import Sound
from film.media.images import Frame, Reader
from film.media.video_reader import VideoMetadata
from film.rendering import checkpoint, planning, timeline


@dataclass(frozen=True)
class Source:
    """The gaps of a film, and what is known of it beforehand."""

    pairs: Iterator[FramePair]
    size: tuple[int, int]  # height and width of its frames
    frames: int  # of the film; for a video as far as its header tells
    calls: int | None  # of the model for all of them, if known
    choices: dict[str, Any]  # what decides the frames, beside the model
    notes: deque[str] = field(default_factory=deque)  # for the user; more may come while gaps are taken
    sound: Sound | None = None

    def take_notes(self) -> Iterator[str]:
        while self.notes:
            yield self.notes.popleft()


def open_photos(
    photos: Sequence[Path],
    moments: Sequence[Sequence[Fraction]],
    longest_side: int | None = None,
    max_pixels: int = images.MAX_PIXELS,
    reader: Reader = images,
    honours_time: bool = False,
) -> Source:
    """A film through photos: `moments[i]` lie between photos i and i + 1. ValueError, OSError as in `images`."""
    sizes = [reader.image_size(photo, max_pixels) for photo in photos]
    size = images.common_size(sizes, longest_side)
    count = sum(map(len, moments))
    notes = deque(_fitting(sizes, size))
    if count < len(photos):
        notes.append(
            f"The film has {count} frames and there are {len(photos)} photos: some are not shown; give at least"
            f" {len(photos)} frames."
        )
    frames = _fitted((reader.read_image(photo, max_pixels) for photo in photos), photos, size, notes)
    frames = itertools.chain(_emptied(deque(itertools.islice(frames, 2))), frames)
    return Source(
        pairs=timeline.through(frames, moments),
        size=size,
        frames=count,
        calls=planning.calls(moments, honours_time),
        choices={"photos": checkpoint.content(photos), "size": size, "moments": moments},
        notes=notes,
    )


def differences(photos: Sequence[Path], max_pixels: int = images.MAX_PIXELS, reader: Reader = images) -> list[float]:
    """How much each photo differs from the next: the content value of `shots`. Reads all of them, one at a time."""
    size = images.common_size([reader.image_size(photo, max_pixels) for photo in photos])
    copies = (
        scene_detection.small(images.to_uint8(images.fit(reader.read_image(photo, max_pixels), size)))
        for photo in photos
    )
    return [scene_detection.content_value(a, b) for a, b in itertools.pairwise(copies)]


@contextlib.contextmanager
def open_video(
    looked: VideoMetadata,
    step: Fraction,
    slowdown: Fraction,
    cut: float = scene_detection.CUT,
    precision: Fraction = timeline.VIDEO_PRECISION,
    longest_side: int | None = None,
    max_pixels: int = images.MAX_PIXELS,
) -> Iterator[Source]:
    """A video shown anew: see `timeline.retimed`. ValueError if it holds no two frames."""
    size = images.common_size([(looked.height, looked.width)], longest_side)
    notes: deque[str] = deque()
    if looked.unheard:
        notes.append(f"The film is silent: the sound of {looked.name} cannot be decoded ({looked.unheard}).")
    with video_reader.VideoReader(looked, size, max_pixels) as decoder:
        stills = iter(decoder)
        first_two = deque(itertools.islice(stills, 2))
        if len(first_two) < 2:
            raise ValueError(f"{looked.name} holds a single frame; there is no motion in it.")
        start = float(first_two[0].time)

        def pairs() -> Iterator[FramePair]:
            every = itertools.chain(_emptied(first_two), stills)
            yield from timeline.retimed(scene_detection.shots(every, cut), step, precision)
            if decoder.damage:
                notes.append(decoder.damage)

        yield Source(
            pairs=pairs(),
            size=size,
            frames=planning.frames_of(looked, step),
            calls=None,
            choices={
                "video": checkpoint.content([looked.path]),
                "size": size,
                "step": step,
                "cut": cut,
                "precision": precision,
            },
            notes=notes,
            sound=Sound(looked.path, slowdown, start) if looked.sound else None,
        )


def _fitted(
    frames: Iterator[Frame], photos: Sequence[Path], size: tuple[int, int], notes: deque[str]
) -> Iterator[Frame]:
    """The photos at their common size; a note where one has little in common with the one before."""
    before: tuple[str, Any] | None = None
    for photo in photos:
        frame = images.fit(next(frames), size)
        small = scene_detection.small(images.to_uint8(frame))
        if before and scene_detection.likeness(before[1], small) < scene_detection.UNRELATED:
            notes.append(f"{before[0]} and {photo.name} have little in common: the film can only dissolve there.")
        before = photo.name, small
        yield frame
        del frame


def _emptied(items: deque[Any]) -> Iterator[Any]:
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
