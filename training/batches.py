"""Endless batches for training, made ahead by a thread. Batch n depends on the seed and on n alone, so that a run that
was killed goes on with what it would have seen."""

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from training import clips, dis, scenes

AHEAD = 4  # batches ready before they are asked for


@dataclass(frozen=True)
class Batches:
    """Batches of `examples`, each of (height, width) `size`, from `videos`, clips of (N, H, W, 3) uint8 by name."""

    videos: Mapping[str, np.ndarray]
    examples: int
    size: clips.Size
    seed: int
    scenes: float = 0.25  # share of synthetic examples; the others are real motion
    part: int = 0  # which of several equal parts of each batch is made here ...
    parts: int = 1  # ... and how many there are

    def batch(self, number: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The network's inputs and the fields of `clips.Triplet`, each stacked to (examples, *size, channels)."""
        triplets = []
        start, end = (part * self.examples // self.parts for part in (self.part, self.part + 1))
        for n in range(start, end):
            rng = np.random.default_rng((self.seed, number, n))
            if rng.random() < self.scenes:
                triplets.append(scenes.sample(self.videos, self.size, rng))
            else:
                triplets.append(dis.teach(clips.sample(self.videos, self.size, rng)))
        target = {field: np.stack([getattr(t, field) for t in triplets]) for field in clips.Triplet._fields}
        time = np.full((len(triplets), 1), 0.5, np.float32)
        return {"x0": target["first"], "x1": target["last"], "time": time}, target

    def stream(self, start: int) -> Iterator[tuple]:
        """Batches `start`, `start` + 1, ... Close the generator to stop its thread."""
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
                    offer(self.batch(number))
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
