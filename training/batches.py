"""Endless batches for training, made ahead by a thread. Batch n depends on the seed and on n alone, so that a run that
was killed goes on with what it would have seen."""

import queue
import threading
from collections.abc import Iterator, Mapping

import numpy as np

from training import clips, dis, scenes

SCENE_SHARE = 0.25  # of all examples; the others are real motion
AHEAD = 4  # batches ready before they are asked for


def batch(
    videos: Mapping[str, np.ndarray], number: int, size: int, side: int, seed: int, part: int = 0, parts: int = 1
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The network's inputs and the fields of `clips.Triplet`, each stacked to (size, side, side, channels); of several
    equal `parts` only that number `part`."""
    triplets = []
    for n in range(size)[part * size // parts : (part + 1) * size // parts]:
        rng = np.random.default_rng((seed, number, n))
        synthetic = rng.random() < SCENE_SHARE
        triplets.append(scenes.sample(videos, side, rng) if synthetic else dis.teach(clips.sample(videos, side, rng)))
    target = {field: np.stack([getattr(t, field) for t in triplets]) for field in clips.Triplet._fields}
    time = np.full((len(triplets), 1), 0.5, np.float32)
    return {"x0": target["first"], "x1": target["last"], "time": time}, target


def stream(
    videos: Mapping[str, np.ndarray], start: int, size: int, side: int, seed: int, part: int = 0, parts: int = 1
) -> Iterator[tuple]:
    """Batches `start`, `start` + 1, ..., or one part of each. Close the generator to stop its thread."""
    ready: queue.Queue = queue.Queue(AHEAD)
    stop = threading.Event()

    def offer(item) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        number = start
        try:
            while not stop.is_set():
                offer(batch(videos, number, size, side, seed, part, parts))
                number += 1
        except Exception as error:  # handed to whoever waits for the batch
            offer(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
