"""Inputs -> the films that are to be made of them, each with a name of its own.

| input | films |
|---|---|
| a video | one |
| two photos | one; four photos are two pairs, and so on |
| a list of pairs | one for each of its lines |
| a folder with photos | one through all of them, in natural order of their names |
| a folder with videos | one of each |
| a folder with neither | what its folders would be if they were named one by one; theirs are not looked into |
| the parts of an interrupted film | none |
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from film.media import images, video_reader
from film.rendering import checkpoint

LONGEST_STEM = 100  # bytes of a photo's name; file systems take 255 for a pair's film, with a number, and its parts
LONGEST_TOLD = 200  # characters of a line that is no pair


@dataclass(frozen=True)
class Job:
    """One film that is to be made."""

    inputs: tuple[Path, ...]  # photos in order, or one video
    output: Path

    @property
    def name(self) -> str:
        return self.output.name

    @property
    def is_video(self) -> bool:
        return len(self.inputs) == 1 and video_reader.is_video(self.inputs[0])

    @property
    def told(self) -> str:
        """What the film is made of, in words."""
        if self.is_video:
            return f"the video {self.inputs[0]}"
        if len(self.inputs) == 2:
            return f"{self.inputs[0]} and {self.inputs[1]}"
        folder = self.inputs[0].parent
        return f"the {len(self.inputs)} photos in {folder}" if len(self.inputs) > 1 else f"a single photo in {folder}"


def find(inputs: Sequence[Path], lists: Sequence[Path], directory: Path, suffix: str) -> list[Job]:
    """The films of these inputs and lists of pairs, to be written to `directory` in the format of `suffix`.

    They are named after their folder, their video, or both photos of their pair; a number is added where two would
    have one name. ValueError for an input that no film can be made of, or that its own film would replace.
    """
    if any(path.is_dir() and _same(path, directory) for path in inputs):
        raise ValueError(f"The films cannot go to {directory}, which they are made of; choose another folder for them.")
    found = list(_named(inputs, directory))
    for path in lists:
        found += [(_pair_name(pair), pair) for pair in read_pairs(path)]
    if not found:
        raise ValueError("There is nothing to make films of; name folders, videos, pairs of photos or a list of pairs.")
    jobs: list[Job] = []
    taken: set[str] = set()
    for name, files in found:
        free = name = _short(name, 2 * LONGEST_STEM + 1)
        number = 1
        while free.casefold() in taken:  # some file systems take upper and lower case for the same
            number += 1
            free = f"{name}-{number}"
        taken.add(free.casefold())
        jobs.append(Job(files, directory / f"{free}{suffix}"))
    given = {file.resolve() for job in jobs for file in job.inputs}
    for job in jobs:
        if job.output.resolve() in given:
            raise ValueError(f"The film {job.output} would replace what it is made of; choose another folder for it.")
    return jobs


def read_pairs(path: Path) -> list[tuple[Path, ...]]:
    """The pairs of a list: two photos a line, with a comma or a tab between them; # begins a remark.

    Names are relative to the list's folder. ValueError for a line that is no pair; OSError when it cannot be read.
    """
    pairs = []
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a list of pairs: it is not a text ({error}).") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            (cells,) = csv.reader([line], delimiter="\t" if "\t" in line else ",", skipinitialspace=True)
        except csv.Error:  # such as a cell longer than any name
            cells = []
        names = [cell.strip() for cell in cells]
        if len(names) != 2 or not all(names):
            told = repr(line) if len(line) <= LONGEST_TOLD else f"{line[:LONGEST_TOLD]!r}…"
            raise ValueError(f"Line {number} of {path} is {told}; it must name two photos with a comma between them.")
        pairs.append(tuple(path.parent / name for name in names))
    if not pairs:
        raise ValueError(f"There are no pairs in {path}.")
    return pairs


def _named(inputs: Sequence[Path], directory: Path) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """The name and the files of each film, in the order of the inputs; pairs come with their second photo. What lies in
    `directory` is films of an earlier run."""
    single: Path | None = None
    for path in inputs:
        if path.is_dir():
            if not checkpoint.is_kept(path):  # as `trips/*` names it
                yield from _of_folder(path, directory)
        elif not path.exists():
            raise ValueError(f"There is no file or folder {path}.")
        elif video_reader.is_video(path) and not images.is_photo(path):
            yield path.stem, (path,)
        elif not images.is_photo(path):
            raise ValueError(f"{path} is neither a photo, nor a video, nor a folder.")
        elif single is None:
            single = path
        else:
            yield _pair_name((single, path)), (single, path)
            single = None
    if single is not None:
        raise ValueError(f"Photos are taken in pairs, and {single} is left over; name a second one, or their folder.")


def _of_folder(folder: Path, directory: Path, deeper: bool = True) -> Iterator[tuple[str, tuple[Path, ...]]]:
    entries = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=images.natural)
    files = [entry for entry in entries if entry.is_file()]
    photos, videos = tuple(filter(images.is_photo, files)), tuple(filter(video_reader.is_video, files))
    videos = tuple(video for video in videos if video not in photos)
    if photos and videos:
        raise ValueError(
            f"The folder {folder} holds photos ({photos[0].name}, …) and videos ({videos[0].name}, …);"
            " keep them in folders of their own, or name the videos one by one."
        )
    if photos:
        yield folder.resolve().name, photos
    for video in videos:
        yield video.stem, (video,)
    if deeper and not photos and not videos:
        folders = [entry for entry in entries if entry.is_dir() and not checkpoint.is_kept(entry)]
        folders = [entry for entry in folders if not _same(entry, directory)]
        found = [film for entry in folders for film in _of_folder(entry, directory, deeper=False)]
        if not found:
            raise ValueError(f"There are no photos and no videos in {folder}, nor in its folders.")
        yield from found


def _same(folder: Path, other: Path) -> bool:
    return folder.resolve() == other.resolve()


def _pair_name(pair: Sequence[Path]) -> str:
    return "-".join(_short(photo.stem, LONGEST_STEM) for photo in pair)


def _short(name: str, most: int) -> str:
    """The name as far as it fits into so many bytes of UTF-8."""
    encoded = name.encode(errors="surrogateescape")  # the form in which a name that is no text comes
    return name if len(encoded) <= most else encoded[:most].decode(errors="ignore")
