"""Photos of every kind become the Frame their pixels say; everything else is refused in one sentence."""

import concurrent.futures
import io
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, PngImagePlugin

from film.media import images
from tests.conftest import texture
from tests.support import corpus

HEIGHT, WIDTH = 40, 56
LOSSLESS = {"png": {}, "bmp": {}, "tiff": {}, "webp": {"lossless": True}, "gif": {}}
LOSSY = {"jpg": {"quality": 95, "subsampling": 0}, "heic": {"quality": 95, "chroma": 444}, "avif": {"quality": 95}}
KINDS = [*LOSSLESS, *LOSSY]
LOSSY_MEAN = 0.01  # mean absolute error that quality 95 may leave on a smooth texture, of 1
LEVEL = 1.01 / 255  # one 8-bit level

pillow_heif.register_heif_opener()
# `media.images` does so for programs; pytest has a list of its own.
pytestmark = pytest.mark.filterwarnings("ignore::Warning:PIL.Image", "ignore::Warning:PIL.TiffImagePlugin")


def pixels(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) uint8, no two quadrants alike."""
    return np.rint(texture(height, width) * 255).astype(np.uint8)


def encoded(suffix: str, **options: object) -> bytes:
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


COLOUR, ALPHA = pixels(), np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))[:, :, None]
GREY, SHARE = COLOUR[:, :, :1], ALPHA / 255
DEEP = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
FLOATS = np.linspace(-0.5, 1.5, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
FLOATS[0, 0] = np.nan
FEW = COLOUR // 64 * 64  # 4 levels per channel fit a palette exactly
INDEXED = Image.fromarray((np.arange(HEIGHT * WIDTH) % 3).astype(np.uint8).reshape(HEIGHT, WIDTH), "P")
INDEXED.putpalette([200, 10, 30, 0, 120, 240, 5, 6, 7])
THREE = np.array([[200, 10, 30], [0, 120, 240], [5, 6, 7]])[np.asarray(INDEXED)] / 255
KEYED = np.full((HEIGHT, WIDTH, 3), (10, 200, 30), np.uint8)
KEYED[5:9] = (1, 2, 3)
CMYK = Image.fromarray(COLOUR).convert("CMYK")  # the plain complement, so it can be undone exactly
TEXTS = [PngImagePlugin.PngInfo() for _ in range(2)]
for zipped, text in enumerate(TEXTS):
    text.add_text("history", "edited again; " * 300_000, zip=bool(zipped))  # 4 MB


def with_alpha(colour: np.ndarray, mode: str) -> Image.Image:
    return Image.fromarray(np.concatenate([colour, ALPHA], axis=2), mode)


def of_three(*opacity: float) -> np.ndarray:
    share = np.array(opacity)[np.asarray(INDEXED)][..., None]
    return THREE * share + 1 - share


# By file name: what is saved, with what options, and the values that are read; of less than three channels all alike.
STORED: dict[str, tuple[Image.Image, dict[str, Any], np.ndarray]] = {
    **{f"colour.{suffix}": (Image.fromarray(COLOUR), LOSSLESS[suffix], COLOUR / 255) for suffix in ("png", "bmp")},
    "colour.webp": (Image.fromarray(COLOUR), {"lossless": True}, COLOUR / 255),
    "still.gif": (Image.fromarray(FEW).quantize(64), {}, FEW / 255),
    "grey.png": (Image.fromarray(GREY[:, :, 0]), {}, GREY / 255),
    "grey.jpg": (Image.fromarray(GREY[:, :, 0]), {"quality": 95}, GREY / 255),
    "grey.tiff": (Image.fromarray(GREY[:, :, 0]), {"compression": "tiff_lzw"}, GREY / 255),
    "bits.png": (Image.fromarray(GREY[:, :, 0] > 127), {}, GREY > 127),
    "deep.png": (Image.fromarray(DEEP), {}, DEEP[..., None] / 65535),
    "deep.tiff": (Image.fromarray(DEEP), {}, DEEP[..., None] / 65535),
    "float.tiff": (Image.fromarray(FLOATS), {}, np.clip(np.nan_to_num(FLOATS), 0, 1)[..., None]),
    "RGBA.png": (with_alpha(COLOUR, "RGBA"), {}, COLOUR / 255 * SHARE + 1 - SHARE),
    "LA.png": (with_alpha(GREY, "LA"), {}, GREY / 255 * SHARE + 1 - SHARE),
    "plain.png": (INDEXED, {}, THREE),
    "one.png": (INDEXED, {"transparency": 2}, of_three(1, 1, 0)),
    "each.png": (INDEXED, {"transparency": bytes([255, 51, 0])}, of_three(1, 0.2, 0)),
    "key.png": (Image.fromarray(KEYED), {"transparency": (1, 2, 3)}, np.where(KEYED[..., :1] == 1, 1, KEYED / 255)),
    "print.jpg": (CMYK, {"quality": 95, "subsampling": 0}, COLOUR / 255),
    "print.tiff": (CMYK, {}, COLOUR / 255),
    "history.png": (Image.fromarray(COLOUR), {"pnginfo": TEXTS[0]}, COLOUR / 255),
    "zipped.png": (Image.fromarray(COLOUR), {"pnginfo": TEXTS[1]}, COLOUR / 255),
    **{f"colour.{suffix}": (Image.fromarray(COLOUR), options, COLOUR / 255) for suffix, options in LOSSY.items()},
}
LARGEST = {"still.gif": 8, "RGBA.png": 1, "LA.png": 1, "one.png": 1, "each.png": 1}  # differences, in 8-bit levels


@pytest.mark.parametrize("name", STORED)
def test_every_kind_of_pixels_is_read(tmp_path: Path, name: str) -> None:
    image, options, expected = STORED[name]
    image.save(tmp_path / name, **options)
    frame = images.read_image(tmp_path / name)
    assert frame.dtype == np.float32 and frame.shape == (*images.image_size(tmp_path / name), 3) == (HEIGHT, WIDTH, 3)
    difference = np.abs(frame - expected)
    if Path(name).suffix[1:] in LOSSY or image is CMYK:
        assert difference.mean() < LOSSY_MEAN
    else:
        assert difference.max() <= LARGEST.get(name, 0) * LEVEL + 1e-6
    assert 0 <= frame.min() and frame.max() <= 1


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
    path.write_bytes(corpus.png(WIDTH, HEIGHT, (16, {3: 2, 4: 6}[channels]), zlib.compress(rows)))
    values = deep / 65535.0
    colour, alpha = values[:, :, :3], values[:, :, 3:] if channels == 4 else 1.0
    np.testing.assert_allclose(images.read_image(path), colour * alpha + 1 - alpha, atol=3 * LEVEL)


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


@pytest.mark.slow
def test_what_is_not_a_photo_or_swells_is_refused(tmp_path: Path) -> None:
    for name, data in corpus.impostors():
        path = tmp_path / name.replace("/", "_")[-100:]
        path.write_bytes(data)
        if name in corpus.NO_PHOTOS:
            assert refusal(path).endswith("; use JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC.")  # all read above
            with pytest.raises(ValueError, match="is not an image"):
                images.image_size(path)
        elif name in corpus.BOMBS:
            refusal(path, max_pixels=1_000_000)


@pytest.mark.parametrize(
    ("suffix", "options", "share"),
    [
        *((suffix, {}, share) for suffix in KINDS for share in (0.5, 0.9)),
        *(("jpg", {"progressive": progressive}, share) for progressive in (False, True) for share in (0.5, 0.9, 0.99)),
    ],
)
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, options: dict[str, Any], share: float) -> None:
    whole = encoded(suffix, **options)
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "damaged or incomplete" in refusal(path) or suffix in ("heic", "avif", "webp")


@pytest.mark.parametrize(
    ("size", "limit", "told"),
    [
        ((15_000, 10_000), images.MAX_PIXELS, "150.0 megapixels; the limit is 100"),
        ((60_000, 60_000), images.MAX_PIXELS, "100 megapixels"),
        ((2_000_000_000, 2_000_000_000), images.MAX_PIXELS, "100 megapixels"),
        *((size, images.MAX_PIXELS, "photo.png") for size in ((0, 20), (20, 0), (0, 0))),
        ((15, 100), 10**8, "15x100"),
        ((100, 15), 10**8, "100x15"),
        ((50, 40), 1999, "50x40"),
        ((20_000, 10_000), 300_000_000, "more pixels than the limit of 179 megapixels"),  # Pillow's own
    ],
)
def test_sides_and_pixels_have_limits(tmp_path: Path, size: tuple[int, int], limit: int, told: str) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(corpus.png(*size, (8, 2), b""))
    assert told in refusal(path, max_pixels=limit)
    with pytest.raises(ValueError, match=told):
        images.image_size(path, max_pixels=limit)
    for smallest in ((16, 16), (50, 40)):
        Image.new("RGB", smallest).save(path)
        assert images.read_image(path, max_pixels=2000).shape == (*smallest[::-1], 3)


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


def test_damaged_files_give_a_frame_or_a_refusal(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sources = {
        suffix: encoded(suffix, **({} if suffix in ("bmp", "gif") else {"exif": exif.tobytes()})) for suffix in KINDS
    }
    for name, data in corpus.mutations(sources, 60 * len(sources)):
        path = tmp_path / name
        path.write_bytes(data)
        try:
            frame = images.read_image(path, max_pixels=1_000_000)
        except ValueError as error:
            assert path.name in str(error) and "\n" not in str(error)
        else:
            assert frame.dtype == np.float32 and frame.ndim == 3 and frame.shape[2] == 3
            assert 0 <= frame.min() and frame.max() <= 1
