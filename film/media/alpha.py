"""Transparency: frames with an opacity, and what they are over a ground.

A frame with transparency is (H, W, 4) float32: RGB multiplied by the opacity, and the opacity, all in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ImageColor

Frame: TypeAlias = npt.NDArray[np.float32]  # as `images.Frame`, with four channels or three
WHITE = (1.0, 1.0, 1.0)


def with_alpha(frame: Frame, opacity: Frame) -> Frame:
    """(H, W, 3) and (H, W), both in [0, 1] -> (H, W, 4): the colours multiplied by the opacity, and the opacity.

    In this form what is hidden has no colour, so that it can be blended, resized and moved as any other picture.
    """
    return np.concatenate([frame * opacity[..., None], opacity[..., None]], axis=2)


def over(frame: Frame, ground: Sequence[float]) -> Frame:
    """(H, W, 4) as `with_alpha` makes it -> the Frame over a ground of that colour; a Frame as it is."""
    if frame.shape[2] == 3:
        return frame
    return frame[..., :3] + (1 - frame[..., 3:]) * np.asarray(ground, np.float32)


def straight(frame: Frame) -> Frame:
    """(H, W, 4) as `with_alpha` makes it -> the same with colours as files have them, not multiplied."""
    opacity = np.clip(frame[..., 3:], 0, 1)
    colours = np.divide(frame[..., :3], opacity, out=np.zeros_like(frame[..., :3]), where=opacity > 0)
    return np.concatenate([np.clip(colours, 0, 1), opacity], axis=2)


def colour(name: str) -> tuple[float, float, float]:
    """A colour by its name or as #rrggbb -> RGB, 0 to 1. ValueError if there is none, or it is not opaque."""
    try:
        red, green, blue, *rest = ImageColor.getrgb(name)
    except (ValueError, AttributeError, TypeError):
        rest = [0]
    if rest and rest != [255]:
        raise ValueError(f"There is no opaque colour {name!r}; give a name such as white, or #rrggbb.")
    return red / 255, green / 255, blue / 255
