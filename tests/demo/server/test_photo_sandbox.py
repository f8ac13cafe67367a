"""Photos opened in a process of their own: the same pixels, and limits that hold."""

import io
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from demo.server.photo_sandbox import PhotoSandbox
from demo.server.visitor_files import OpenSlots, TooMany
from film.media import images
from tests.conftest import photo, texture
from tests.support import corpus
from tests.support.serving import wait_until
from tests.support.watching import children

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork photos are opened in the server")


@pytest.mark.slow
def test_the_pixels_are_those_of_the_package(tmp_path: Path) -> None:
    reader = PhotoSandbox()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (96, 64)).save(lying := io.BytesIO(), "jpeg", exif=turned)
    for suffix, data in {**corpus.photos(), "turned.jpg": lying.getvalue()}.items():
        path = tmp_path / f"photo.{suffix}"
        path.write_bytes(data)
        expected = images.read_image(path)
        assert np.array_equal(reader.read_image(path), expected)
        assert reader.image_size(path) == expected.shape[:2]
    wide = tmp_path / "wide.png"
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16).save(wide)
    assert np.abs(reader.read_image(wide) - images.read_image(wide)).max() <= 0.5 / 255 + 1e-6  # 16 bits in, 8 out


@pytest.mark.slow
def test_refusals_are_those_of_the_package(tmp_path: Path) -> None:
    reader = PhotoSandbox(1_000_000)
    for name, data in corpus.impostors():
        path = tmp_path / name.replace("/", "_")[-100:]
        path.write_bytes(data)
        try:
            images.image_size(path, 1_000_000, to_the_end=True)
        except ValueError as error:
            with pytest.raises(ValueError) as refusal:
                reader.image_size(path)
            assert str(refusal.value) == str(error)


@pytest.mark.slow
def test_what_is_damaged_is_refused_by_its_size_already(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes(corpus.photos()["jpg"][:-500])
    assert images.image_size(path) == (64, 64)
    with pytest.raises(ValueError, match="half.jpg is damaged"):
        PhotoSandbox().image_size(path)


@pytest.mark.slow
def test_a_photo_that_changed_is_measured_again(tmp_path: Path) -> None:
    reader = PhotoSandbox()
    for size in ((32, 48), (48, 32)):
        assert reader.image_size(photo(tmp_path / "photo.png", texture(*size))) == size


@pytest.mark.slow
def test_a_photo_for_browsers(tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(corpus.photos()["heic"])
    PhotoSandbox().save_jpeg(path, tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as shown:
        assert (shown.format, shown.size) == ("JPEG", (64, 64))
        assert np.abs(np.asarray(shown, float) / 255 - images.read_image(path)).mean() < 0.02


@pytest.mark.slow
def test_high_dynamic_range_is_converted_within_the_limits(tmp_path: Path) -> None:
    path, told = tmp_path / "pq.heic", {"color_primaries": 9, "transfer_characteristics": 16}
    pillow_heif.from_pillow(Image.new("RGB", (1500, 1000), (148, 148, 148))).save(path, full_range_flag=1, **told)
    assert PhotoSandbox(1_500_000).read_image(path).min() > 0.75  # the reference white


def many_pixels(path: Path) -> None:
    Image.new("1", (7000, 7000)).save(path, "png")


def many_scans(path: Path) -> None:
    """A small JPEG whose last scan comes again and again: decoding takes long on any machine, and no memory."""
    Image.new("RGB", (4000, 4000), "teal").save(whole := io.BytesIO(), "jpeg", progressive=True)
    data = whole.getvalue()
    scan = data[data.rindex(b"\xff\xda") : -2]  # without the end of the image
    path.write_bytes(data[:-2] + 5000 * scan + data[-2:])


def read_again(reader: PhotoSandbox, folder: Path) -> bool:
    """Whether a photo that is in order is read."""
    reader._seconds = 60  # enough on any machine
    return reader.read_image(photo(folder / "photo.png", texture(32, 48))).shape == (32, 48, 3)


@pytest.mark.parametrize(
    ("write", "seconds", "words"),
    [
        (many_pixels, 60, "takes more memory than a photo of its size"),
        (many_scans, 1, "takes too long, or breaks the decoder"),  # of the processor's time
        (os.mkfifo, 1, "takes too long, or breaks the decoder"),  # of the clock's: its reading never begins
    ],
)
@pytest.mark.slow
def test_limits(tmp_path: Path, write: Callable[[Path], object], seconds: int, words: str) -> None:
    reader = PhotoSandbox(60_000_000, seconds)
    reader.memory = 128 * 2**20 if write is many_pixels else reader.memory
    write(path := tmp_path / "bomb.jpg")
    with pytest.raises(ValueError, match=f"^bomb.jpg cannot be read: decoding it {words}.$"):
        reader.read_image(path)
    assert read_again(reader, tmp_path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="processes are found in Linux's /proc")
@pytest.mark.slow
def test_a_decoder_that_crashes(tmp_path: Path) -> None:
    reader = PhotoSandbox(seconds=30)
    os.mkfifo(endless := tmp_path / "endless.jpg")
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(reader.read_image, endless)
        wait_until(lambda: reader._process is not None and bool(children(reader._process.pid)), "the child")
        assert reader._process
        os.kill(children(reader._process.pid)[0], signal.SIGSEGV)
        with pytest.raises(ValueError, match="^endless.jpg cannot be read: decoding it takes too long, or breaks the"):
            asking.result(60)
    reader._process.kill()  # and the process that forks, too
    reader._process.wait()
    assert read_again(reader, tmp_path)


def test_who_opens_much_holds_up_nobody_else() -> None:
    slots, opened = OpenSlots("photos", 6, lambda path: str(path)[0]), list[str]()

    def visit(path: str) -> None:
        with slots.turn(path):
            opened.append(path)

    with ThreadPoolExecutor(4) as threads:
        with slots.turn("a1"):
            *_, other = [threads.submit(visit, path) for path in ("a2", "a3", "a4", "b1")]
            other.result(60)
            wait_until(lambda: len(slots._asked) == 4, "the other three")
            with pytest.raises(TooMany, match="many photos are being opened"):
                visit("a5")
            assert opened == ["b1"]
    assert sorted(opened) == ["a2", "a3", "a4", "b1"]
    with pytest.raises(TooMany), OpenSlots("photos", -2, lambda path: None).turn("c1"):  # a line without room
        pass


@pytest.mark.slow
def test_the_process_ends_with_its_server() -> None:
    reader = PhotoSandbox()
    reader.start()
    assert reader._process and reader._control
    reader._control.close()
    assert reader._process.wait(60) == 0


@pytest.mark.slow
def test_many_threads_get_their_own_photos(tmp_path: Path) -> None:
    reader = PhotoSandbox()

    def ask(seed: int) -> None:
        path = photo(tmp_path / f"{seed}.png", frame := texture(40, 50, seed))
        for _ in range(3):
            assert np.array_equal(images.to_uint8(reader.read_image(path)), images.to_uint8(frame))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
