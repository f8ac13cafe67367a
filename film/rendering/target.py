"""The file that a film is to be: what it can have of what was asked for, and where its parts are kept meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from film.engine.devices import ExecutionInfo
from film.media import video_writer
from film.media.audio import COPIED, Sound
from film.media.colour_depth import ColourDepth
from film.media.video_segments import Segment
from film.rendering import checkpoint
from film.rendering.inputs import Source
from film.rendering.options import FilmOptions, VideoOptions
from film.rendering.renderer import AnyRenderer, Encoding
from film.support import tempdirs


@dataclass(frozen=True)
class Target:
    """The file that a film is to be. ValueError where it cannot be."""

    path: Path
    fps: Fraction  # that was asked for
    options: FilmOptions
    resume: bool = False
    inputs: Sequence[Path] = ()  # what it is made of

    def __post_init__(self) -> None:
        video_writer.check_place(self.path)
        if self.path.exists() and any(path.exists() and path.samefile(self.path) for path in self.inputs):
            raise ValueError(f"The film {self.path} would replace what it is made of; choose another name for it.")
        video_writer.check(self.path, self.play, self.options.quality, self.options.depth_bits)

    @property
    def play(self) -> str:
        return self.options.play

    @property
    def sound(self) -> bool:
        """Whether that of the source is wanted."""
        return isinstance(self.options, VideoOptions) and self.options.sound

    @property
    def shown_fps(self) -> Fraction:
        return video_writer.shown_fps(self.path, self.fps)

    def encoding(self, source: Source) -> Encoding:
        if source.alpha and self.options.depth_bits > 8 and self.path.suffix.lower() == ".webm":
            raise ValueError(
                "A transparent WebM has 8 bits a channel, because libvpx encodes no more; choose a .mov for 10, or give"
                " a background."
            )
        lossless = source.alpha or video_writer.needs_lossless(self.path, self.play, self.options.depth_bits)
        depth = ColourDepth(self.options.depth_bits, source.transfer)
        return Encoding(self.shown_fps, self.options.quality, lossless, depth)

    def notes(self, sound: Sound | None) -> Iterator[str]:
        """What the file cannot have of what was asked for."""
        suffix, fps = video_writer.check(self.path), self.shown_fps
        if fps < self.fps:
            longer = f"{float(self.fps / fps):.3g}"
            yield f"A {suffix} plays at most {fps} frames a second: the film lasts {longer} times as long."
        if sound and not video_writer.carries_sound(self.path):
            *others, last = COPIED
            yield f"The film is silent: a {suffix} has no sound; {', '.join(others)} and {last} do."
        elif sound and not video_writer.carries_sound(self.path, self.play):
            yield "The film is silent: what is played forth and back has no sound."

    def parts(self, source: Source, renderer: AnyRenderer, info: ExecutionInfo) -> AbstractContextManager[Path]:
        """The folder for the film's segments, as `info` runs `renderer`."""
        if not self.resume:
            return tempdirs.folder()  # for parts that nobody will come back to
        made_by = {
            "model": f"{renderer.fingerprint}, on {info.device}",
            "tiles": info.tiles,
            **vars(self.encoding(source)),
        }
        return checkpoint.kept(checkpoint.folder(self.path), source.choices | made_by, source.notes.append)

    def write(self, segments: Sequence[Segment], encoding: Encoding, sound: Sound | None = None) -> None:
        """Make the file of all of the film's segments. RuntimeError with ffmpeg's own words when it fails."""
        depth, quality = encoding.depth, self.options.quality
        video_writer.write(segments, self.path, play=self.play, quality=quality, sound=sound, depth=depth)
