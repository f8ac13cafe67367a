"""The training loop: it learns, goes on after a kill, and is one command from clips to scores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SMALL_FILM
from tests.support.training_cases import LEAST, ROOT, SIDE, TINY, moving, needs_torch, write_clip

# isort: split
import cv2
import keras

from training import batches, checkpoint, evaluate, export, initial, muon, network, parallel, train

pytestmark = pytest.mark.training


def test_muon_moves_a_kernel_alike_in_all_directions() -> None:
    rng = np.random.default_rng(0)
    kernel, bias = keras.Variable(np.zeros((3, 3, 4, 8), np.float32)), keras.Variable(np.zeros(8, np.float32))
    scales = 10.0 ** -np.arange(8) * np.ones((3, 3, 4, 1))  # what the filters' gradients differ by
    optimizer = muon.Muon(0.01, weight_decay=None, adam_weight_decay=None)
    optimizer.apply(
        [(rng.normal(size=(3, 3, 4, 8)) * scales**0.2).astype(np.float32), np.ones(8, np.float32)], [kernel, bias]
    )
    step = keras.ops.convert_to_numpy(kernel).reshape(36, 8)
    lengths = np.linalg.svd(step, compute_uv=False)
    assert lengths.min() > 0.5 * lengths.max()  # five iterations come near to orthogonal, no nearer
    assert np.sqrt(np.mean(step**2)) == pytest.approx(0.2 * 0.01, rel=0.3)  # as large as Adam's
    np.testing.assert_allclose(keras.ops.convert_to_numpy(bias), -0.01, rtol=1e-3)


def new_run(folder: Path) -> train.Run:
    """With Muon, which leaves the biases to Adam: what both have to remember is there."""
    film = network.build(LEAST, seed=1)
    initial.pass_through(film)
    return train.Run(film, folder, steps=12, rate=3e-3, optimizer="muon")


def feed(videos: dict, start: int) -> Iterator[tuple[dict, dict]]:
    """The same four batches over and over: little enough to be learnt in a few steps."""
    while True:
        yield batches.Batches(videos, 4, (SIDE, SIDE), seed=0).batch(start % 4)
        start += 1


def test_learning_goes_on_after_a_kill(videos: dict, tmp_path: Path) -> None:
    whole = new_run(tmp_path / "whole")
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if whole.step == 8:  # what a run killed between here and the next checkpoint leaves
            shutil.copytree(tmp_path / "whole", tmp_path / "killed")

    train.train(whole, feed(videos, 0), lambda weights: 20.0, every=4, say=say)
    decibels = np.array(whole.history["decibels"])
    assert decibels[:, 0].tolist() == [4, 8, 12]
    assert decibels[-1, 1] < decibels[0, 1] - 0.5
    assert len(lines) == 3 and "min left" in lines[0] and "validation PSNR 20.0" in lines[0]
    assert cv2.imread(str(tmp_path / "whole" / "curves.png")) is not None
    assert checkpoint.load(tmp_path / "whole" / "weights.npz").keys() == whole.values().keys()

    resumed = new_run(tmp_path / "killed")
    assert resumed.step == 8
    train.train(resumed, feed(videos, resumed.step), None, every=4)
    np.testing.assert_allclose(resumed.history["loss"], whole.history["loss"], rtol=1e-3)
    for name, value in whole.average.items():
        np.testing.assert_allclose(resumed.average[name], value, rtol=1e-2, atol=1e-4, err_msg=name)


def test_a_run_goes_on_only_as_it_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    same = network.build(LEAST)

    def run(optimizer: str = "adam", fuse: bool = True, film: network.Film = same) -> train.Run:
        return train.Run(film, tmp_path, 10, 1e-3, fuse, optimizer)

    def refused(words: str, **options) -> None:
        with pytest.raises(ValueError, match=f"was begun with {words}.*; name another --run"):
            run(**options)

    begun = run()
    begun.step = 3
    begun.save()
    refused("--optimizer adam, not --optimizer muon", optimizer="muon")
    refused("--optimizer adam, not --optimizer adam --flow-only", fuse=False)
    refused(r"Config\(filters=4.*, not Config\(filters=5", film=network.build(replace(LEAST, filters=5)))
    write_clip(tmp_path / "clips" / "one.mp4", moving(3, 64))
    monkeypatch.setattr(train, "beginning", lambda options: same)
    places = ["--run", str(tmp_path), "--clips", str(tmp_path / "clips"), "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr(sys, "argv", ["train", *places, "--flow-only"])
    with pytest.raises(SystemExit):
        train.main()
    sentence = "was begun with --optimizer adam, not --optimizer adam --flow-only; name another --run"
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    # A checkpoint from before its options were in it.
    state = checkpoint.load(begun.checkpoint)
    checkpoint.save(begun.checkpoint, {name: v for name, v in state.items() if not name.startswith("option:")})
    assert run().step == 3
    refused("something else than --optimizer muon", optimizer="muon")
    refused("something else than --optimizer adam --flow-only", fuse=False)


@pytest.mark.parametrize(
    ("program", "options", "words"),
    [
        (train, "--clips nowhere", "no .mp4 file in nowhere"),
        (train, "--clips {clips} --validate nowhere", "no .mp4 file in nowhere"),
        (train, "--clips {clips} --steps 0", "--steps: '0' is no whole number of at least 1"),
        (train, "--clips {clips} --every 0", "--every: '0' is"),
        (train, "--clips {clips} --batch 0", "--batch: '0' is"),
        (train, "--clips {clips} --fusion-filters 4 4 4 4 4 4 4", "(4, 4, 4, 4, 4, 4, 4); it takes 1 to 6 numbers"),
        (train, "--clips {clips} --flow-filters 4 4 4 4 4 4 4 4 4", "it takes 4 to 7 numbers"),
        (train, "--clips {clips} --init {empty}", "empty.npz holds no network"),
        (train, "--clips {clips} --init {lite} --flow-filters 8 64 192 384 384", "cannot be grown"),
        (evaluate, "", "--clips, --triplets or --examples"),
        (evaluate, "--examples --model nowhere", "cannot load the SavedModel in nowhere"),
        (evaluate, "--clips nowhere", "no .mp4 file in nowhere"),
        (evaluate, "--clips {clips} --every 0", "--every: '0' is"),
        (evaluate, "--clips {short}", "2 frames of"),
        (evaluate, "--triplets nowhere", "no sub-folders with first.*, middle.* and last.* in nowhere"),
        (export, "--output new --weights nowhere.npz", "nowhere.npz holds no network"),
        (export, "--output new --weights {empty}", "empty.npz holds no network"),
        (export, "--output new --random 0 --filters 0", "--filters: '0' is"),
        (export, "--output {clips} --random 0", "clips holds one.mp4, which is no part of a SavedModel"),
    ],
)
def test_what_cannot_be_used_ends_a_command_in_one_sentence(
    program, options: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Before a network is built."""
    places = {name: tmp_path / name for name in ("clips", "short")} | {
        "empty": tmp_path / "empty.npz",
        "lite": SMALL_FILM,
    }
    write_clip(places["clips"] / "one.mp4", moving(3, 64))
    write_clip(places["short"] / "two.mp4", moving(2, 64))
    places["empty"].write_bytes(b"")
    arguments = options.format(**places).split()
    if program is not export:
        arguments += ["--cache", str(tmp_path / "cache")]
    if program is train:
        arguments += ["--run", str(tmp_path / "run")]
    monkeypatch.setattr(network, "build", None)
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    *usage, sentence = capsys.readouterr().err.splitlines()
    assert sentence.startswith("command: error: ") and words in sentence and usage[0].startswith("usage: ")
    assert {path.name for path in tmp_path.iterdir()} <= {"clips", "short", "empty.npz", "cache"}


