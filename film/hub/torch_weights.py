"""PyTorch's files of weights, read without PyTorch and without running what they say.

Such a file is a zip that holds a pickle, which names tensors, and their numbers. A pickle can call anything; here it
can name an ordered dictionary and float tensors, and whatever else it names is refused before it is looked up.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 2**30  # bytes of all numbers
TYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "HalfStorage": np.dtype("<f2")}


def read(path: Path) -> dict[str, np.ndarray]:
    """Every tensor by its name, float32. ValueError if it is no such file, OSError if it cannot be opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise ValueError(f"it holds more than {LARGEST / 2**30:g} GB")
            (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            tensors = _Unpickler(archive, pickled).load()
    except zipfile.BadZipFile:
        raise ValueError(f"{path} is not a file of PyTorch weights.") from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle raises whatever it likes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} does not hold PyTorch weights alone: {reason}.") from error
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(value, np.ndarray) for name, value in tensors.items()
    ):
        raise ValueError(f"{path} does not hold tensors by name.")
    return {name.removeprefix("module."): value.astype(np.float32) for name, value in tensors.items()}


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, pickled: str) -> None:
        super().__init__(io.BytesIO(archive.read(pickled)))
        self._archive = archive
        self._folder = pickled.removesuffix("data.pkl")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in TYPES:
            return name  # only ever handed to `persistent_load`
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of weights")

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage not in TYPES or not str(key).isdecimal():
            raise pickle.UnpicklingError(f"it names {pid!r}")
        values = np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), TYPES[str(storage)])
        if len(values) != count:
            raise pickle.UnpicklingError(f"tensor {key} has {len(values)} numbers of {count}")
        return values


def _tensor(storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> np.ndarray:
    """A tensor that lies in its storage without gaps, as saved weights do."""
    count = math.prod(size)
    dense = tuple(math.prod(size[n + 1 :]) for n in range(len(size)))
    gaps = any(step != wanted for step, wanted, side in zip(stride, dense, size, strict=True) if side > 1)
    if gaps or min(offset, *size, 0) < 0 or offset + count > len(storage):
        raise pickle.UnpicklingError(f"a tensor of {size} with strides {stride} is not laid out as weights are")
    return storage[offset : offset + count].reshape(size)
