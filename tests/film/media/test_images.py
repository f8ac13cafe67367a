"""Photos of every kind become the Frame their pixels say; everything else is refused in one sentence."""

from __future__ import annotations

import concurrent.futures
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, PngImagePlugin

from film.media import images
from tests.conftest import texture

HEIGHT, WIDTH = 40, 56
LOSSLESS = {"png": {}, "bmp": {}, "tiff": {}, "webp": {"lossless": True}, "gif": {}}
LOSSY = {"jpg": {"quality": 95, "subsampling": 0}, "heic": {"quality": 95, "chroma": 444}, "avif": {"quality": 95}}
LOSSY_MEAN = 0.01  # mean absolute error that quality 95 may leave on a smooth texture, of 1
LEVEL = 1.01 / 255  # one 8-bit level

pillow_heif.register_heif_opener()
# `media.images` does so for programs; pytest has a list of its own.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::Warning:{module}") for module in ("PIL.Image", "PIL.TiffImagePlugin")
]


def pixels(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) uint8, no two quadrants alike."""
    return np.rint(texture(height, width) * 255).astype(np.uint8)


def png(header: tuple[int, int, int, int], rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file from (width, height, bit depth, colour type), its filtered rows, and chunks to put before them."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0)),
        *chunks,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def encoded(suffix: str, **options: object) -> bytes:
    """The test pixels as a file of that kind."""
    file = io.BytesIO()
    kind = {"jpg": "jpeg", "heic": "heif"}.get(suffix, suffix)
    Image.fromarray(pixels()).save(file, kind, **((LOSSLESS | LOSSY)[suffix] | options))
    return file.getvalue()


def refusal(path: Path, **options: int) -> str:
    """The message with which both readers of a file refuse it: one line that names it."""
    with pytest.raises(ValueError) as raised:
        images.read_image(path, **options)
    message = str(raised.value)
    assert path.name in message and "\n" not in message and message.endswith((".", ").")), message
    return message


# Formats


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", *LOSSY])
def test_formats_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(encoded(suffix))
    frame = images.read_image(path)
    assert frame.dtype == np.float32 and frame.shape == (*images.image_size(path), 3) == (HEIGHT, WIDTH, 3)
    assert np.abs(frame - pixels() / np.float32(255)).mean() <= (LOSSY_MEAN if suffix in LOSSY else 0)
    assert 0 <= frame.min() and frame.max() <= 1


def test_still_gif_is_read(tmp_path: Path) -> None:
    path = tmp_path / "still.gif"
    few = pixels() // 64 * 64  # 4 levels per channel fit a palette exactly
    Image.fromarray(few).quantize(64).save(path)
    np.testing.assert_allclose(images.read_image(path), few / 255, atol=8 * LEVEL)


def test_grey_is_repeated_over_the_channels(tmp_path: Path) -> None:
    grey = pixels()[:, :, 0]
    for suffix, options in (("png", {}), ("jpg", {"quality": 95}), ("tiff", {"compression": "tiff_lzw"})):
        path = tmp_path / f"grey.{suffix}"
        Image.fromarray(grey).save(path, **options)
        frame = images.read_image(path)
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert (frame == frame[:, :, :1]).all()
        assert np.abs(frame[:, :, 0] - grey / 255).mean() < (LOSSY_MEAN if suffix == "jpg" else 1e-7)
    Image.fromarray(grey > 127).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "bits.png")[:, :, 1], grey > 127)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bit_grey_keeps_its_levels(tmp_path: Path, suffix: str) -> None:
    grey = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    Image.fromarray(grey).save(tmp_path / f"deep.{suffix}")
    frame = images.read_image(tmp_path / f"deep.{suffix}")
    np.testing.assert_allclose(frame, np.repeat(grey[:, :, None] / 65535, 3, axis=2), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.float32([0, 255]), "from 0 to 255; they must go from 0, black, to 1, white"),
        (np.float32([-1000, 1]), "from -1000 to 1;"),
        (np.float32([np.nan, np.inf]), "from inf to inf;"),
        (np.int32([0, 2**30]), "from 0 to 1.07374e+09; they must go from 0, black, to 65535, white"),
        (np.int32([-1, 255]), "from -1 to 255;"),
    ],
)
def test_numbers_on_another_scale_are_not_a_white_photo(tmp_path: Path, values: np.ndarray, told: str) -> None:
    path = tmp_path / "raw.tif"
    Image.fromarray(np.resize(values, (HEIGHT, WIDTH))).save(path)
    assert told in refusal(path) and "damaged" not in refusal(path)
    assert images.image_size(path) == (HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="raw.tif has values"):
        images.image_size(path, to_the_end=True)


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_png(tmp_path: Path, channels: int) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    path = tmp_path / "deep.png"
    path.write_bytes(png((WIDTH, HEIGHT, 16, {3: 2, 4: 6}[channels]), rows))
    values = deep / 65535.0
    colour, alpha = values[:, :, :3], values[:, :, 3:] if channels == 4 else 1.0
    np.testing.assert_allclose(images.read_image(path), colour * alpha + 1 - alpha, atol=3 * LEVEL)


def test_float_tiff(tmp_path: Path) -> None:
    values = np.linspace(-0.5, 1.5, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "float.tiff")
    frame = images.read_image(tmp_path / "float.tiff")
    np.testing.assert_array_equal(frame[:, :, 1], np.clip(np.nan_to_num(values), 0, 1))


def test_alpha_is_laid_over_white(tmp_path: Path) -> None:
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))[:, :, None]
    share = alpha / 255
    for channels, kind in ((3, "RGBA"), (1, "LA")):
        colour = pixels()[:, :, :channels]
        path = tmp_path / f"{kind}.png"
        Image.fromarray(np.concatenate([colour, alpha], axis=2), kind).save(path)
        expected = np.broadcast_to(colour / 255 * share + 1 - share, (HEIGHT, WIDTH, 3))
        np.testing.assert_allclose(images.read_image(path), expected, atol=LEVEL)


def test_palette_with_transparency(tmp_path: Path) -> None:
    indexed = Image.fromarray((np.arange(HEIGHT * WIDTH) % 3).astype(np.uint8).reshape(HEIGHT, WIDTH), "P")
    indexed.putpalette([200, 10, 30, 0, 120, 240, 5, 6, 7])
    indexed.save(tmp_path / "plain.png")
    indexed.save(tmp_path / "one.png", transparency=2)  # one index is transparent
    indexed.save(tmp_path / "each.png", transparency=bytes([255, 51, 0]))  # an alpha for each index
    colours = np.array([[200, 10, 30], [0, 120, 240], [5, 6, 7]]) / 255
    for name, alpha in (("plain", [1, 1, 1]), ("one", [1, 1, 0]), ("each", [1, 0.2, 0])):
        share = np.array(alpha)[:, None]
        expected = (colours * share + 1 - share)[np.asarray(indexed)]
        np.testing.assert_allclose(images.read_image(tmp_path / f"{name}.png"), expected, atol=LEVEL)


def test_rgb_with_a_transparent_colour(tmp_path: Path) -> None:
    image = np.full((20, 20, 3), (10, 200, 30), np.uint8)
    image[5:9] = (1, 2, 3)
    Image.fromarray(image).save(tmp_path / "key.png", transparency=(1, 2, 3))
    frame = images.read_image(tmp_path / "key.png")
    assert (frame[5:9] == 1).all() and (frame[:5] == np.float32([10, 200, 30]) / np.float32(255)).all()


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_cmyk(tmp_path: Path, suffix: str) -> None:
    colour = pixels()
    image = Image.fromarray(colour).convert("CMYK")  # the plain complement, so it can be undone exactly
    image.save(tmp_path / f"print.{suffix}", **LOSSY.get(suffix, {}))
    frame = images.read_image(tmp_path / f"print.{suffix}")
    assert np.abs(frame - colour / 255).mean() < LOSSY_MEAN


def test_large_text_chunks(tmp_path: Path) -> None:
    for compressed in (False, True):
        text = PngImagePlugin.PngInfo()
        text.add_text("history", "edited again; " * 300_000, zip=compressed)  # 4 MB
        path = tmp_path / "history.png"
        Image.fromarray(pixels()).save(path, pnginfo=text)
        np.testing.assert_array_equal(images.read_image(path), pixels().astype(np.float32) / np.float32(255))


# Orientation

UPRIGHT = {  # EXIF orientation -> how the stored pixels are turned to stand upright
    1: lambda s: s,
    2: lambda s: s[:, ::-1],
    3: lambda s: s[::-1, ::-1],
    4: lambda s: s[::-1],
    5: lambda s: s.transpose(1, 0, 2),
    6: lambda s: np.rot90(s, -1),
    7: lambda s: s[::-1, ::-1].transpose(1, 0, 2),
    8: lambda s: np.rot90(s, 1),
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "heic"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Of HEIC the writer makes HEIF's own rotation and mirroring of it, as phones do."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    path.write_bytes(encoded(suffix, exif=exif.tobytes() if suffix == "heic" else exif))
    expected = UPRIGHT[orientation](pixels()) / 255
    frame = images.read_image(path)
    assert frame.shape == expected.shape == (*images.image_size(path), 3)
    assert np.abs(frame - expected).mean() < LOSSY_MEAN


# Refusals


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"This is a shopping list.\n" * 100,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n",
        b"%PDF-1.4\n%%EOF\n",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
        bytes(5000),
        b"P6 64 64 255 " + bytes(64 * 64 * 3),
    ],
    ids=["empty", "text", "postscript", "pdf", "svg", "zeros", "ppm"],
)
def test_what_is_not_a_photo_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.jpg"
    path.write_bytes(content)
    assert refusal(path).endswith("; use JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC.")  # all that are read above
    with pytest.raises(ValueError, match="list.jpg is not an image"):
        images.image_size(path)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    whole = encoded(suffix)
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "damaged or incomplete" in refusal(path) or suffix in ("heic", "avif", "webp")


@pytest.mark.parametrize(("width", "height"), [(15_000, 10_000), (60_000, 60_000), (2_000_000_000, 2_000_000_000)])
def test_decompression_bombs_are_refused_by_their_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png((width, height, 8, 2), b""))
    assert "100 megapixels" in refusal(path) or "the limit is 100" in refusal(path)
    with pytest.raises(ValueError, match="bomb.png"):
        images.image_size(path)


def test_a_text_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    packed = zlib.compress(bytes(150_000_000))
    path.write_bytes(png((32, 32, 8, 0), bytes(33 * 32), (b"zTXt", b"comment\0\0" + packed)))
    refusal(path)


def test_zero_sides_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.png"
    for width, height in ((0, 20), (20, 0), (0, 0)):
        path.write_bytes(png((width, height, 8, 2), b""))
        refusal(path)
    path = tmp_path / "nothing.bmp"
    path.write_bytes(b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 0, 0, 1, 24, 0, 0, 0, 0, 0, 0))
    refusal(path)


def test_sides_below_sixteen_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    for size in ((15, 100), (100, 15), (1, 1)):
        Image.new("RGB", size).save(path)
        assert f"{size[0]}x{size[1]}" in refusal(path)
    Image.new("RGB", (16, 16)).save(path)
    assert images.read_image(path).shape == (16, 16, 3)


def test_the_pixel_limit_counts_pixels(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (50, 40)).save(path)
    assert images.read_image(path, max_pixels=2000).shape == (40, 50, 3)
    assert "50x40" in refusal(path, max_pixels=1999)
    with pytest.raises(ValueError, match="50x40"):
        images.image_size(path, max_pixels=1999)


def test_beyond_pillows_own_limit_that_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png((20_000, 10_000, 8, 2), b""))
    assert "more pixels than the limit of 179 megapixels" in refusal(path, max_pixels=300_000_000)


def test_photos_read_by_threads_leave_the_warnings_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (50, 40)).save(path)
    before = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(images.image_size, [path] * 200))
    assert list(warnings.filters) == before


def test_what_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    for read in (images.read_image, images.image_size):
        with pytest.raises(FileNotFoundError, match="absent.jpg"):
            read(tmp_path / "absent.jpg")
        with pytest.raises(IsADirectoryError):
            read(tmp_path)


@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY])
def test_damaged_files_give_a_frame_or_a_refusal(tmp_path: Path, suffix: str) -> None:
    random = np.random.default_rng(sum(suffix.encode()))
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if suffix in ("bmp", "gif") else {"exif": exif.tobytes()}
    whole = encoded(suffix, **options)
    path = tmp_path / f"mutant.{suffix}"
    for _ in range(60):
        mutant = bytearray(whole)
        reach = len(mutant) if random.random() < 0.5 else min(len(mutant), 200)  # headers matter most
        for position in random.integers(0, reach, random.integers(1, 6)):
            mutant[position] = random.integers(0, 256)
        if random.random() < 0.2:
            at = int(random.integers(0, len(mutant)))
            mutant[at:at] = mutant[at : at + 40]
        path.write_bytes(mutant)
        try:
            frame = images.read_image(path, max_pixels=1_000_000)
        except ValueError as error:
            assert path.name in str(error) and "\n" not in str(error)
        else:
            assert frame.dtype == np.float32 and frame.ndim == 3 and frame.shape[2] == 3
            assert 0 <= frame.min() and frame.max() <= 1
