"""Train film-lite; stop it at any moment and start it again with the same command to go on.

    python -m training.train --clips DIR --run runs/one --init weights.npz --steps 5000

The run's folder gets `checkpoint.npz` (everything that going on needs), `weights.npz` (the averaged weights, for
training.evaluate and training.export) and `curves.png`.
KERAS_BACKEND chooses what computes; torch is the fastest on a CPU (see torch_network.py).
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from training import (
    arguments,
    batches,
    checkpoint,
    clips,
    curves,
    evaluate,
    initial,
    losses,
    muon,
    network,
    parallel,
)

WARM_UP = 100  # steps
BUNDLED = network.Config(8, (4, 32, 96, 192), (16, 32, 48, 64))  # film-lite's size
MEMORY = 20  # the averaged weights remember this fraction of the run: 1 / MEMORY
CLIP = 1.0  # largest norm of the gradient


class Adam(parallel.Shared, keras.optimizers.Adam):
    pass


class Muon(parallel.Shared, muon.Muon):
    pass


OPTIMIZERS = {
    "adam": lambda schedule: Adam(schedule, global_clipnorm=CLIP),
    # Every update has the same size, whatever the gradient's; only Adam's part could need clipping.
    "muon": lambda schedule: Muon(schedule, weight_decay=None, adam_weight_decay=None, global_clipnorm=CLIP),
}


class Student(keras.Model):
    """The network together with its loss, for `keras.Model.train_on_batch`."""

    def __init__(self, film: network.Film, steps: int, fuse: bool):
        super().__init__()
        self.film, self.steps, self.fuse = film, steps, fuse
        self.parts: dict[str, keras.metrics.Mean] = {}
        for name in losses.weights(0.0, fuse):
            self.parts[name] = keras.metrics.Mean(name=name)

    def call(self, inputs):
        return self.film(inputs, fuse=self.fuse)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        progress = ops.cast(self.optimizer.iterations, "float32") / self.steps
        terms = losses.terms(y_pred, {field: ops.convert_to_tensor(value) for field, value in y.items()})
        total = 0.0
        for name, weight in losses.weights(progress, self.fuse).items():
            self.parts[name].update_state(terms[name])
            total = total + weight * terms[name]
        return total


class Run:
    """A training run: its network, optimizer, averaged weights and history, kept in a folder. ValueError where the
    folder has a run that was begun otherwise: only steps and rate may change on the way."""

    def __init__(
        self, film: network.Film, folder: Path, steps: int, rate: float, fuse: bool = True, optimizer: str = "adam"
    ):
        self.film, self.folder, self.steps, self.fuse, self.optimizer = film, Path(folder), steps, fuse, optimizer
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=rate / 100,
            warmup_target=rate,
            warmup_steps=min(WARM_UP, steps // 10),
            decay_steps=steps,
        )
        self.student = Student(film, steps, fuse)
        # Just-in-time compilation is what makes JAX fast; TensorFlow on a CPU takes more time with it, not less.
        jit = keras.backend.backend() == "jax"
        self.student.compile(OPTIMIZERS[optimizer](schedule), jit_compile=jit)
        film.fusion.trainable = fuse  # its variables have no gradient without the picture
        self.student.optimizer.build(film.trainable_variables)
        self.average = self.values()
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.step = 0
        if self.checkpoint.exists():
            self.resume()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.npz"

    def values(self) -> dict[str, np.ndarray]:
        named = network.variables_by_name(self.film)
        return {name: ops.convert_to_numpy(variable).copy() for name, variable in named.items()}

    def moments(self) -> dict[str, np.ndarray]:
        """The optimizer's variables by number."""
        return {str(n): ops.convert_to_numpy(v) for n, v in enumerate(self.student.optimizer.variables)}

    def advance(self, inputs: dict, target: dict) -> dict[str, float]:
        """One step. Returns the parts of the loss."""
        terms = self.student.train_on_batch(inputs, target, return_dict=True)
        self.student.reset_metrics()
        self.step += 1
        # Early on the average remembers less, lest it keep the start for that long.
        share = max(min(1.0, MEMORY / self.steps), 1 / (1 + self.step))
        for name, value in self.values().items():
            self.average[name] += share * (value - self.average[name])
        return {name: float(value) for name, value in terms.items()}

    def note(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.history.setdefault(name, []).append((self.step, value))

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        history = {name: np.array(series) for name, series in self.history.items()}
        groups = {
            "option": {"optimizer": np.array(self.optimizer), "fuse": np.array(self.fuse)},
            "optimizer": self.moments(),
            "history": history,
            "value": self.values(),
            "average": self.average,
        }
        arrays = {f"{group}:{name}": value for group, named in groups.items() for name, value in named.items()}
        checkpoint.save(self.checkpoint, {"step": np.array(self.step)} | arrays)
        checkpoint.save(self.folder / "weights.npz", self.average)
        if history:
            curves.draw(history, self.folder / "curves.png")

    def resume(self) -> None:
        state = checkpoint.load(self.checkpoint)
        values, moments = checkpoint.group(state, "value"), checkpoint.group(state, "optimizer")
        now: dict[str, Any] = {"optimizer": self.optimizer, "fuse": self.fuse}
        # Older checkpoints do not say; the shapes tell most of it.
        begun = now | {name: value.item() for name, value in checkpoint.group(state, "option").items()}
        difference = None
        if begun != now:
            difference = f"{described(**begun)}, not {described(**now)}"
        elif shapes(values) != shapes(self.values()):
            difference = f"{network.Config.of(values, self.film.config.levels)}, not {self.film.config}"
        elif shapes(moments) != shapes(self.moments()):
            difference = f"something else than {described(**now)}"
        if difference:
            raise ValueError(f"{self.folder} was begun with {difference}; name another --run")
        self.step = int(state["step"])
        network.assign(self.film, values)
        self.average = checkpoint.group(state, "average")
        for n, value in moments.items():
            self.student.optimizer.variables[int(n)].assign(value)
        history = checkpoint.group(state, "history")
        self.history = {name: [(int(step), float(v)) for step, v in series] for name, series in history.items()}


def shapes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in arrays.items()}


