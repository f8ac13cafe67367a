"""A video as what a film is made from: the part that is used, its sound, and what is kept beside both.

All players hold a picture for as long as there is none other to show; so does the film where sound goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

from film.engine.interpolator import FramePair
from film.media import audio, companions, images, scene_detection, video_clock
from film.media.audio import Sound
from film.media.companions import Companions
from film.media.scene_detection import SceneFrame
from film.media.video_reader import TimedFrame, VideoMetadata, VideoReader
from film.media.video_writer import SEAMLESS
from film.rendering import timeline
from film.rendering.inputs import Source, emptied
from film.rendering.options import VideoOptions
from film.rendering.pace import Pace, SpeedCurve, Steady
from film.support.fingerprint import fingerprint

SEEK = 10  # seconds before the part at which decoding begins: key frames are seldom further apart
UNSEEN = Fraction(1, 10)  # seconds by which sound outlasts the picture unnoticed: that of whole packets does by less


@contextlib.contextmanager
def open_video(
    looked: VideoMetadata,
    pace: Pace,
    options: VideoOptions,
    max_pixels: int = images.MAX_PIXELS,
    keep_alpha: bool = False,
    precision: Fraction = timeline.VIDEO_PRECISION,
) -> Iterator[Source]:
    """A video shown anew: see `timeline.retimed`. ValueError if the part that is used holds no two frames."""
    size = images.common_size([(looked.height, looked.width)], options.longest_side)
    notes = deque(_notes(looked))
    slowdown = Fraction(options.slowdown)
    heard = Sound(looked.path, slowdown, track=looked.track) if looked.sound else None
    if looked.sound and options.sound and options.speed is not None:
        notes.append("The film is silent: sound cannot follow a curve of speeds.")
    deep, ground = options.depth_bits > 8, None if keep_alpha else options.ground()
    closes = None if heard is None else partial(_is_silent, heard)
    begin, end = options.part
    seek = max(0.0, float(begin) - SEEK)
    with VideoReader(looked, size, max_pixels, deep=deep, seek=seek, closes=closes) as decoder:
        frames = iter(decoder)
        if begin or end is not None:
            with VideoReader(looked, size, max_pixels) as whole:
                first = next(iter(whole)).time  # by the clock of the file
            frames = _between(frames, first + begin, math.inf if end is None else first + end)
        first_two = deque(itertools.islice(frames, 2))
        if len(first_two) < 2:
            part = "" if options.start is None and options.end is None else "The part of "
            raise ValueError(f"{part}{looked.name} holds a single frame; there is no motion in it.")
        if heard and not begin:
            first_two[0] = _begun(first_two[0], looked, heard, notes)
        start, jumps = first_two[0].time, decoder.clock.jumps
        if heard:
            heard = replace(heard, start=float(start), jumps=jumps)
        keep_others = options.sound and options.keep_streams and isinstance(pace, Steady)

        def pairs() -> Iterator[FramePair]:
            every: Iterator[TimedFrame] = itertools.chain(emptied(first_two), frames)
            if heard and end is None:
                every = _held(every, looked, heard)
            fields = looked.interlaced and options.duplicates == "auto"  # one of them may show what another does
            scenes = scene_detection.scene_frames(every, options.cut, "keep" if fields else options.duplicates)
            if options.play == SEAMLESS:
                scenes = _closed(scenes, options.cut)
            yield from timeline.retimed(scenes, pace, precision, ground)
            notes.extend(decoder.notes())

        yield Source(
            pairs=pairs(),
            size=size,
            frames=pace.frames(looked.seconds),
            calls=None,
            choices={
                "video": [fingerprint(looked.path)],
                "size": size,
                "step": pace.step if isinstance(pace, Steady) else pace,
                "cut": options.cut,
                "duplicates": options.duplicates,
                "lasting": heard is not None,
                "precision": precision,
                "part": options.part,
                "seamless": options.play == SEAMLESS,
                "background": ground if looked.alpha else None,
            },
            notes=notes,
            companions=Companions(
                looked.path,
                looked.subtitles,
                start,
                lasting=pace.lasting if isinstance(pace, SpeedCurve) else lambda time: float(time * slowdown),
                others=companions.with_tracks(heard, looked.tracks) if heard and keep_others else [],
                jumps=jumps,
            ),
            sound=heard if isinstance(pace, Steady) else None,
            alpha=looked.alpha and keep_alpha,
            transfer=looked.transfer if deep else None,
        )


def _between(frames: Iterable[TimedFrame], begin: Fraction, end: Fraction | float) -> Iterator[TimedFrame]:
    """The frames that are shown from `begin` to before `end`, stamps of the file's clock, as if there were no others.

    The first one begins at `begin`, though it may have been shown before it; the last one ends at `end`.
    """
    for frame in frames:
        until = frame.time + frame.duration
        if frame.time >= end:
            return
        if until > begin:
            start = max(frame.time, begin)
            yield frame._replace(time=start, duration=Fraction(min(until, end)) - start)


def _notes(clip: VideoMetadata) -> Iterator[str]:
    """What the user should know of which sound is heard."""
    if clip.unheard:
        yield f"The film is silent: the sound of {clip.name} cannot be decoded ({clip.unheard})."
    elif clip.tracks > 1:
        which = f"{clip.name} has {clip.tracks} audio tracks; the film has number {clip.track + 1}"
        yield f"{which}: the one before cannot be decoded." if clip.passed_over else f"{which}."


def _is_silent(sound: Sound, before: Fraction, after: Fraction) -> bool:
    """Whether the gap between two pictures is to be closed: where the sound goes on, the picture stands still."""
    return not audio.goes_on(sound, float(before), float(after))


def _begun(first: TimedFrame, clip: VideoMetadata, sound: Sound, notes: deque[str]) -> TimedFrame:
    """The first frame, shown from when the sound begins; not if that is more than LONGEST_PAUSE before it."""
    if first.time - Fraction(clip.begins) <= UNSEEN:
        return first
    stamp = audio.begins(sound)
    start = first.time if stamp is None else min(first.time, Fraction(stamp))
    if first.time - start > video_clock.LONGEST_PAUSE:
        notes.append(
            f"The sound of {clip.name} begins {float(first.time - start):.0f} s before its picture; the film begins"
            " with the picture."
        )
        return first
    return first._replace(time=start, duration=first.time + first.duration - start)


def _held(frames: Iterable[TimedFrame], clip: VideoMetadata, sound: Sound) -> Iterator[TimedFrame]:
    """The frames, the last of which is shown until the sound ends."""
    last: TimedFrame | None = None
    for frame in frames:
        if last is not None:
            yield last
        last = frame
    if last is None:
        return
    end = last.time + last.duration
    told = None if clip.seconds is None else Fraction(clip.begins + clip.seconds)
    if told is None or sound.jumps or told > end + UNSEEN:
        with contextlib.suppress(RuntimeError):  # damaged: it ends where it may
            heard = audio.ends(sound)
            end = Fraction(heard) if end + UNSEEN < heard else end
    yield last._replace(duration=end - last.time)


def _closed(frames: Iterator[SceneFrame], cut: float) -> Iterator[SceneFrame]:
    """The frames of a video, and the first one again when the last one ends: a cut if they are of two scenes."""
    first = last = next(frames)
    yield first
    for last in frames:
        yield last
    a, b = (scene_detection.small(frame.pixels) for frame in (last, first))
    unlike = scene_detection.likeness(a, b) < scene_detection.UNRELATED
    other = unlike and scene_detection.content_value(a, b) >= cut
    yield SceneFrame(first.pixels, last.end, last.end, last.end, cut=other)
