"""The history of a run as a picture."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402


def draw(history: dict[str, np.ndarray], path: Path) -> None:
    """One panel per series, (N, 2): step and value."""
    figure, panels = pyplot.subplots(len(history), 1, figsize=(8, 2.2 * len(history)), sharex=True, squeeze=False)
    for (name, series), panel in zip(sorted(history.items()), panels[:, 0], strict=True):
        panel.plot(series[:, 0], series[:, 1], marker="." if len(series) < 50 else "")
        panel.set_ylabel(name)
        panel.grid(alpha=0.3)
    panels[-1, 0].set_xlabel("step")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
