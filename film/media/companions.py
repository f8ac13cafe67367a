"""What a video holds beside its picture and the sound that is heard: subtitles, chapters, title, date, place, other
tracks of sound. A film made from it keeps them, their times stretched as it is, where its format can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from film.media import audio, ffmpeg
from film.media.audio import Sound
from film.media.ffmpeg import Ffmpeg, local
from film.media.video_clock import Jump
from film.support import tempdirs

SUBTITLES = {".mp4": "mov_text", ".mov": "mov_text", ".webm": "webvtt"}  # the codec by the film's format
TEXT = ("subrip", "srt", "mov_text", "ass", "ssa", "webvtt", "text")  # the others are pictures
# What a container writes of itself, not of what was filmed.
OF_CONTAINER = re.compile(r"encoder|.*_brands?|minor_version|duration|_statistics.*|handler_name|vendor_id", re.I)
APPLE = "com.apple.quicktime."
NAMES = {f"{APPLE}location.iso6709": "location", f"{APPLE}creationdate": "date", "location-eng": "location"}
CUE = re.compile(r"((?:\d+:)?\d\d:\d\d[.,]\d{3}) --> ((?:\d+:)?\d\d:\d\d[.,]\d{3})\s*")
MOST = 20_000_000  # bytes of subtitles or tags that are read


@dataclass(frozen=True)
class Subtitles:
    """A track of subtitles."""

    number: int  # among them, from 0
    codec: str  # as ffmpeg calls it
    language: str | None


@dataclass(frozen=True)
class Companions:
    """What is beside, in the video at `source`, and how the film's times come of its own."""

    source: Path
    subtitles: Sequence[Subtitles]
    start: Fraction  # the stamp of the film's first frame
    lasting: Callable[[Fraction], float]  # how long the film takes for so many seconds of the video from there on
    others: Sequence[Sound] = ()  # tracks of sound to be kept beside the first
    jumps: Sequence[Jump] = ()  # of the source's time stamps; known when the film's frames are

    def add(self, film: Path, seconds: float) -> list[str]:
        """Put them into a film that lasts so long; what cannot be kept, in words. RuntimeError with ffmpeg's words."""
        tags, chapters = self._told()
        suffix = film.suffix.lower()
        texts = [track for track in self.subtitles if track.codec in TEXT]
        if suffix not in SUBTITLES:
            kinds = {"subtitles": self.subtitles, "chapters": chapters, "title and date": tags}
            lost = [name for name, there in kinds.items() if there]
            return [f"The film has no {_listed(lost)} of {self.source.name}: a {suffix} has none."] if lost else []
        notes, pictures = [], len(self.subtitles) - len(texts)
        if any(jump.after < jump.before for jump in self.jumps) and (texts or chapters):
            # Nobody knows which of two equal times is meant.
            notes.append(f"The film has no subtitles and chapters of {self.source.name}: its time stamps begin anew.")
            texts, chapters = [], []
        if pictures:
            notes.append(f"Subtitles that are pictures are not in the film; {self.source.name} has {pictures}.")
        others = self.others if suffix in audio.COPIED else ()
        cues = [(track, self._cues(track, seconds)) for track in texts]
        cues = [(track, text) for track, text in cues if text]
        if tags or chapters or cues or others:
            self._write(film, seconds, tags, chapters, cues, others)
        return notes

    def _write(
        self,
        film: Path,
        seconds: float,
        tags: dict[str, str],
        chapters: Sequence[tuple[float, float, str]],
        cues: Sequence[tuple[Subtitles, str]],
        others: Sequence[Sound],
    ) -> None:
        suffix = film.suffix.lower()
        inputs, streams = ["-i", local(film)], ["-map", "0", "-c", "copy"]
        for place, sound in enumerate(others, 1):
            given, told = audio.arguments(sound, seconds, suffix)
            inputs += given if place == 1 else []
            streams += [_of_stream(word, place) for word in told]
        first = 1 + bool(others)
        with tempdirs.folder(film.parent) as folder:
            (folder / "tags").write_text(_written(tags, chapters, seconds), encoding="utf-8")
            inputs += ["-f", "ffmetadata", "-i", local(folder / "tags")]
            streams += ["-map_metadata", str(first), "-map_chapters", str(first)]
            for place, (track, text) in enumerate(cues):
                (folder / str(place)).write_text(text, encoding="utf-8")
                inputs += ["-f", "srt", "-i", local(folder / str(place))]
                streams += ["-map", f"{first + 1 + place}:s", f"-c:s:{place}", SUBTITLES[suffix]]
                streams += [f"-metadata:s:s:{place}", f"language={track.language}"] if track.language else []
            form = ["-f", suffix[1:], *(["-movflags", "+faststart"] if suffix != ".webm" else ["-fflags", "+bitexact"])]
            made = folder / f"film{suffix}"
            with Ffmpeg(*inputs, *streams, *form, local(made), limit=audio.WORK + seconds):
                pass
            os.replace(made, film)

    def _told(self) -> tuple[dict[str, str], list[tuple[float, float, str]]]:
        """The tags of the whole, and the chapters: begin and end in the film, and title."""
        raw = ffmpeg.run("-copyts", *ffmpeg.untrusted(self.source), "-f", "ffmetadata", "pipe:1")[:MOST]
        tags: dict[str, str] = {}
        chapters: list[dict[str, str]] = []
        section = tags
        for line in re.split(r"(?<!\\)\n", raw.decode(errors="replace")):
            if line.startswith("["):
                section = {}
                if line == "[CHAPTER]":
                    chapters.append(section)
            elif (parts := re.split(r"(?<!\\)=", line, maxsplit=1)) and len(parts) == 2:
                name = parts[0].lower()
                section.setdefault(NAMES.get(name, name), parts[1])
        kept = {name: text for name, text in tags.items() if not OF_CONTAINER.fullmatch(name)}
        return kept, [part for chapter in chapters if (part := self._chapter(chapter))]

    def _chapter(self, told: dict[str, str]) -> tuple[float, float, str] | None:
        try:
            base = Fraction(told["timebase"])
            begin, end = (self._time(int(told[name]) * base) for name in ("start", "end"))
        except (KeyError, ValueError, ZeroDivisionError):
            return None
        return (max(0.0, begin), end, told.get("title", "")) if end > 0 else None

    def _cues(self, track: Subtitles, seconds: float) -> str:
        """As SubRip has them, those that are in the film."""
        source = ["-copyts", *ffmpeg.untrusted(self.source), "-map", f"0:s:{track.number}"]
        text = ffmpeg.run(*source, "-f", "srt", "pipe:1")[:MOST].decode(errors="replace").replace("\r", "")
        return "".join(self._moved(text, seconds))

    def _moved(self, text: str, seconds: float) -> Iterator[str]:
        number = 0
        for block in re.split(r"\n\n+(?=\d+\n)", text.strip()):
            lines = block.split("\n")
            times = CUE.fullmatch(lines[1]) if len(lines) > 2 else None
            if not times:
                continue
            begin, end = (self._time(_seconds(time)) for time in times.groups())
            if end > 0 and begin < seconds:
                number += 1
                span = f"{_clock(max(0.0, begin))} --> {_clock(min(end, seconds))}"
                yield "\n".join([str(number), span, *lines[2:]]) + "\n\n"

    def _time(self, stamp: Fraction) -> float:
        """In the film."""
        for jump in reversed(self.jumps):  # forward: of what lies in the gap, each half belongs to its end
            if stamp > (jump.before + jump.after) / 2:
                stamp += jump.offset
                break
        return self.lasting(stamp - self.start)


