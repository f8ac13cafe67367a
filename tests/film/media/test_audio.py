"""A source's sound under the film made from it: in place, of its pitch, as long as the film, or refused."""

import os
import re
import resource
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

import film
from film.media import ffmpeg, video_writer
from film.media.audio import Sound, arguments
from tests.film.media.test_video_segments import in_segments
from tests.support.clips import decoded, duration, encoders, numbered, times, words

FPS = 25
BURST = 0.2  # seconds of tone at every full second, silence between


def source(path: Path, *codec: str, video_late: float = 0.0, sound_late: float = 0.0, more: Sequence[str] = ()) -> Path:
    """Six seconds of video whose tones begin at every full second after `sound_late`."""
    tone = f"aevalsrc='if(lt(mod(t,1),{BURST}),0.5*sin(2*PI*440*t),0)':d=6:s=48000"
    command = ["-itsoffset", str(video_late), "-f", "lavfi", "-i", f"testsrc2=s=32x32:r={FPS}:d=6"]
    command += ["-itsoffset", str(sound_late), "-f", "lavfi", "-i", tone]
    command += ["-map", "0:v", "-map", "1:a", "-c:v", "libx264"]
    ffmpeg.run(*command, "-c:a", *codec, *more, str(path))
    return path


def samples(path: Path) -> np.ndarray:
    """The sound from the film's first moment on, 48000 samples a second, one channel, in [-1, 1]."""
    filters = "aresample=48000:async=1:first_pts=0"
    data = ffmpeg.run("-i", str(path), "-map", "0:a", "-af", filters, "-ac", "1", "-f", "s16le", "-")
    return np.frombuffer(data, np.int16) / 32768


def bursts(sound: np.ndarray, length: float) -> list[float]:
    """The middles of the tones, in seconds: where their energy has its centre."""
    energy = np.convolve(sound**2, np.ones(480) / 480, "same")
    loud = np.flatnonzero(energy > 0.01)
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > 48000 * length / 2) + 1) if len(loud) else []
    return [float(np.average(group, weights=energy[group])) / 48000 for group in groups]


def pitch(sound: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound * np.hanning(len(sound))))) * 48000 / len(sound))


def with_sound(folder: Path, suffix: str, seconds: float, sound: Sound) -> Path:
    lossless = video_writer.needs_lossless(f"film{suffix}")
    segments = in_segments(folder / "segments", numbered(round(seconds * FPS), 32, 32), FPS, lossless=lossless)
    return video_writer.write(segments, folder / f"film{suffix}", sound=sound)


CLIPS = {
    "together.mp4": (("aac",), 0.0, 0.0),
    "sound-late.mp4": (("aac",), 0.0, 0.48),
    "video-late.mkv": (("libopus",), 0.48, 0.0),
    "not-copied.mov": (("pcm_s16le",), 0.0, 0.48),
}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.slow
def test_sound_stays_with_the_picture(out: Path, clip: str, suffix: str) -> None:
    """Whichever begins first in the source, copied or encoded, from its beginning or its middle."""
    codec, video_late, sound_late = CLIPS[clip]
    path = source(out / clip, *codec, video_late=video_late, sound_late=sound_late)
    for start, seconds in ((times(path)[0], 4.0), (2.24, 3.0)):
        film_path = with_sound(out, suffix, seconds, Sound(path, start=start))
        expected = [k + sound_late - start + BURST / 2 for k in range(6)]
        whole = [middle for middle in expected if BURST / 2 <= middle <= seconds - BURST / 2]
        heard = [middle for middle in bursts(samples(film_path), 1) if BURST / 2 <= middle <= seconds - BURST / 2]
        np.testing.assert_allclose(heard, whole, atol=0.006)
        assert duration(film_path) == pytest.approx(seconds, abs=0.02)
        assert len(decoded(film_path)) == round(seconds * FPS)


@pytest.mark.slow
def test_sound_that_the_container_takes_is_copied(out: Path) -> None:
    def packets(path: Path) -> set[bytes]:
        hashes = ffmpeg.run("-i", str(path), "-map", "0:a", "-c", "copy", "-f", "framehash", "-")
        return set(re.findall(rb"[0-9a-f]{64}", hashes))

    for name, codec, taker in (("clip.mp4", "aac", ".mp4"), ("clip.mkv", "libopus", ".webm")):
        path = source(out / name, codec)
        for suffix in (".mp4", ".webm"):
            written = packets(with_sound(out, suffix, 2, Sound(path)))
            assert written and (written <= packets(path)) == (suffix == taker)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("slowdown", [Fraction(5, 4), 6])
