"""The sound of a source video, fitted under a film made from it."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from film.media import ffmpeg
from film.media.video_clock import Jump

# By container: the codecs that are copied as they are, because browsers play them in it; what all others become.
COPIED = {".mp4": ("aac", "mp3"), ".mov": ("aac", "mp3"), ".webm": ("opus", "vorbis")}
AAC = ["-c:a", "aac", "-b:a", "192k"]
ENCODED = {".mp4": AAC, ".mov": AAC, ".webm": ["-c:a", "libopus", "-b:a", "128k"]}

LONGEST_GAP = 300  # seconds without sound: ffmpeg holds such a silence in memory, 0.2 MB a second for each channel
BACK = 0.3  # seconds by which stamps go back where a recording begins anew; packets may overlap
MOST_JUMPS = 40  # that the sound follows
WORK = 60.0  # seconds of processor time for any sound, beside as many as the film lasts; then it is not an honest one
RATE = 48_000  # samples per second of what is encoded; `atempo`'s window, and so its delay, depends on it


@dataclass(frozen=True)
class Sound:
    """An audio stream of a video file."""

    source: Path
    slowdown: Fraction | float = 1  # the film lasts so many times as long as what it was made from; pitch is kept
    start: float = 0.0  # seconds: the time stamp that the film's first frame has in the source
    track: int = 0  # of the source's audio streams, from 0
    jumps: Sequence[Jump] = ()  # of the source's time stamps; known when the film's frames are

    def __post_init__(self) -> None:
        if not 0 < self.slowdown < math.inf:
            raise ValueError(f"The sound cannot be slowed down by {self.slowdown}; give a number above 0.")


def arguments(sound: Sound, seconds: float, suffix: str) -> tuple[list[str], list[str]]:
    """ffmpeg's arguments for its second input, and for the sound of an output that lasts so many seconds.

    Sound that keeps its speed is copied if the container takes it, in whole packets: it may end some 20 ms early, or
    where the source ends. Else it is encoded, with silence where the source has none, to exactly that length. More
    than two channels become two. A silence of more than five minutes in the source is the end of what is encoded.
    RuntimeError with ffmpeg's own words when the source has no sound.
    """
    source = ffmpeg.untrusted(sound.source)
    # The source's own clock, because its streams need not start together; and no seek, which only good indexes survive.
    inputs = ["-copyts", *source]
    if sound.slowdown == 1 and not sound.jumps and _codec(source, sound.track) in COPIED[suffix]:
        # Packets that are not wholly in the film go. MP4 and MOV may keep one before it, from which the first one is
        # decoded.
        kept = 0 if suffix == ".webm" else -0.03
        outside = f"lt(pts*tb,{kept})+gt((pts+d)*tb,{seconds:.6f})"
        moved = f"setts=ts=TS-{sound.start:.6f}/TB,noise=drop='{outside}'"
        return inputs, ["-map", f"1:a:{sound.track}", "-c:a", "copy", "-bsf:a", moved]
    shift = sound.start - _lead(sound.slowdown)
    now = f"(PTS*TB-{shift:.6f})"
    # Register 0: by how much what comes is put off, for ever after a gap; 1: when the last sound came.
    put_off = f"if(gt({now}-ld(1),{LONGEST_GAP}),st(0,1e9));st(1,max(ld(1),{now}));PTS+(ld(0)-{shift:.6f})/TB"
    filters = [
        *_joined(sound.jumps),
        f"asetpts='{put_off}'",
        # No more than the film needs, and a second for the last windows of `atempo`.
        f"atrim=start=0:end={seconds / float(sound.slowdown) + 1:.6f}",
        f"aresample={RATE}:async=1:min_hard_comp=0.01:first_pts=0",  # silence where the source has none
        *_tempo(sound.slowdown),
        f"apad=whole_dur={seconds:.6f}",
        f"atrim=end={seconds:.6f}",
        "aformat=channel_layouts=mono|stereo",
    ]
    return inputs, ["-map", f"1:a:{sound.track}", "-af", ",".join(filters), *ENCODED[suffix]]


def _tempo(slowdown: Fraction | float) -> list[str]:
    """Filters that change the speed and keep the pitch, in equal steps: each takes 1/2 to 2 and leaves nothing out."""
    steps = math.ceil(abs(math.log2(slowdown)) - 1e-9)
    # The last windows never come out; silence takes their place.
    return ["apad=pad_dur=0.5", *[f"atempo={float(slowdown) ** (-1 / steps):.9f}"] * steps] if steps else []


def _lead(slowdown: Fraction | float) -> float:
    """By how many seconds of the source stretched sound comes early: `atempo` puts its windows where they begin.

    Measured on the centres of tone bursts at RATE: 4.5 ms and 12.7 ms for each part added, of the film, within 6 ms
    from 1.25 to 16.
    """
    return 0.0 if slowdown == 1 else (0.0045 + 0.0127 * (float(slowdown) - 1)) / float(slowdown)


def begins(sound: Sound) -> float | None:
    """The time stamp of its first packet, seconds; None if there is none."""
    with contextlib.closing(_packets(sound)) as packets:
        return next((float(stamp) for _, stamp, _ in packets), None)


def goes_on(sound: Sound, before: float, after: float) -> bool:
    """Whether there is sound between two time stamps, both a second off."""
    with contextlib.closing(_packets(sound)) as packets:
        return any(before + 1 < stamp < after - 1 for _, stamp, _ in packets)


def ends(sound: Sound) -> float:
    """When its last sound ends, by its stamps without their jumps; a silence of LONGEST_GAP is its end."""
    jumps, offset = list(sound.jumps[:MOST_JUMPS]), 0.0
    before: float | None = None
    end = -math.inf
    for stamp, duration in ((float(shown), float(lasting)) for _, shown, lasting in _packets(sound)):
        if before is not None and jumps and _is_past(jumps[0], before, stamp):
            offset = float(jumps.pop(0).offset)
        before, time = stamp, stamp + offset
        if end > -math.inf and time - end > LONGEST_GAP:
            break
        end = max(end, time + duration)
    return end


def _is_past(jump: Jump, before: float, stamp: float) -> bool:
    """Whether a packet comes after the jump, and the one before it does not."""
    if jump.after < jump.before:
        return stamp < before - BACK
    return stamp > (jump.before + jump.after) / 2


def _joined(jumps: Sequence[Jump]) -> list[str]:
    """A filter that takes each jump where it comes in the sound: as `_is_past`, told in ffmpeg's words."""
    if not jumps:
        return []
    # Register 0: how many jumps there were; 1: the stamp before.
    past, offset = "0", "0"
    for number, jump in reversed(list(enumerate(jumps[:MOST_JUMPS]))):
        middle = float(jump.before + jump.after) / 2
        own = f"lt(T,ld(1)-{BACK})" if jump.after < jump.before else f"gt(T,{middle:.6f})"
        past = f"if(eq(ld(0),{number}),{own},{past})"
        offset = f"if(eq(ld(0),{number + 1}),{float(jump.offset):.6f},{offset})"
    return [f"asetpts='if({past},st(0,ld(0)+1),0);st(1,T);PTS+({offset})/TB'"]


def _packets(sound: Sound) -> Generator[tuple[Fraction, Fraction, Fraction]]:
    return ffmpeg.packets(sound.source, "-map", f"0:a:{sound.track}")


def _codec(source: list[str], track: int) -> str:
    """ffmpeg's name of that audio stream's codec."""
    told = ffmpeg.run(*source, "-map", f"0:a:{track}", "-c", "copy", "-frames:a", "1", "-f", "framecrc", "pipe:1")
    found = re.search(rb"^#codec_id 0: (\w+)", told, re.MULTILINE)
    assert found, told
    return found[1].decode()
