"""Videos are decoded as they are shown: upright, in order, each frame at its time; and what is no video is refused."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from film.media import video_filters, video_metadata, video_reader
from film.media.video_reader import VideoReader, read_metadata
from tests.support.clips import encoders, fake_ffmpeg, ffmpeg, means, pan, read, video

LOSSY = 4.0  # mean difference that H.264 and 4:2:0 may leave, of 255


def test_frames_come_in_order_at_their_times(tmp_path: Path) -> None:
    pictures = pan(12)
    looked = read_metadata(video(tmp_path / "pan.mp4", pictures, "30000/1001"))
    assert (looked.height, looked.width, looked.fps, looked.sound) == (64, 96, Fraction(30000, 1001), False)
    assert looked.seconds == pytest.approx(12 * 1.001 / 30, abs=0.01)
    stills = read(looked)
    assert [still.time for still in stills] == [k * Fraction(1001, 30000) for k in range(12)]
    assert {still.duration for still in stills} == {Fraction(1001, 30000)}
    for still, picture in zip(stills, pictures, strict=True):
        assert np.abs(still.pixels.astype(int) - picture).mean() < LOSSY


def test_a_phone_held_upright(tmp_path: Path) -> None:
    """A rotation is a note in the file; what is decoded is upright."""
    sideways = video(tmp_path / "sideways.mp4", pan(3))
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", str(sideways), "-c", "copy", str(turned))
    looked = read_metadata(turned)
    assert (looked.height, looked.width) == (96, 64)
    upright = np.rot90(read(sideways)[0].pixels)
    assert np.abs(read(looked)[0].pixels.astype(int) - upright).mean() < 1


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    looked = read_metadata(video(tmp_path / "wide.mp4", pan(3), "24", "-aspect", "3:1"))
    assert (looked.height, looked.width) == (64, 192)


def test_a_variable_frame_rate(tmp_path: Path) -> None:
    even = video(tmp_path / "even.mp4", pan(12), "30")
    uneven = tmp_path / "uneven.mp4"
    ffmpeg("-i", str(even), "-vf", "select='not(eq(mod(n,4),2))'", "-fps_mode", "vfr", str(uneven))
    times = [round(still.time * 30) for still in read(uneven)]
    assert times == [0, 1, 3, 4, 5, 7, 8, 9, 11]


@pytest.mark.parametrize(("height", "matrix"), [(64, "smpte170m"), (720, "bt709")])
def test_colours_without_a_tag_are_what_players_take_them_for(tmp_path: Path, height: int, matrix: str) -> None:
    red = np.zeros((height, 128, 3), np.uint8)
    red[..., 0] = 200
    path = tmp_path / "red.mp4"
    untagged = ["-bsf:v", "h264_metadata=matrix_coefficients=2:colour_primaries=2:transfer_characteristics=2"]
    video(path, [red] * 3, "24", "-vf", f"scale=out_color_matrix={matrix}", "-colorspace", matrix, *untagged)
    assert np.abs(read(path)[0].pixels.astype(int) - red).max() < 6


def test_a_high_dynamic_range_becomes_an_ordinary_one(tmp_path: Path) -> None:
    path = tmp_path / "hlg.mp4"
    hlg = "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc:log-level=none"
    tags = ["-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc"]
    grey = "color=c=gray:s=64x64:r=24:d=0.2,format=yuv420p10le"
    ffmpeg("-f", "lavfi", "-i", grey, "-c:v", "libx265", "-x265-params", hlg, *tags, str(path))
    looked = read_metadata(path)
    assert "tonemap" in looked.filters
    (value, *_) = means(still.pixels for still in read(looked))
    assert 100 < value < 200


@pytest.mark.parametrize("untold", ["primaries", "matrix", "both"])
def test_a_high_dynamic_range_that_is_told_by_halves(tmp_path: Path, untold: str) -> None:
    """Only the transfer must be told: what is missing is taken for what comes with it."""
    path, tagged = tmp_path / "half.mp4", tmp_path / "whole.mp4"
    told = {"colorprim": "bt2020", "transfer": "smpte2084", "colormatrix": "bt2020nc", "log-level": "none"}
    left = {"primaries": ["colorprim"], "matrix": ["colormatrix"], "both": ["colorprim", "colormatrix"]}[untold]
    source = "testsrc2=s=64x64:r=24:d=0.2,format=yuv420p10le,setparams=color_primaries=unknown:colorspace=unknown"
    for file, without in ((tagged, []), (path, left)):
        tags = ":".join(f"{name}={value}" for name, value in told.items() if name not in without)
        ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx265", "-x265-params", tags, str(file))
    looked, whole = read_metadata(path), read_metadata(tagged)
    assert ("setparams" in looked.filters, "setparams" in whole.filters) == (True, False)
    for still, expected in zip(read(looked), read(whole), strict=True):
        np.testing.assert_array_equal(still.pixels, expected.pixels)


def test_what_cannot_be_decoded_is_refused_with_the_cause(tmp_path: Path) -> None:
    looked = read_metadata(video(tmp_path / "film.mp4", pan(3)))
    with pytest.raises(ValueError, match="film.mp4 holds no frame that can be decoded .*no path between colorspaces"):
        read(replace(looked, filters=f"setparams=colorspace=unknown:color_trc=smpte2084,{video_filters.TO_SDR}null"))


def interlaced(path: Path, pictures: Sequence[np.ndarray], *options: str) -> Path:
    """A video at 25 frames a second, of which each has the even rows of a picture and the odd ones of the next."""
    woven = ["-vf", "tinterlace=interleave_top,scale=out_color_matrix=bt709:interl=1", "-flags", "+ilme+ildct"]
    return video(path, pictures, "50", *woven, "-c:v", "mpeg2video", "-q:v", "2", *options)


def combs(pixels: np.ndarray) -> float:
    """How much more a row differs from the next than from the one after it."""
    rows = pixels.astype(float).mean(2)
    return float(np.abs(rows[1:-1] - rows[:-2]).mean() - np.abs(rows[2:] - rows[:-2]).mean())


def test_each_field_of_an_interlaced_video_is_a_frame_of_its_own_moment(tmp_path: Path) -> None:
    assert len(read(interlaced(tmp_path / "short.mpg", pan(2)))) == 2
    pictures = pan(24, step=6)
    looked = read_metadata(interlaced(tmp_path / "fields.mpg", pictures))
    stills = read(looked)
    assert looked.fps == 25 and looked.interlaced and len(stills) == 24
    assert np.diff([float(still.time) for still in stills]) == pytest.approx(1 / 50)
    assert max(combs(still.pixels) for still in stills) < 0
    for still, picture in zip(stills, pictures, strict=True):
        assert np.abs(still.pixels.astype(int) - picture)[8:-8].mean() < LOSSY


@pytest.mark.parametrize(
    ("name", "form"), [("disc.VOB", "vob"), ("camera.mod", "mpeg"), ("tape.mxf", "mxf"), ("old.asf", "asf")]
)
def test_what_is_read_singly_is_a_video_in_a_folder(tmp_path: Path, name: str, form: str) -> None:
    path = video(tmp_path / name, pan(3), "25", "-c:v", "wmv2" if form == "asf" else "mpeg2video", "-f", form)
    assert video_reader.is_video(path) and len(read(path)) == 3


def test_of_whole_frames_that_are_called_interlaced_each_counts_once(tmp_path: Path) -> None:
    """As on discs with films of 25 frames a second."""
    interlaced = ["-flags", "+ilme+ildct", "-x264-params", "tff=1"]
    looked = read_metadata(video(tmp_path / "film.mp4", pan(24, 96, 160), "25", "-crf", "8", *interlaced))
    assert looked.interlaced
    assert [still.time * 25 for still in read(looked)] == list(range(24))


def test_film_spread_over_fields_has_its_own_frames_again(tmp_path: Path) -> None:
    """3:2 pulldown, as of broadcasts and DVDs."""
    pictures = pan(48)
    whole = video(tmp_path / "whole.mp4", pictures, "24000/1001", "-crf", "4")
    path, interlaced = tmp_path / "film.ts", ["-flags", "+ilme+ildct", "-x264-params", "tff=1"]
    ffmpeg("-i", str(whole), "-vf", "telecine=pattern=23", "-c:v", "libx264", "-crf", "6", *interlaced, str(path))
    looked = read_metadata(path)
    assert looked.fps == Fraction(24000, 1001) and not looked.interlaced
    stills = read(looked)
    assert np.diff([float(still.time) for still in stills]) == pytest.approx(1.001 / 24, abs=1e-4)
    apart = [np.abs(still.pixels.astype(int) - picture).mean() for still, picture in zip(stills, pictures, strict=True)]
    assert sum(value < LOSSY for value in apart) >= 46  # one may be taken for the frame before


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("name", ["film.mp4", "film.webm", "film.gif", "film.avi"])
def test_a_progressive_video_is_not_touched(tmp_path: Path, name: str, count: int) -> None:
    kinds = {".webm": ["-c:v", "libvpx-vp9", "-pix_fmt", "yuv444p"], ".gif": ["-c:v", "gif", "-pix_fmt", "rgb8"]}
    kind = [*kinds.get(Path(name).suffix, []), "-vf", "setpts=PTS+mod(N\\,3)/60/TB", "-fps_mode", "vfr"]
    looked = read_metadata(video(tmp_path / name, pan(count), "20", *kind))
    assert (video_filters.DEINTERLACE in looked.filters) == (name != "film.gif")
    plain = read(replace(looked, filters=looked.filters.replace(video_filters.DEINTERLACE, "")))
    stills = read(looked)
    assert len(stills) == count
    for still, expected in zip(stills, plain, strict=True):
        assert still[1:] == expected[1:]
        np.testing.assert_array_equal(still.pixels, expected.pixels)


@pytest.mark.parametrize("name", ["quote'd.mp4", "-dash.mp4", "concat:a|b.mp4", "per%03dcent.mp4", "ünïcode 🎞.mp4"])
def test_any_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(video(tmp_path / "plain.mp4", pan(2)), path)
    assert len(read(path)) == 2


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("eggs, milk")
    (tmp_path / "empty.mp4").touch()
    source = video(tmp_path / "sound.mp4", pan(24), sound=True)
    ffmpeg("-i", str(source), "-vn", "-c", "copy", str(tmp_path / "only.m4a"))
    video(tmp_path / "tiny.mp4", pan(2, 8, 8))
    for name, message in (
        ("notes.mp4", "notes.mp4 is not a video this program reads"),
        ("empty.mp4", "empty.mp4 is not a video"),
        ("only.m4a", "only.m4a holds no video"),
        ("tiny.mp4", "tiny.mp4 is 8x8; both sides must be at least 16"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            read_metadata(tmp_path / name)
        assert str(tmp_path) not in str(error.value) and "0x" not in str(error.value)
    with pytest.raises(FileNotFoundError):
        read_metadata(tmp_path / "absent.mp4")
    with pytest.raises(ValueError, match="at most 0.001 megapixels"):
        read_metadata(source, max_pixels=1000)


def test_what_a_file_says_of_itself_is_not_taken_for_ffmpegs_word(tmp_path: Path) -> None:
    """Titles that look like ffmpeg's lines, and one that would keep a careless regular expression busy for hours."""
    source, plain, titled = video(tmp_path / "source.mkv", pan(3)), tmp_path / "plain.mkv", tmp_path / "titled.mkv"
    ffmpeg("-i", str(source), "-c", "copy", str(plain))
    expected = read_metadata(plain)
    shown = "[Parsed_showinfo_0 @ 0x1] [info] n: 0 pts: 9 duration: 9 sar:2/1 s:999x999"
    stream = "[info]   Stream #0:9: Audio: [info]   Duration: 09:00:00.0"
    titles = [f"x{end}{shown}{end}{stream}{end}[error] lies" for end in ("\n", "\r", "\v", "\u2028")]
    for title in [*titles, "showinfo pts:1 duration:x \v" * 4000]:
        ffmpeg("-i", str(source), "-c", "copy", "-metadata", f"title={title}", str(titled))
        looked = read_metadata(titled)
        assert replace(looked, path=plain) == expected
        with VideoReader(looked, (looked.height, looked.width)) as decoder:
            assert [still.time for still in decoder] == [still.time for still in read(expected)]
        assert decoder.damage is None


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    segment = video(tmp_path / "secret.ts", pan(4))
    hls = tmp_path / "list.mp4"
    hls.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.1,\n{segment}\n#EXT-X-ENDLIST\n")
    concat = tmp_path / "script.mp4"
    concat.write_text(f"ffconcat version 1.0\nfile '{segment}'\n")
    for path in (hls, concat):
        with pytest.raises(ValueError, match="is not a video"):
            read_metadata(path)