@pytest.mark.slow
def test_slow_sound_keeps_its_pitch_and_its_place(out: Path, suffix: str, slowdown: int | Fraction) -> None:
    path = source(out / "clip.mp4", "aac", sound_late=0.48)
    start, seconds = 0.2, 3.2 * float(slowdown)
    film_path = with_sound(out, suffix, seconds, Sound(path, slowdown, start))
    heard = samples(film_path)
    assert len(heard) / 48000 == pytest.approx(seconds, abs=0.001)
    assert duration(film_path) == pytest.approx(seconds, abs=0.02)
    expected = [(k + 0.48 + BURST / 2 - start) * float(slowdown) for k in range(3)]
    np.testing.assert_allclose(bursts(heard, float(slowdown)), expected, atol=0.004 * float(slowdown) + 0.006)
    assert pitch(heard) == pytest.approx(440, abs=2)


@pytest.mark.slow
def test_short_sound_ends_in_silence_when_it_is_encoded(out: Path) -> None:
    path = source(out / "clip.mp4", "aac")
    heard = samples(with_sound(out, ".webm", 8, Sound(path)))
    assert len(heard) / 48000 == pytest.approx(8, abs=0.001)
    assert np.abs(heard[int(6.1 * 48000) :]).max() < 0.01


def jumping(path: Path, jump: float) -> Path:
    """`source` whose sound jumps so many seconds ahead before the second tone."""
    source(path.with_suffix(".mov"), "pcm_s16le")
    moved = f"asetpts='PTS+gte(T,0.7)*{jump}/TB'"
    ffmpeg.run("-i", str(path.with_suffix(".mov")), "-c:v", "copy", "-af", moved, "-c:a", "pcm_s16le", str(path))
    return path


@pytest.mark.parametrize("slowdown", [1, 2])
@pytest.mark.slow
def test_a_gap_in_the_sound_is_silence(out: Path, slowdown: int) -> None:
    path = jumping(out / "clip.mkv", 2.5)
    heard = samples(with_sound(out, ".mp4", 6 * slowdown, Sound(path, slowdown)))
    expected = [(at + BURST / 2) * slowdown for at in (0, 3.5, 4.5, 5.5)]
    np.testing.assert_allclose(bursts(heard, slowdown), expected, atol=0.02 * slowdown)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="memory is limited by Linux")
@pytest.mark.parametrize("seconds", [2.0, 10_000.0])
@pytest.mark.slow
def test_a_gap_of_hours_in_the_sound_takes_no_memory(out: Path, seconds: float) -> None:
    """Whether it ends with the film or lies in it."""
    path = jumping(out / "clip.mkv", 9_000)
    inputs, outputs = arguments(Sound(path, 2), seconds, ".mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "level+info", "-nostats", "-i", str(path), *inputs, *outputs]
    command[-4:] = ["-c:a", "pcm_s16le", "-f", "null", "-"]  # as fast as it gets, and a gigabyte that nobody keeps
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (2**30, 2**30))
        _, said = process.communicate()
    assert process.returncode == 0 and "[error]" not in said
    kilobytes = re.search(r"audio:(\d+)KiB", said)
    assert kilobytes and int(kilobytes[1]) * 1024 / (2 * 48000) == pytest.approx(seconds, abs=0.02)  # 16 bits, mono


def test_sound_of_many_channels_becomes_two(out: Path) -> None:
    path = source(out / "clip.mov", "pcm_s16le", more=["-af", "pan=5.1(side)|FL=c0|FR=c0|FC=c0|LFE=c0|SL=c0|SR=c0"])
    for suffix in (".mp4", ".webm"):
        assert "stereo" in words(with_sound(out, suffix, 1, Sound(path)))


def test_a_source_without_sound_or_with_other_files_in_it_is_refused(out: Path) -> None:
    film.write_video(out / "silent.mp4", numbered(5))
    (out / "list.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{out / 'clip.ts'}\n#EXT-X-ENDLIST\n")
    (out / "list.txt").write_text(f"ffconcat version 1.0\nfile '{out / 'clip.ts'}'\n")
    source(out / "clip.ts", "aac")
    segments = in_segments(out / "segments", numbered(10))
    before = sorted(os.listdir(out))
    for name, reason in (("silent.mp4", "matches no streams"), ("list.m3u8", "whitelist"), ("list.txt", "whitelist")):
        for suffix in (".mp4", ".webm"):
            with pytest.raises(RuntimeError, match=f"ffmpeg failed: .*{reason}"):
                video_writer.write(segments, out / f"film{suffix}", sound=Sound(out / name))
    with pytest.raises(ValueError, match="slowed down by 0"):
        Sound(out / "clip.ts", 0)
    assert sorted(os.listdir(out)) == before and not encoders()