def described(optimizer: str, fuse: bool) -> str:
    """A run's options as the command line has them."""
    return f"--optimizer {optimizer}{'' if fuse else ' --flow-only'}"


def train(run: Run, stream, validate: Callable[[dict], float] | None, every: int, say=print) -> None:
    """Advance `run` to its last step over `stream`, noting means, saving and validating every so many steps."""
    began, first, terms = time.monotonic(), run.step, []
    for inputs, target in stream:
        if run.step >= run.steps:
            break
        terms.append(run.advance(inputs, target))
        if run.step % every and run.step < run.steps:
            continue
        if parallel.rank():  # the first process speaks for all
            terms = []
            continue
        means = {name: float(np.mean([t[name] for t in terms])) for name in terms[0]}
        if validate:
            means["validation PSNR"] = validate(run.average)
        run.note(means)
        run.save()
        terms = []
        left = (time.monotonic() - began) / (run.step - first) * (run.steps - run.step)
        say(
            f"step {run.step} of {run.steps}, {left / 60:.0f} min left: "
            + ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        )
        if run.step >= run.steps:
            break


def kind(bfloat16: bool = False) -> Callable[[network.Config], network.Film]:
    """The way of computing the network that suits the backend; `bfloat16` is for torch's convolutions."""
    if keras.backend.backend() == "torch":
        import torch

        from training.torch_network import TorchFilm

        return partial(TorchFilm, dtype=torch.bfloat16 if bfloat16 else torch.float32)
    return network.Film


