"""What `pip install .` alone must do: import the package and make a frame with film-lite, without the extras."""

import importlib.util

import numpy as np

import film

EXTRAS = ("gradio", "mcp", "ray", "tensorflow", "tensorflow_hub")

there = [name for name in EXTRAS if importlib.util.find_spec(name)]
assert not there, f"A lean install has {', '.join(there)}."
first = np.random.default_rng(0).random((64, 96, 3), np.float32)
middle = film.load("film-lite").middle(first, first)
assert middle.shape == first.shape and np.abs(middle - first).mean() < 0.05, np.abs(middle - first).mean()
print(f"A lean install of film {film.__version__} makes a frame.")
