"""The sound of a source video beside its pictures: where it begins before them, and goes on after them.

All players hold a picture for as long as there is none other to show; so does the film.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from film.media import audio, video_clock
from film.media.audio import Sound
from film.media.video_reader import TimedFrame, VideoMetadata

UNSEEN = Fraction(1, 10)  # seconds by which sound outlasts the picture unnoticed: that of whole packets does by less


def notes(clip: VideoMetadata) -> Iterator[str]:
    """What the user should know of which sound is heard."""
    if clip.unheard:
        yield f"The film is silent: the sound of {clip.name} cannot be decoded ({clip.unheard})."
    elif clip.tracks > 1:
        which = f"{clip.name} has {clip.tracks} audio tracks; the film has number {clip.track + 1}"
        yield f"{which}: the one before cannot be decoded." if clip.passed_over else f"{which}."


def closes(sound: Sound | None) -> Callable[[Fraction, Fraction], bool]:
    """Whether a gap between the pictures' stamps is to be closed: where the sound goes on, the picture stands still;
    without sound it may for long."""

    def close(before: Fraction, after: Fraction) -> bool:
        if sound is None:
            return after - before > video_clock.LONGEST_PAUSE
        return not audio.goes_on(sound, float(before), float(after))

    return close


def begun(first: TimedFrame, clip: VideoMetadata, sound: Sound, notes: deque[str]) -> TimedFrame:
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


def held(frames: Iterable[TimedFrame], clip: VideoMetadata, sound: Sound) -> Iterator[TimedFrame]:
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