def beginning(options: argparse.Namespace) -> network.Film:
    """The network that a run of these options starts from: new, or with the variables of `--init`, grown where more
    filters are asked for. ValueError where it cannot be, or `--init` holds no network."""
    values = initial.read(options.init) if options.init else None
    config = network.Config.of(values) if values else BUNDLED
    config = replace(
        config,
        filters=options.filters or config.filters,
        flow_filters=tuple(options.flow_filters or config.flow_filters),
        fusion_filters=tuple(options.fusion_filters or config.fusion_filters),
    )
    grown = initial.grow(values, config, options.seed) if values else None
    film = network.build(config, options.seed, kind=kind(options.bfloat16))
    if grown:
        network.assign(film, grown)
    else:
        initial.pass_through(film)
    return film


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of .mp4 files to learn from")
    parser.add_argument("--validate", type=Path, metavar="DIR", help="folder of .mp4 files to score on meanwhile")
    parser.add_argument("--cache", type=Path, default=Path("runs/frames"), help="where decoded frames go")
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    parser.add_argument(
        "--init", type=Path, metavar="WEIGHTS", help="start from these: an .npz file or a SavedModel's directory"
    )
    sizes = parser.add_argument_group(
        "size", "Default: --init's, which can be grown; without --init the bundled model's."
    )
    positive = arguments.positive
    sizes.add_argument("--filters", type=positive, help="of the finest features")
    sizes.add_argument("--flow-filters", type=positive, nargs="+", help="of each flow predictor, finest level first")
    sizes.add_argument("--fusion-filters", type=positive, nargs="+", help="of each level of the fusion, finest first")
    parser.add_argument("--flow-only", action="store_true", help="train the flow and leave the fusion as it is")
    parser.add_argument("--steps", type=positive, default=5000)
    parser.add_argument("--every", type=positive, default=100, help="steps between two notes in the curves")
    parser.add_argument("--batch", type=positive, default=4)
    parser.add_argument("--processes", type=positive, default=1, help="with torch on a CPU: one per core is fastest")
    parser.add_argument(
        "--side",
        type=int,
        nargs="+",
        default=[192],
        help="of the square crops, or their height and width; multiples of 64",
    )
    parser.add_argument("--scenes", type=float, default=0.25, help="share of synthetic examples")
    parser.add_argument("--rate", type=float, default=5e-4, help="highest learning rate")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adam")
    parser.add_argument("--bfloat16", action="store_true", help="torch's convolutions in bfloat16: try which is faster")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    if len(options.side) > 2 or any(side < 64 or side % 64 for side in options.side):
        parser.error(f"--side is {options.side}; it takes one or two multiples of 64")
    size = options.side[0], options.side[-1]
    if options.batch % options.processes:
        parser.error(f"--batch {options.batch} cannot be shared evenly by --processes {options.processes}")
    if options.bfloat16 and keras.backend.backend() != "torch":
        parser.error(f"--bfloat16 needs KERAS_BACKEND=torch, not {keras.backend.backend()}")
    if options.processes > 1 and keras.backend.backend() != "torch":
        parser.error(f"--processes needs KERAS_BACKEND=torch, not {keras.backend.backend()}")
    with arguments.reading(parser):
        videos = clips.read(options.clips, options.cache / "train")
        unseen = clips.read(options.validate, options.cache / "validate") if options.validate else None
        film = beginning(options)
        run = Run(film, options.run, options.steps, options.rate, not options.flow_only, options.optimizer)
    if options.processes > 1:  # after all that could be refused, lest every process say it
        parallel.join(options.processes)
    validate = None
    if unseen and not parallel.rank():
        validate = evaluate.validator(network.build(film.config, kind=kind()), unseen)
    if not parallel.rank():
        print(f"{film.count_params():,} parameters; from step {run.step} of {run.steps}", flush=True)
    part, parts = parallel.rank(), options.processes
    feed = batches.Batches(videos, options.batch, size, options.seed, options.scenes, part, parts)
    train(run, feed.stream(run.step), validate, options.every, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