def test_one_command_each_trains_exports_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write_clip(tmp_path / "train" / "one.mp4", moving(12, 96, seed=1))
    write_clip(tmp_path / "val" / "two.mp4", moving(12, 96, seed=2))

    def run(main, *options: object) -> str:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, options)])
        main()
        return capsys.readouterr().out

    data = ["--clips", tmp_path / "train", "--cache", tmp_path / "cache", "--batch", 1, "--side", 64]
    command = [*data, "--run", tmp_path / "run", *TINY, "--steps", 1]
    said = run(train.main, *command, "--validate", tmp_path / "val")
    assert "from step 0 of 1" in said and "validation PSNR" in said
    assert "from step 1 of 1" in run(train.main, *command)
    assert (tmp_path / "run" / "curves.png").exists()
    exported = run(export.main, "--weights", tmp_path / "run" / "weights.npz", "--output", tmp_path / "model")
    assert "parameters in" in exported
    clips_to_score = ["--clips", tmp_path / "val", "--cache", tmp_path / "cache" / "validate"]
    scores = run(evaluate.main, "--model", tmp_path / "model", *clips_to_score, "--json", tmp_path / "scores.json")
    average, _, model = json.loads((tmp_path / "scores.json").read_text())["all clips"].values()
    assert model[0] > average[0] - 3 and "| all clips | 3 |" in scores
    assert len(list((tmp_path / "cache" / "validate").iterdir())) == 1  # decoded once for both


