"""Models that honour the time: each moment directly from both photos, lazily, in order, whole and in tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

import film
from film.engine.compiled import Shape
from film.engine.session import DirectSession
from film.engine.tiling import TiledSession
from film.hub import convert, registry
from film.rendering import planning
from film.rendering.events import Done, Notice, Progress, Segment
from tests.conftest import moved, photo, psnr
from tests.support import clips


@pytest.fixture(scope="module")
def model() -> film.Film:
    loaded = film.load("film-lite", lanes=1, precision="exact")
    assert loaded.honours_time
    return loaded


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of all calls of the synthesizer from now on."""
    noted: list[float] = []
    real = DirectSession.start

    def start(session: DirectSession, left: Any, right: Any, time: float = 0.5) -> Any:
        noted.append(time)
        return real(session, left, right, time)

    monkeypatch.setattr(DirectSession, "start", start)
    return noted


def test_a_directory_of_variables_needs_no_tensorflow(pair: tuple, monkeypatch: Any) -> None:
    monkeypatch.setattr("film.hub.tensorflow_process._run", None)  # no process for TensorFlow can be started
    assert film.load(registry.BUNDLED / "film-lite").middle(*pair).shape == pair[0].shape


def test_24_frames_take_22_calls_and_each_photo_is_encoded_once(
    model: film.Film, pair: tuple, calls: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    monkeypatch.setattr(
        "film.engine.session.pad", lambda *a, real=film.engine.session.pad: encoded.append(1) or real(*a)
    )
    frames = []
    for k, frame in enumerate(model.frames(*pair, count=24)):
        assert len(calls) == min(k, 22)  # each when it is asked for
        frames.append(frame)
    assert calls == [k / 23 for k in range(1, 23)] and len(encoded) == 2
    np.testing.assert_array_equal(frames[0], pair[0])
    np.testing.assert_array_equal(frames[-1], pair[1])
    for k in (1, 11, 22):
        np.testing.assert_array_equal(frames[k], model.at(*pair, k / 23))
    assert len(calls) == 25 and len(list(model.frames(*pair, depth=3))) == 9 and len(calls) == 32


@pytest.mark.slow
def test_tiles_share_the_coarse_flow_of_the_whole_frame(model: film.Film) -> None:
    a, b = moved(384, 512)
    graphs = model.compile(Shape((384, 512), (256, 384), level=3)).graphs
    tiled = TiledSession(graphs, (384, 512), 64, True, overlap=128)
    for time in (0.5, 0.3):
        made = tiled.frame(tiled.start(tiled.keyframe(a), tiled.keyframe(b), time)())
        assert psnr(made, model.at(a, b, time)) >= 45


@pytest.mark.slow
def test_a_film_is_planned_made_stopped_and_resumed(model: film.Film, calls: list[float], tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{n}.png", moved(64, 96, n)[0]) for n in range(2)]
    assert planning.plan(photos, count=48, honours_time=True).calls == 46
    output = tmp_path / "film.mp4"
    for event in (events := film.interpolate(photos, model, output, count=48, fps=12, resume=True)):
        if isinstance(event, Segment):
            break
    events.close()
    stopped = len(calls)
    assert stopped < 46 and not output.exists()
    told = list(film.interpolate(photos, model, output, count=48, fps=12, resume=True))
    assert any(isinstance(event, Notice) and "earlier run" in event.text for event in told)
    assert len(calls) < stopped + 46  # what was there is not made again
    assert isinstance(told[-1], Done) and len(imageio.imread(output, plugin="FFMPEG")) == 48
    assert [event for event in told if isinstance(event, Progress)][-1].done == 48


def test_a_video_is_retimed_to_exact_times(model: film.Film, calls: list[float], tmp_path: Path) -> None:
    video = clips.video(tmp_path / "clip.mp4", clips.pan(4))
    *_, done = film.retime(video, model, tmp_path / "slow.mp4", slowdown=3)
    assert isinstance(done, Done) and done.frames == 12
    assert len(calls) == 6 and calls == pytest.approx([1 / 3, 2 / 3] * 3, abs=1e-9)  # bisection makes 5/16 and 11/16


@pytest.mark.tensorflow
def test_a_saved_model_that_honours_the_time_is_recognised(tmp_path: Path, pair: tuple) -> None:
    tf = pytest.importorskip("tensorflow")
    images = [tf.TensorSpec([None, None, None, 3], tf.float32, name=name) for name in ("x0", "x1")]
    module = tf.Module()
    module.mix = tf.function(
        lambda x0, x1, time: {"image": x0 + (x1 - x0) * tf.reshape(time, [-1, 1, 1, 1])},
        input_signature=[*images, tf.TensorSpec([None, 1], tf.float32, name="time")],
    )
    tf.saved_model.save(module, str(tmp_path / "mix"), signatures=module.mix)
    convert.convert(tmp_path / "mix", registry.cache_directory())
    model = film.load(tmp_path / "mix", precision="exact")
    model.middle(*pair)
    assert model.honours_time
    a, b = pair
    for k, frame in enumerate(model.frames(a, b, count=6)):
        np.testing.assert_allclose(frame, a + (b - a) * np.float32(k / 5), atol=1e-5)
