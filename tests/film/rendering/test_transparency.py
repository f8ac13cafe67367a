"""Transparency and ten bits: kept where the format has them, and refused or laid over a ground where it has not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import film
from film.media import alpha
from tests.film.conftest import made
from tests.film.media.test_real_videos import raw
from tests.film.media.test_video_writer import frames_of
from tests.support import clips

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Red over hidden green: opaque to column 16, of an opacity of 100 and of 200 to column 48, then of none."""
    paths = []
    for name, opacity in (("a", 100), ("b", 200)):
        pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        pixels[:, :48] = (200, 0, 0, opacity)
        pixels[:, :16, 3] = 255
        pixels[:, 48:] = (0, 255, 0, 0)
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def rgba(path: Path, *before: str) -> np.ndarray:
    if path.suffix in (".zip", ".webp"):
        return frames_of(path, None)
    file = path.with_suffix(".raw")
    clips.ffmpeg(*before, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgba", str(file))
    return np.fromfile(file, np.uint8).reshape(-1, HEIGHT, WIDTH, 4)


def luma(path: Path, converted: str = "") -> np.ndarray:
    """Of all pixels of a film of ten bits."""
    file = path.with_suffix(".luma")
    clips.ffmpeg("-i", str(path), "-vf", f"{converted}extractplanes=y", "-f", "rawvideo", str(file))
    return np.fromfile(file, np.uint16).astype(int)


@pytest.mark.parametrize("suffix", [".zip", ".webp", ".webm", ".mov"])
def test_transparent_photos_make_a_transparent_film(
    photos: list[Path], model: film.Interpolator, tmp_path: Path, suffix: str
) -> None:
    done = made(film.interpolate(photos, model, tmp_path / f"film{suffix}", depth=1, quality=100)).done
    frames = rgba(done.path, *(["-c:v", "libvpx-vp9"] if suffix == ".webm" else []))
    assert len(frames) == 3
    noise = 0 if suffix == ".zip" else 8
    for frame, opacity in zip(frames, (100, 150, 200), strict=True):
        inside = frame[4:-4, 20:44]
        assert abs(inside[..., 3].astype(int) - opacity).max() <= max(1, noise)
        assert abs(inside[..., :3].astype(int) - (200, 0, 0)).max() <= max(1, noise)
        assert frame[4:-4, 4:12, 3].min() >= 255 - noise and frame[4:-4, 52:60, 3].max() <= noise


def test_each_frame_of_a_webp_replaces_the_one_before(model: film.Interpolator, tmp_path: Path) -> None:
    photos = []
    for k in range(2):
        pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        pixels[:, 32 * k : 32 * k + 32] = (0, 0, 250, 255)
        photos.append(tmp_path / f"{k}.png")
        Image.fromarray(pixels).save(photos[-1])
    made(film.interpolate(photos, model, tmp_path / "film.webp", depth=0))
    first, last = rgba(tmp_path / "film.webp")
    assert (last[:, :30, 3] == 0).all() and (last[:, 34:, 3] == 255).all()


def test_other_formats_lie_over_the_ground(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    for suffix, choice, ground in (
        (".mp4", None, (1, 1, 1)),
        (".gif", "#0000ff", (0, 0, 1)),
        (".webm", "black", (0, 0, 0)),
    ):
        done, frames, _ = made(film.interpolate(photos, model, tmp_path / f"film{suffix}", depth=1, background=choice))
        assert all(frame.shape == (HEIGHT, WIDTH, 3) for frame in frames)
        for frame, opacity in zip(frames, (100, 150, 200), strict=True):
            share = opacity / 255
            over = np.array([200 / 255, 0, 0]) * share + np.array(ground) * (1 - share)
            np.testing.assert_allclose(frame[4:-4, 20:44], np.broadcast_to(over, (40, 24, 3)), atol=0.003)
            np.testing.assert_allclose(frame[:, 52:], np.broadcast_to(ground, (48, 12, 3)), atol=1e-6)
        pixels = rgba(done.path, *(["-c:v", "libvpx-vp9"] if suffix == ".webm" else []))
        assert pixels[..., 3].min() == 255


def test_opaque_photos_make_the_film_they_made(model: film.Interpolator, tmp_path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), "navy").save(tmp_path / "a.png")
    made(film.interpolate([tmp_path / "a.png"] * 2, model, tmp_path / "film.zip", depth=0))
    assert rgba(tmp_path / "film.zip").shape == (2, HEIGHT, WIDTH, 3)


def test_a_transparent_video_stays_so(model: film.Interpolator, tmp_path: Path) -> None:
    frames = np.zeros((3, HEIGHT, WIDTH, 4), np.uint8)
    for k, frame in enumerate(frames):
        frame[:] = (0, 255, 0, 0)  # hidden green
        frame[:, 8 * k + 8 : 8 * k + 40] = (220, 60, 20, 255)
    source = raw(tmp_path / "source.mov", list(frames), "-c:v", "qtrle")
    made(film.retime(source, model, tmp_path / "film.zip", slowdown=2))
    kept = rgba(tmp_path / "film.zip")
    assert kept.shape == (6, HEIGHT, WIDTH, 4)
    np.testing.assert_array_equal(kept[0, ..., 3], frames[0, ..., 3])
    assert kept[kept[..., 3] > 0][:, 1].max() <= 61  # nothing of the green
    _, shown, _ = made(film.retime(source, model, tmp_path / "film.mp4", slowdown=2, background="blue"))
    np.testing.assert_allclose(shown[0][:, 50:], np.broadcast_to((0, 0, 1), (HEIGHT, 14, 3)), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("film.mp4", "hevc (Main 10)", "yuv420p10le"),
        ("film.webm", "vp9 (Profile 2)", "yuv420p10le"),
        ("film.mov", "prores (4444)", "yuv444p12le"),
    ],
)
def test_ten_bits_hold_what_lies_between_two_of_eight(
    model: film.Interpolator, tmp_path: Path, name: str, codec: str, form: str
) -> None:
    for k, level in enumerate((100, 101)):
        Image.new("RGB", (WIDTH, HEIGHT), (level, level, level)).save(tmp_path / f"{k}.png")
    photos = [tmp_path / "0.png", tmp_path / "1.png"]
    made(film.interpolate(photos, model, tmp_path / name, depth=2, depth_bits=10, quality=100))
    told = clips.ffmpeg("-i", str(tmp_path / name), "-f", "null", "-")
    assert codec in told and form in told
    means = (luma(tmp_path / name, "format=yuv444p10le,").reshape(5, -1).mean(1) - 64) * 255 / 876
    np.testing.assert_allclose(means, [100, 100.25, 100.5, 100.75, 101], atol=0.3)
    assert (np.diff(means) >= 0).all() and len(set(np.round(means, 1))) >= 4  # of two levels in 8 bits


