"""Videos as recorders, editors and broadcasters leave them: colours, transparency, rates, tracks and sizes."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from film.media import video_metadata
from film.media.video_reader import VideoReader, read_metadata
from tests.support.clips import ffmpeg, pan, read, video


def raw(path: Path, pictures: list[np.ndarray], *options: str) -> Path:
    height, width, _ = pictures[0].shape
    file = path.with_suffix(".raw")
    file.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    form = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{width}x{height}", "-r", "24"]
    ffmpeg(*form, "-i", str(file), *options, str(path))
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("film.mov", "prores_ks -profile:v 4444 -pix_fmt yuva444p10le"),
        ("film.avi", "png -pix_fmt rgba"),
        ("film.mkv", "ffv1 -pix_fmt yuva420p"),
        ("film.webm", "libvpx -pix_fmt yuva420p -auto-alt-ref 0 -b:v 2M"),
        ("vp9.mkv", "libvpx-vp9 -pix_fmt yuva420p -crf 10 -b:v 0"),
    ],
)
def test_the_colour_under_transparency_is_no_picture(tmp_path: Path, name: str, codec: str) -> None:
    picture = np.zeros((64, 96, 4), np.uint8)
    picture[..., :3] = (255, 0, 255)
    picture[16:48, 16:48] = (20, 160, 60, 255)
    path = raw(tmp_path / name, [picture] * 2, "-c:v", *codec.split())
    looked = read_metadata(path)
    assert looked.alpha
    pixels = read(path)[0].pixels / 65535  # colours multiplied by the opacity, and the opacity
    assert pixels.shape == (64, 96, 4)
    assert pixels[4:12, 60:90].max() < 0.02
    np.testing.assert_allclose(pixels[24:40, 24:40].mean((0, 1)), [20 / 255, 160 / 255, 60 / 255, 1], atol=0.03)


@pytest.mark.parametrize(
    ("primaries", "transfer"), [("bt2020", "bt2020-10"), ("smpte432", "bt709"), ("bt2020", "unknown")]
)
def test_wide_colours_of_standard_range_become_bt709(tmp_path: Path, primaries: str, transfer: str) -> None:
    coded = {"bt2020": (151, 77, 56), "smpte432": (168, 68, 55)}[primaries]  # what is (180, 60, 50) in BT.709
    matrix, space = ("bt2020", "bt2020nc") if primaries == "bt2020" else ("bt709", "bt709")
    tags = f"setparams=color_primaries={primaries}:color_trc={transfer}:colorspace={space}:range=tv"
    source = f"color=c=0x{bytes(coded).hex()}:s=64x48:r=24:d=0.1,format=gbrp"
    convert = f"{source},scale=out_color_matrix={matrix}:flags=accurate_rnd,format=yuv420p,{tags}"
    path = tmp_path / "wide.mkv"
    ffmpeg("-f", "lavfi", "-i", convert, "-c:v", "libx264", "-crf", "4", str(path))
    assert np.abs(read(path)[0].pixels[8:-8, 8:-8].mean((0, 1)) - (180, 60, 50)).max() < 12


def test_a_picture_that_changes_its_shape_keeps_its_proportions(tmp_path: Path) -> None:
    square = np.full((96, 96, 3), 200, np.uint8)
    wide, tall = video(tmp_path / "wide.ts", pan(3, 64, 96)), video(tmp_path / "square.ts", [square] * 3)
    path = tmp_path / "both.ts"
    path.write_bytes(wide.read_bytes() + tall.read_bytes())
    frames = read(path)
    assert len(frames) >= 5  # a decoder may drop one where the shape changes
    row = frames[-1].pixels[32].mean(axis=1)
    assert row[20:76].min() > 190 and row[:12].max() < 20 and row[-12:].max() < 20  # 64 of 96 columns, between bars


def stamped(path: Path, milliseconds: list[int]) -> Path:
    """A video with those times, whose container counts milliseconds and tells no rate."""
    expression = "+".join(f"eq(N,{number})*{time}" for number, time in enumerate(milliseconds))
    options = ["-fps_mode", "passthrough", "-vf", f"settb=1/1000,setpts='{expression}'", "-enc_time_base", "1/1000"]
    codec = ["-c:v", "libvpx", "-b:v", "2M", "-deadline", "realtime"]
    video(path, pan(len(milliseconds)), "30", *options, *codec)
    data = path.read_bytes()
    place = data.find(b"\x23\xe3\x83\x84")  # the usual duration of a frame, which browsers don't write
    path.write_bytes(data[:place] + b"\xec\x86" + bytes(6) + data[place + 8 :] if place > 0 else data)
    return path


@pytest.mark.parametrize(("mean", "due"), [(33.3, 30), (41.7, 24), (20, 50), (77, 12.99)])
def test_a_recording_without_a_rate_has_that_of_its_times(tmp_path: Path, mean: float, due: float) -> None:
    """And a variable rate is no damage."""
    jitter = np.random.default_rng(0).integers(-5, 6, 60)
    times = [int(mean * k + off + 5) for k, off in enumerate(jitter)]
    looked = read_metadata(stamped(tmp_path / "recording.webm", times))
    assert float(looked.fps) == pytest.approx(due, rel=0.03)
    with VideoReader(looked, (looked.height, looked.width)) as reader:
        assert len(list(reader)) == 60
    assert reader.damage is None and not list(reader.notes())


@pytest.mark.parametrize("kind", ["mpegts", "mpeg", "flv", "matroska", "live", "mp4", "fragmented", "asf", "ogg"])
def test_recordings_joined_by_their_bytes_are_read_to_the_end(tmp_path: Path, kind: str) -> None:
    codecs = {"mpeg": "mpeg2video", "asf": "wmv2", "ogg": "libtheora"}
    options = ["-c:v", codecs[kind], "-q:v", "10" if kind == "ogg" else "2"] if kind in codecs else []
    forms = {"fragmented": "-movflags frag_keyframe+empty_moov -f mp4", "live": "-f matroska -live 1"}
    options += forms.get(kind, f"-f {kind}").split()
    parts = [video(tmp_path / f"{seed}.x", pan(25, seed=seed), "25", *options) for seed in (1, 2, 3)]
    path = tmp_path / "it's joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    looked = read_metadata(path)
    with VideoReader(looked, (looked.height, looked.width)) as reader:
        frames = list(reader)
    assert len(frames) == 75
    steps = np.diff([float(frame.time) for frame in frames])
    assert steps.min() > 0 and steps.max() < 0.13  # an FLV's length has two frames more
    assert np.abs(frames[-1].pixels.astype(int) - pan(25, seed=3)[-1]).mean() < 8
    assert any("joined on" in note for note in reader.notes())


def test_too_many_recordings_in_one_file_are_refused(tmp_path: Path) -> None:
    header = b"FLV\x01\x01\0\0\0\x09\0\0\0\0"
    script_data = b"\x12" + bytes(10) + bytes(4)
    (tmp_path / "many.flv").write_bytes((header + script_data) * 2000)
    with pytest.raises(ValueError, match=r"many\.flv is made of too many recordings"):
        read_metadata(tmp_path / "many.flv")


def test_recordings_that_lie_hours_apart_last_as_long_as_their_pictures(tmp_path: Path) -> None:
    first = video(tmp_path / "first.ts", pan(25), "25", sound=True)
    ffmpeg("-i", str(first), "-c", "copy", "-output_ts_offset", "18000", str(tmp_path / "second.ts"))
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + (tmp_path / "second.ts").read_bytes())
    looked = read_metadata(path)
    assert looked.seconds == pytest.approx(2, abs=0.1)
    assert len(read(path)) == 50


def test_sound_that_outlasts_the_pictures_counts(tmp_path: Path) -> None:
    source, quiet = video(tmp_path / "short.mp4", pan(12), "12"), "anullsrc=sample_rate=48000:duration=6"
    path = tmp_path / "screen.mkv"
    ffmpeg("-i", str(source), "-f", "lavfi", "-i", quiet, "-c:v", "copy", "-c:a", "libopus", str(path))
    assert path.stat().st_size < 6 * video_metadata.THIN
    assert read_metadata(path).seconds == pytest.approx(6, abs=0.1)


def two_tracks(path: Path, default: int, first: str = "aac") -> Path:
    tones = "-f lavfi -i sine=frequency=440:duration=1 -f lavfi -i sine=frequency=880:duration=1".split()
    picture = video(path.with_name("picture.mp4"), pan(24))
    told = [f"-disposition:a:{number}" for number in range(2)]
    flags = [told[default], "default", told[1 - default], "0"]
    maps = ["-map", "0:v", "-map", "1:a", "-map", "2:a"]
    ffmpeg("-i", str(picture), *tones, *maps, "-c:v", "copy", "-c:a", "aac", "-c:a:0", first, *flags, str(path))
    return path


def test_the_default_track_is_heard_or_the_one_that_is_chosen(tmp_path: Path) -> None:
    path = two_tracks(tmp_path / "two.mkv", 1)
    assert (read_metadata(path).track, read_metadata(path).tracks) == (1, 2)
    assert read_metadata(two_tracks(tmp_path / "first.mkv", 0)).track == 0
    assert read_metadata(path, audio_track=1).track == 0
    with pytest.raises(ValueError, match="The audio track is 3, and two.mkv has 2 audio tracks"):
        read_metadata(path, audio_track=3)


def test_a_track_that_cannot_be_decoded_is_passed_over(tmp_path: Path) -> None:
    path = two_tracks(tmp_path / "two.mkv", 0, first="ac3")
    path.write_bytes(path.read_bytes().replace(b"A_AC3", b"A_XXX"))
    looked = read_metadata(path)
    assert (looked.track, looked.sound, looked.passed_over) == (1, True, True)


def test_the_first_stamp_may_be_any(tmp_path: Path) -> None:
    path = video(tmp_path / "late.ts", pan(6), "25", "-output_ts_offset", "95000")
    assert [frame.time - read(path)[0].time for frame in read(path)] == [Fraction(k, 25) for k in range(6)]
