"""Recordings that were joined by their bytes (`cat a.flv b.flv`): where each of them lies in the file.

ffmpeg goes on by itself from one to the next in MPEG-TS, MPEG, AVI and GIF. Of the containers below it reads the first
recording alone, of Matroska two, so that it is told where the others are.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping
from typing import TypeAlias

Element: TypeAlias = tuple[bool, int]  # whether a recording begins with it, and its size in bytes

HEAD = 27 + 255  # bytes by which an element of any container is known
MOST_ELEMENTS = 1_000_000  # that are looked at, in three seconds: of FLV four hours of film
FLV_HEADER = 13  # bytes before its first tag
FLV_TAGS = (8, 9, 18)  # sound, picture, script data
EBML_HEADER = bytes.fromhex("1a45dfa3")
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def parts(path: str | os.PathLike[str]) -> list[tuple[int, int]]:
    """From where to where each recording lies, if there are several; else nothing. OSError if it cannot be read."""
    found = _parts(os.path.abspath(path), os.stat(path).st_mtime_ns)
    return found if len(found) > 1 else []


@functools.lru_cache(maxsize=16)
def _parts(path: str, _modified: int) -> list[tuple[int, int]]:
    with open(path, "rb") as file:
        begins: list[int] = []
        size, at, before = os.path.getsize(path), 0, False
        head = file.read(HEAD)
        element = next((read for magic, read in CONTAINERS.items() if magic in head[:16]), _nothing)
        for _ in range(MOST_ELEMENTS):
            if not (told := element(head)):  # the end, or damage
                return list(itertools.pairwise([*begins, size]))
            if told[0] and not before:
                begins.append(at)
            before = told[0]
            at += told[1]
            file.seek(at)
            head = file.read(HEAD)
    return []


def _nothing(_: bytes) -> Element | None:
    return None


def _of_flv(head: bytes) -> Element | None:
    """A header, or a tag: its kind, the size of its data in 3 bytes, 7 bytes more, the data, all of its size in 4."""
    if head[:3] == b"FLV":
        return True, FLV_HEADER
    is_tag = len(head) >= 11 and head[0] & 0x1F in FLV_TAGS
    return (False, 11 + int.from_bytes(head[1:4], "big") + 4) if is_tag else None


def _of_mp4(head: bytes) -> Element | None:
    """A box: its size in 4 bytes, or 1 and in 8 bytes after its name, which is of 4."""
    size = int.from_bytes(head[:4], "big")
    size = int.from_bytes(head[8:16], "big") if size == 1 else size
    return (head[4:8] == b"ftyp", size) if size >= 8 else None


def _of_asf(head: bytes) -> Element | None:
    """An object: its kind in 16 bytes, its size in 8."""
    size = int.from_bytes(head[16:24], "little")
    return (head[:16] == ASF_HEADER, size) if size >= 24 else None


def _of_matroska(head: bytes) -> Element | None:
    """An element: its name, and its size; of either the first byte has as many leading zeros as more bytes follow."""
    name = 9 - head[0].bit_length() if head else 9
    width = 9 - head[name].bit_length() if name < min(5, len(head)) else 9
    if width > 8:
        return None
    unknown = (1 << 7 * width) - 1
    size = int.from_bytes(head[name : name + width], "big") & unknown
    return head.startswith(EBML_HEADER), name + width + (size if size < unknown else 0)  # what it holds comes next


def _of_ogg(head: bytes) -> Element | None:
    """A page: the sizes of its pieces are the last of its header. The streams of a recording begin in a row."""
    if head[:4] != b"OggS" or len(head) < 27:
        return None
    return bool(head[5] & 2), 27 + head[26] + sum(head[27 : 27 + head[26]])


CONTAINERS: Mapping[bytes, Callable[[bytes], Element | None]] = {
    b"FLV": _of_flv,
    b"ftyp": _of_mp4,
    ASF_HEADER: _of_asf,
    EBML_HEADER: _of_matroska,
    b"OggS": _of_ogg,
}
