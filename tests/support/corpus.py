"""Files that somebody hostile, or a broken disk, might send: mutations of valid photos and videos, bombs, impostors.

Everything is a pure function of its seed: a case that failed can be made again by its number.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import imageio_ffmpeg
import pillow_heif
from PIL import Image

from tests.conftest import texture

PHOTOS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "gif": "GIF"}
VIDEOS = {"mp4": "libx264", "webm": "libvpx-vp9"}
SIDE = 64  # pixels: small files reach a decoder's corners as well as large ones, sooner
PICTURES = ["-f", "lavfi", "-i", f"testsrc=size={SIDE}x{SIDE}:rate=10:duration=1"]  # what all videos show, to ffmpeg
# 12 kB that look like what ffmpeg tells of frames. It shows at most 255 bytes of a title between two line breaks of any
# kind, and begins no new line at a \x0b.
TITLE = ("showinfo pts:1 duration:x " * 9 + "\x0b") * 50
GAP_HOURS = 20
BITS, GREY, RGB = (1, 0), (8, 0), (8, 2)  # of a PNG: bits and colour type
NO_PHOTOS = frozenset(
    "empty.jpg byte.png notes.jpg page.png drawing.svg laughs.jpg script.jpg drawing.jpg paper.png pickle.webp"
    " archive.tif list.jpg concat.jpg film-mp4.jpg film-webm.jpg".split()
)
BOMBS = frozenset("wide.png bomb.png tall.png flat.png text.png screen.gif strips.tif canvas.webp".split())


@functools.cache
def photos() -> dict[str, bytes]:
    """A valid photo of each format, by suffix."""
    pixels = Image.fromarray((texture(SIDE, SIDE, 7) * 255).astype("uint8"))
    files = {}
    for suffix, name in PHOTOS.items():
        pixels.save(file := io.BytesIO(), name)
        files[suffix] = file.getvalue()
    pillow_heif.from_pillow(pixels).save(file := io.BytesIO(), quality=90)
    files["heic"] = file.getvalue()
    return files


@functools.cache
def videos() -> dict[str, bytes]:
    """A valid video of each format, by suffix."""
    return {suffix: _ffmpeg(suffix, *PICTURES, "-c:v", codec) for suffix, codec in VIDEOS.items()}


def mutations(sources: Mapping[str, bytes], count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` damaged files made of valid ones, as (name, bytes); every source and every way takes its turn."""
    suffixes = list(sources)
    for number in range(count):
        dice = random.Random(f"{seed}/{number}")
        suffix = suffixes[number % len(suffixes)]
        way = WAYS[number // len(suffixes) % len(WAYS)]
        other = sources[dice.choice(suffixes)]
        yield f"{number:04d}-{way.__name__}.{suffix}", way(sources[suffix], other, dice)


def flip_bits(data: bytes, other: bytes, dice: random.Random, counts: Sequence[int] = (1, 4, 32, 256)) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice(counts)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def flip_header_bits(data: bytes, other: bytes, dice: random.Random) -> bytes:
    return flip_bits(data[:64], other, dice, (1, 2, 8)) + data[64:]


def truncate(data: bytes, other: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def splice(data: bytes, other: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]


def overwrite(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """A block of zeros, ones or noise."""
    start, length = dice.randrange(len(data)), dice.choice([4, 64, 512])
    fill = dice.choice([bytes(length), b"\xff" * length, dice.randbytes(length)])
    return (data[:start] + fill + data[start + length :])[: len(data)]


def lie_in_numbers(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """Numbers near the start, where sizes and counts are, become extreme ones; a PNG's checksums stay right."""
    changed = bytearray(data)
    for _ in range(dice.choice([1, 2, 4])):
        place = dice.randrange(min(len(changed), 128) - 4)
        extreme = dice.choice([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 100_000])
        changed[place : place + 4] = struct.pack(dice.choice(["<I", ">I"]), extreme)
    return _with_png_checksums(bytes(changed)) if data.startswith(b"\x89PNG") else bytes(changed)


def repeat(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """A stretch of the file, many times over."""
    start = dice.randrange(len(data))
    stretch = data[start : start + dice.choice([8, 256])]
    return data[:start] + stretch * dice.choice([10, 1000]) + data[start:]


WAYS = (flip_bits, flip_header_bits, truncate, splice, overwrite, lie_in_numbers, repeat)


def impostors() -> Iterator[tuple[str, bytes]]:
    """Files that are not what their names say, and photos and videos that are far more than they seem."""
    valid = photos()
    yield "empty.jpg", b""
    yield "byte.png", b"\x89"
    yield "notes.jpg", b"This is no photo."
    yield "page.png", b"<!doctype html><script>alert(document.cookie)</script>"
    svg, entities = b'svg xmlns="http://www.w3.org/2000/svg"', b'<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    yield "drawing.svg", b'<%s width="64" height="64"><script>alert(1)</script></svg>' % svg
    yield "laughs.jpg", b'<?xml version="1.0"?><!DOCTYPE svg [%s]><%s><text>&b;</text></svg>' % (entities, svg)
    yield "script.jpg", b"#!/bin/sh\ntouch /tmp/was-here\n"
    yield "drawing.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(/etc/passwd) (r) file\n"
    yield "paper.png", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n"
    yield "pickle.webp", b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**26))
    yield "archive.tif", file.getvalue()
    yield "list.jpg", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "concat.jpg", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "wide.png", png(30_000, 30_000, BITS, zlib.compress(bytes(3751) * 200))
    yield "bomb.png", png(9_000, 5_000, RGB, _deflated_zeros(5_000 * (9_000 * 3 + 1)))  # 45 megapixels, 130 kB
    yield "tall.png", png(16, 2**31 - 1, GREY, zlib.compress(bytes(1000)))
    yield "flat.png", png(0, 64, GREY, zlib.compress(bytes(1000)))
    for name, kind, size in (("text.png", b"zTXt", 2**28), ("profile.png", b"iCCP", 2**27)):
        swollen = chunk(kind, b"a\0\0" + _deflated_zeros(size))
        yield name, png(64, 64, GREY, zlib.compress(bytes(65 * 64)), swollen)
    yield "screen.gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + valid["gif"][10:]
    yield "frames.gif", valid["gif"][:-1] * 500 + b";"
    yield "loop.tif", b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8)
    tags = [(256, 4, 60_000), (257, 4, 60_000), (258, 3, 8), (259, 3, 1), (262, 3, 2), (273, 4, 8), (277, 3, 3)]
    tags += [(278, 4, 60_000), (279, 4, 2**32 - 1)]  # RGB in one strip, much shorter than the size it declares
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    yield "strips.tif", b"II*\0" + struct.pack("<I", 8 + 64) + bytes(64) + directory
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff" * 6
    yield "canvas.webp", valid["webp"][:12] + canvas + valid["webp"][12:]
    yield f"{'n' * 300}.jpg", valid["jpg"]
    yield "../../up.jpg", valid["jpg"]
    yield "a;b&c|d`e$(f).jpg", valid["jpg"]
    yield "\u202egpj.exe", valid["jpg"]
    yield ".jpg", valid["jpg"]
    yield "none", valid["jpg"]
    yield from ((f"film.{suffix}", data) for suffix, data in videos().items())
    yield from ((f"film-{suffix}.jpg", data) for suffix, data in videos().items())
    yield "empty.mp4", b""
    yield "photo.mp4", valid["jpg"]
    yield "list.webm", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "concat.mkv", b"ffconcat version 1.0\nfile /etc/passwd\n"
    for suffix, codec in (VIDEOS | {"mkv": "libx264"}).items():
        yield f"title.{suffix}", _ffmpeg(suffix, *PICTURES, "-c:v", codec, "-metadata", f"title={TITLE}")
    yield "gap.mkv", _gap()


def _ffmpeg(suffix: str, *arguments: str) -> bytes:
    """The file of this format that ffmpeg makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"film.{suffix}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *arguments, str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path.read_bytes()


def _gap() -> bytes:
    """A film whose sound goes on hours after it stopped, while the header says that all of it lasts a second."""
    late = f"asetpts='PTS+gt(T,0.5)*{GAP_HOURS * 3600}/TB'"
    sound = ["-f", "lavfi", "-i", "sine=duration=1", "-af", late, "-c:a", "libopus"]
    return with_duration(_ffmpeg("mkv", *PICTURES, *sound, "-c:v", "libx264"), 1000)


def with_duration(data: bytes, milliseconds: float) -> bytes:
    """A Matroska or WebM file whose header tells another duration."""
    place = data.index(b"\x44\x89\x88") + 3  # a double
    return data[:place] + struct.pack(">d", milliseconds) + data[place + 8 :]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, kind: tuple[int, int], pixels: bytes, *extra: bytes) -> bytes:
    """A PNG that declares this size; `kind`: bits and colour type; `pixels`: packed rows; `extra`: chunks before."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _with_png_checksums(data: bytes) -> bytes:
    """The PNG with each chunk's checksum as its bytes ask for, as far as its lengths can be followed."""
    place, fixed = 8, data[:8]
    while place + 12 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        if place + 12 + length > len(data):
            break
        fixed += chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + length])
        place += 12 + length
    return fixed + data[place:]


@functools.cache
def _deflated_zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 9)