def with_tracks(sound: Sound, tracks: int) -> list[Sound]:
    """The other audio tracks of the sound's source, of so many in all."""
    return [replace(sound, track=number) for number in range(tracks) if number != sound.track]


def _of_stream(word: str, place: int) -> str:
    """An option for sound as one for the audio stream at that place of the film."""
    return {"-af": f"-filter:a:{place}"}.get(word) or (
        f"{word}:{place}" if re.fullmatch("-(c|b|bsf):a", word) else word
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _written(tags: dict[str, str], chapters: Sequence[tuple[float, float, str]], seconds: float) -> str:
    """As ffmpeg's own files of metadata; what it read from one is escaped already."""
    lines = [";FFMETADATA1", *(f"{name}={text}" for name, text in tags.items())]
    for begin, end, title in chapters:
        if begin < seconds:
            times = f"START={round(begin * 1000)}\nEND={round(min(end, seconds) * 1000)}"
            lines.append(f"[CHAPTER]\nTIMEBASE=1/1000\n{times}\ntitle={title}")
    return "\n".join(lines) + "\n"


def _seconds(time: str) -> Fraction:
    total = Fraction(0)
    for part in time.replace(",", ".").split(":"):
        total = total * 60 + Fraction(part)
    return total


def _clock(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02},{whole % 1000:03}"
