"""Write the network as a TensorFlow SavedModel with the signature and the variable names of the published FILM.

python -m training.export --weights weights.npz --float16 --output film/models/film-lite
python -m training.export --filters 64 --random 0 --output /tmp/full-size-film
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # a SavedModel is TensorFlow's, whatever backend did the training

import tensorflow as tf  # noqa: E402

from training import arguments, initial, network  # noqa: E402

SAVED = {"saved_model.pb", "fingerprint.pb", "variables", "assets"}  # what a SavedModel's directory holds


class SavedFilm(tf.__internal__.tracking.AutoTrackable):
    """What `tf.saved_model.load` gives back: `model(inputs, training=False)["image"]`, and `variables` under the
    published names. Keras names its TensorFlow variables "kernel" and "bias" alone, hence the copies.
    `stored` is their type in the file; what they compute is in float32."""

    def __init__(self, film: network.Film, stored: tf.DType):
        named = network.variables_by_name(film)
        self.variables = [tf.Variable(tf.cast(variable.numpy(), stored), name=name) for name, variable in named.items()]
        self._call_film = film.stateless_call  # a method, so that Keras' own variables are not saved as well

    @tf.function
    def __call__(self, inputs, training=False):
        outputs, _ = self._call_film([tf.cast(variable, tf.float32) for variable in self.variables], [], inputs)
        return {"image": outputs["image"]}

    @tf.function
    def serve(self, x0, x1, time):
        return self({"x0": x0, "x1": x1, "time": time})


def check(directory: Path) -> None:
    """ValueError where a model written to `directory` would replace anything but a model and its *.md."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ValueError(f"{directory} is a file; name another --output")
    others = sorted(path.name for path in directory.iterdir() if path.name not in SAVED and path.suffix != ".md")
    if others:
        raise ValueError(f"{directory} holds {others[0]}, which is no part of a SavedModel; name another --output")


def export(film: network.Film, directory: str | os.PathLike, stored: tf.DType = tf.float32) -> Path:
    """Write `film` to `directory`, its variables as `stored`: tf.float16 takes half the space.

    A model that is there is replaced once the new one is complete; its *.md stay. ValueError as of `check`."""
    directory = Path(directory)
    check(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    model = SavedFilm(film, stored)
    specs = {
        "x0": tf.TensorSpec((None, None, None, 3), tf.float32, name="x0"),
        "x1": tf.TensorSpec((None, None, None, 3), tf.float32, name="x1"),
        "time": tf.TensorSpec((None, 1), tf.float32, name="time"),
    }
    model.__call__.get_concrete_function(specs, training=False)
    signatures = {"serving_default": model.serve.get_concrete_function(**specs)}
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        tf.saved_model.save(model, str(new), signatures=signatures)
        (new / "assets").rmdir()
        if directory.exists():
            for card in directory.glob("*.md"):
                shutil.copy2(card, new)
            directory.rename(old)
        new.rename(directory)
    return directory


def trained(weights: Path) -> network.Film:
    """The network with the variables that a file or a SavedModel holds; ValueError where it holds none."""
    values = initial.read(weights)
    film = network.build(network.Config.of(values))
    network.assign(film, values)
    return film


def random(filters: int, seed: int) -> network.Film:
    """A network with FILM's proportions and random variables; 64 filters make the full-size FILM."""

    def share(full: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(max(2, n * filters // 64) for n in full)

    config = network.Config(filters, share(network.Config.flow_filters), share(network.Config.fusion_filters))
    return network.build(config, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, help="an .npz file or a SavedModel's directory")
    source.add_argument("--random", metavar="SEED", type=int, help="random variables instead")
    parser.add_argument(
        "--filters", type=arguments.positive, default=64, help="with --random: filters of the finest level"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", required=True)
    parser.add_argument("--float16", action="store_true", help="store the variables in half the space")
    options = parser.parse_args()
    stored = tf.float16 if options.float16 else tf.float32
    with arguments.reading(parser):
        check(options.output)
        film = trained(options.weights) if options.weights else random(options.filters, options.random)
    print(f"{film.count_params():,} parameters in {export(film, options.output, stored)}")


if __name__ == "__main__":
    main()