def test_a_damaged_middle_is_told_and_the_rest_is_used(tmp_path: Path) -> None:
    path = video(tmp_path / "film.mp4", pan(60), "24", "-g", "12", "-movflags", "+faststart")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[start : start + 400] = bytes(400)
    path.write_bytes(data)
    looked = read_metadata(path)
    with VideoReader(looked, (looked.height, looked.width)) as decoder:
        stills = list(decoder)
    assert 40 <= len(stills) <= 60
    assert decoder.damage and decoder.damage.startswith("film.mp4 is damaged; what could be read was used (")
    path.write_bytes(data[: len(data) * 2 // 3])
    with VideoReader(looked, (looked.height, looked.width)) as decoder:
        assert 20 <= len(list(decoder)) < 60
    assert decoder.damage


def test_leaving_early_ends_ffmpeg(tmp_path: Path) -> None:
    looked = read_metadata(video(tmp_path / "film.mp4", pan(90)))
    with VideoReader(looked, (640, 960)) as decoder:
        next(iter(decoder))
        assert encoders()
    assert not encoders()


@pytest.mark.slow
def test_a_stalled_ffmpeg_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "film.mp4", pan(3))
    looked = read_metadata(path)
    monkeypatch.setattr(video_metadata, "STALLED", 0.5)
    fake_ffmpeg(tmp_path, monkeypatch, "exec sleep 60")
    with pytest.raises(ValueError, match="nothing came of it in 0.5 s"):
        read_metadata(path)
    with pytest.raises(RuntimeError, match="gave no frame of film.mp4"), VideoReader(looked, (64, 96)) as decoder:
        next(iter(decoder))
    black = f"head -c {64 * 96 * 3} /dev/zero"
    for script, told in (
        (black, "did not tell when a frame of film.mp4 is shown"),
        (f"{black}; exec sleep 60", "gave no frame"),
    ):
        fake_ffmpeg(tmp_path, monkeypatch, script)
        with pytest.raises(RuntimeError, match=told), VideoReader(looked, (64, 96)) as decoder:
            next(iter(decoder))