def test_another_launchers_processes_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (parallel.rank(), parallel.processes()) == (0, 1)


@needs_torch
def test_processes_share_a_batch_and_stay_alike(tmp_path: Path) -> None:
    """Two processes with half a batch each learn what one process learns from the whole of it.
    They go on from their checkpoint."""
    write_clip(tmp_path / "train" / "one.mp4", moving(12, 96, seed=1))
    command = ["--clips", str(tmp_path / "train"), "--cache", str(tmp_path / "cache"), *TINY]
    command += ["--side", "64", "--every", "1", "--seed", "4", "--rate", "1e-3"]

    def run(name: str, processes: int, steps: int, batch: int = 2) -> tuple[str, np.ndarray]:
        arguments = [*command, "--run", str(tmp_path / name), "--processes", str(processes), "--steps", str(steps)]
        arguments += ["--batch", str(batch)]
        environment = os.environ | {"KERAS_BACKEND": "torch"}
        done = subprocess.run(
            [sys.executable, "-m", "training.train", *arguments],
            check=True, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        values = checkpoint.group(checkpoint.load(tmp_path / name / "checkpoint.npz"), "value")
        return done.stdout, np.concatenate([value.ravel() for value in values.values()])

    said, together = run("together", 2, 3)
    assert [line.split(",")[0] for line in said.splitlines()[1:]] == [f"step {n} of 3" for n in (1, 2, 3)]
    (_, alone), (_, half) = run("alone", 1, 3), run("half", 1, 3, batch=1)
    # Not to the digit: the flow's error is a mean over the pixels where it is known, those of a part or of the whole.
    assert np.linalg.norm(together - alone) < 0.4 * np.linalg.norm(half - alone)
    assert "from step 3 of 4" in run("together", 2, 4)[0]


def test_training_the_flow_alone_leaves_the_fusion(videos: dict, tmp_path: Path) -> None:
    film = network.build(LEAST, seed=1)
    run = train.Run(film, tmp_path, steps=10, rate=1e-3, fuse=False)
    before = run.values()
    run.advance(*batches.Batches(videos, 4, (SIDE, SIDE), seed=0).batch(0))
    changed = {name for name, value in run.values().items() if (value != before[name]).any()}
    assert {name.split("/")[0] for name in changed} == {"feat_net", "predict_flow"}
    assert run.average.keys() == network.variables_by_name(film).keys()


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, {"step": np.array(1)})

    def die(file, **arrays) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", die)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, {"step": np.array(2)})
    assert checkpoint.load(path)["step"] == 1
