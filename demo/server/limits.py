"""How much one request may ask: whole numbers in their ranges, names on their lists, pixels times frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import film
from demo.config import Config
from film.engine.bisection import MAX_DEPTH

LONGEST_SIDES = (512, 768, 1024, 1536, 2048)  # pixels
ORIGINAL = 0  # the longest side that stands for "as the photos are"
MEGAPIXEL = 1_000_000
TEXT = 500  # characters of a setting


def number(name: str, value: Any, low: float, high: float, whole: bool = False) -> Any:
    """`value` itself, as an int if `whole`. ValueError unless it is a number from `low` to `high`."""
    kind = "a whole number" if whole else "a number"
    usable = isinstance(value, (int, float, Fraction)) and not isinstance(value, bool) and low <= value <= high
    if not usable or (whole and value != int(value)):
        span = f"from {low:g} to {high:g}" if high < math.inf else f"of {low:g} or more"
        raise ValueError(f"{name} is {short(value)}; it must be {kind} {span}.")
    return int(value) if whole else value


def choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """`value` itself. ValueError unless it is one of `choices`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value not in choices:
        raise ValueError(f"{name} is {short(value)}, which is not in the list: {', '.join(map(str, choices))}.")
    return value


def text(name: str, value: Any) -> str | None:
    """`value` as a text without spaces around it, None for none. ValueError unless it is a short text or a number."""
    if value is None:
        return None
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and len(str(value)) <= TEXT:
        return str(value).strip() or None
    raise ValueError(f"{name} is {short(value)}; it must be a text of at most {TEXT} characters.")


@dataclass(frozen=True)
class Limits:
    """What one request may ask of this server."""

    models: Sequence[str]
    devices: Sequence[str]
    sides: Sequence[int]  # longest sides that can be chosen, in pixels; 0 stands for any
    depths: Sequence[int]
    megapixels: float  # of all frames of one film together
    photos: int  # of one film

    @classmethod
    def of(cls, config: Config) -> Limits:
        """As the host has set them, on this machine. ValueError for a model or a device that is not there."""
        models, devices = [model.name for model in film.models()], list(film.devices())
        for name, value, known in (("FILM_MODEL", config.model, models), ("FILM_DEVICE", config.device, devices)):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}.")
        sides = [side for side in LONGEST_SIDES if not 0 < config.max_side <= side] + [config.max_side or ORIGINAL]
        depths = range(1, min(config.max_depth, MAX_DEPTH) + 1)
        return cls(models, devices, sides, depths, config.max_megapixels, config.max_photos)

    def side(self, value: Any) -> Any:
        """A longest side that was sent as a text, as a number; all else as it is."""
        return next((side for side in self.sides if value == str(side)), value)

    def check_photos(self, photos: int) -> None:
        """ValueError for more photos than this server makes a film of."""
        if photos > self.photos:
            raise ValueError(f"These are {photos} photos; this server makes a film of at most {self.photos}.")

    def fits(self, frames: int, size: tuple[int, int]) -> bool:
        """Whether so many frames of this (height, width) are not too much."""
        return frames * math.prod(size) <= self.megapixels * MEGAPIXEL

    def check_film(self, frames: int, size: tuple[int, int], shorter: Callable[[int], str]) -> None:
        """ValueError if so many frames of this (height, width) are too much, with the numbers and what would fit.

        `shorter` says what to choose for a film of at most so many frames, or nothing.
        """
        if self.fits(frames, size):
            return
        height, width = size
        asked = frames * height * width / MEGAPIXEL
        fitting = int(self.megapixels * MEGAPIXEL) // (height * width)  # frames
        longest = max(size) * math.sqrt(self.megapixels / asked)
        sides = [f"a longest side of {side}" for side in sorted(self.sides) if 0 < side <= longest]
        advice = " or ".join(filter(None, [shorter(fitting), *sides[-1:]])) or "fewer frames and a smaller size"
        raise ValueError(
            f"{frames} frames of {width}x{height} are {asked:.0f} megapixels;"
            f" this server makes at most {self.megapixels:g} in one film: choose {advice}."
        )


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
