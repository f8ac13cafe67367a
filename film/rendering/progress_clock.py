"""How far a film is, and how long the rest will take."""

from __future__ import annotations

import time

from film.rendering.events import Progress
from film.rendering.inputs import Source
from film.rendering.renderer import RenderedFrames


class ProgressClock:
    """Counts the frames of a film from the moment it is constructed."""

    def __init__(self, source: Source) -> None:
        self.done = 0
        self.per_call: float | None = None  # seconds
        self._source = source
        self._begun = time.monotonic()
        self._calls = self._skipped = 0
        self._elsewhere = 0.0  # seconds that others worked for it, side by side

    def skip(self, frames: int) -> None:
        """Frames that need not be made."""
        self.done += frames
        self._skipped += frames

    def tick(self, made: RenderedFrames) -> Progress:
        """Frames were made."""
        self.done += made.frames
        self._calls += made.calls
        self._elsewhere += made.seconds or 0.0
        passed = time.monotonic() - self._begun
        total, left = max(self.done, self._source.frames), None
        if self._calls:
            self.per_call = (self._elsewhere or passed) / self._calls
            if self._source.calls is None or self._skipped:
                left = passed / (self.done - self._skipped) * (total - self.done)
            else:
                left = passed / self._calls * max(0, self._source.calls - self._calls)
        return Progress(self.done, total, made.frame, self.per_call, left, made.place)