@pytest.mark.parametrize(
    ("transfer", "suffix"), [("smpte2084", ".mp4"), ("arib-std-b67", ".mp4"), ("smpte2084", ".webm")]
)
def test_high_dynamic_range_stays_as_it_is_encoded(
    model: film.Interpolator, tmp_path: Path, transfer: str, suffix: str
) -> None:
    source = tmp_path / "source.mkv"
    ramp = "gradients=s=64x48:c0=0x202020:c1=0xe0e0e0:x0=0:x1=63:y0=0:y1=0:d=0.4:r=10:speed=0.00001,format=yuv420p10le"
    ramp += f",setparams=range=tv:color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc"
    codec = ["-c:v", "libx265", "-x265-params", "log-level=error:lossless=1"]
    clips.ffmpeg("-f", "lavfi", "-i", ramp, *codec, str(source))
    film_path = tmp_path / f"film{suffix}"
    made(film.retime(source, model, film_path, slowdown=2, depth_bits=10, quality=100))
    told = clips.ffmpeg("-i", str(film_path), "-f", "null", "-")
    assert f"bt2020nc/bt2020/{transfer}" in told and "yuv420p10le" in told
    first = slice(HEIGHT * WIDTH)
    assert abs(luma(source)[first] - luma(film_path)[first]).mean() < 2.5  # of 1023
    # Without ten bits it is brought to standard range, as ever.
    made(film.retime(source, model, tmp_path / "sdr.mp4", slowdown=2))
    assert "bt709" in clips.ffmpeg("-i", str(tmp_path / "sdr.mp4"), "-f", "null", "-")


def test_formats_without_ten_bits_are_refused(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    for suffix, words in ((".gif", "A .gif holds 8 bits a channel"), (".webm", "A transparent WebM has 8 bits")):
        with pytest.raises(ValueError, match=words):
            list(film.interpolate(photos, model, tmp_path / f"film{suffix}", depth=1, depth_bits=10))


def test_write_video_takes_frames_with_opacity(tmp_path: Path) -> None:
    for suffix in (".gif", ".webp", ".zip"):
        words = rf"A \{suffix} holds 8 bits a channel; for 10 bits choose .mp4 \(H.265\)"
        with pytest.raises(ValueError, match=words):
            film.write_video(tmp_path / f"film{suffix}", [], depth_bits=10)
    opacity = np.linspace(0, 1, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
    frame = alpha.with_alpha(np.full((HEIGHT, WIDTH, 3), 0.5, np.float32), opacity)
    film.write_video(tmp_path / "film.zip", [frame, frame])
    pixels = rgba(tmp_path / "film.zip")[0]
    assert abs(pixels[:, 8:, :3].astype(int) - 128).max() <= 1
    np.testing.assert_array_equal(pixels[..., 3], np.rint(255 * opacity))
    for name in ("film.mp4", "film.gif"):
        with pytest.raises(ValueError, match="a frame is a .height, width, 3. array"):
            film.write_video(tmp_path / name, [frame])
