"""A FILM as TensorFlow knows it: the SavedModel. TensorFlow is imported here alone."""

from __future__ import annotations

import os
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from film.support import extras

NEED = "Reading a SavedModel"  # what TensorFlow is needed for, in a sentence
EXPECTED = "a FILM takes images x0 and x1 (and optionally time) and returns image"


def damage(directory: Path) -> str | None:
    """What is wrong with the files of a SavedModel, in TensorFlow's words; None if they are complete and undamaged.

    Reads every variable, which TensorFlow compares with the checksums it wrote.
    """
    if missing := missing_files(directory):
        return f"{missing[0]} is missing"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tf = extras.load("tensorflow", "tensorflow", NEED)
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
        if (directory / "variables").is_dir():
            variables = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
            for name in variables.get_variable_to_shape_map():
                variables.get_tensor(name)
    except Exception as error:  # OSError, protobuf's and TensorFlow's own errors: all mean "cannot be read"
        return " ".join(str(error).split()) or type(error).__name__
    return None


def missing_files(directory: Path) -> list[str]:
    """Which files a SavedModel lacks, judged by their names alone; needs no TensorFlow."""
    needed = ["saved_model.pb"]
    variables = directory / "variables"
    if variables.is_dir():
        # Every shard is named after how many there are: variables.data-00000-of-00002.
        counts = {int(file.name[-5:]) for file in variables.glob("variables.data-?????-of-?????")} or {1}
        shards = [f"variables.data-{k:05}-of-{count:05}" for count in counts for k in range(count)]
        needed += [f"variables/{name}" for name in ("variables.index", *shards)]
    return [name for name in needed if not (directory / name).is_file()]


class SavedModel:
    """Loads a SavedModel directory and calls it as FILM is called.

    Raises RuntimeError with TensorFlow's words when it cannot be loaded, ValueError when it is not a FILM.
    """

    def __init__(self, directory: Path) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # start-up notices about CPU features and missing GPUs
        self.directory = directory
        self._tf = extras.load("tensorflow", "tensorflow", NEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports pkg_resources, which says that it is deprecated
            hub = extras.load("tensorflow_hub", "tensorflow", NEED)
        self.takes_time = True
        try:
            self._loaded = hub.load(str(directory))
        except Exception as error:  # OSError, TypeError, protobuf's and TensorFlow's own errors
            raise RuntimeError(f"TensorFlow cannot load the SavedModel in {directory}: {error}") from error
        self._call = self._callable()

    @cached_property
    def variables(self) -> dict[str, npt.NDArray[np.float32]]:
        """Every variable by its TensorFlow name, without the `:0` some loaders append; float16 ones widened."""
        variables = getattr(self._loaded, "variables", ())
        values = {variable.name.removesuffix(":0"): variable.numpy() for variable in variables}
        halves = {name: value.astype(np.float32) for name, value in values.items() if value.dtype == np.float16}
        return values | halves

    def at(self, x0: npt.NDArray[np.float32], x1: npt.NDArray[np.float32], time: float) -> npt.NDArray[np.float32]:
        """The frames (B, H, W, 3) at `time` in (0, 1) between x0 and x1 (B, H, W, 3), H and W as suit the network.

        What takes no time makes the middle, whatever the time is.
        """
        return self._with_time(x0, x1, np.full((len(x0), 1), time, np.float32)).numpy()

    @cached_property
    def _with_time(self) -> Any:
        return self.traced(with_time=True)

    def traced(self, with_time: bool) -> Any:
        """A `tf.function` of (x0, x1), and time (B, 1) if wanted, with the one output `image`; what else FILM returns
        is pruned. Without a time it gives the middle."""
        tf = self._tf
        image, time = tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([None, 1], tf.float32)
        if with_time:
            return tf.function(lambda x0, x1, time: self._call(x0, x1, time), input_signature=[image, image, time])

        def middle(x0: Any, x1: Any) -> Any:
            # A constant that nothing reads would become an output of the converted graph.
            return self._call(x0, x1, tf.fill([tf.shape(x0)[0], 1], 0.5) if self.takes_time else None)

        return tf.function(middle, input_signature=[image, image])

    def _callable(self) -> Any:
        """A function of (x0, x1, time) that gives `image`: the serving signature, else the object itself.

        A Keras 2 model keeps the names of its inputs in the signature but calls the outputs after its layers; the
        official FILM is one.
        """
        found = []
        signature = getattr(self._loaded, "signatures", {}).get("serving_default")
        if signature is not None:
            inputs, outputs = set(signature.structured_input_signature[1]), set(signature.structured_outputs)
            if {"x0", "x1"} <= inputs <= {"x0", "x1", "time"} and "image" in outputs:
                self.takes_time = "time" in inputs
                if self.takes_time:
                    return lambda x0, x1, time: signature(x0=x0, x1=x1, time=time)["image"]
                return lambda x0, x1, time: signature(x0=x0, x1=x1)["image"]
            found.append(f"takes {', '.join(sorted(inputs))} and returns {', '.join(sorted(outputs))}")
        if callable(self._loaded):

            def call(x0: Any, x1: Any, time: Any) -> Any:
                return self._loaded({"x0": x0, "x1": x1, "time": time}, training=False)

            photo = np.zeros((1, 64, 64, 3), np.float32)
            try:
                if "image" in call(photo, photo, np.full((1, 1), 0.5, np.float32)):
                    return lambda x0, x1, time: call(x0, x1, time)["image"]
                found.append("returns something else when it is called")
            except Exception as error:  # whatever its code raises for inputs it was not made for
                words = str(error).strip() or type(error).__name__
                found.append(f"cannot be called so ({words.splitlines()[0]})")
        strange = " and ".join(found) or "has no signature and cannot be called"
        raise ValueError(f"The SavedModel in {self.directory} is not a FILM: {EXPECTED}; this one {strange}.")
