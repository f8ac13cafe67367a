"""Batches for training: crops of frames with the flows that the teacher found between them, augmented."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from training import scenes
from training.clips import usable

NAME = re.compile(r"(.+)\.(\d+)\.(\d+)\.(0\.\d+)\.npz")
ENLARGED = (1.3, 2.0)  # from ... to ... times
EVEN = 27.0  # dB between the teacher's picture and the true frame, from which on the true one is what is learnt


class Batch(NamedTuple):
    """Float32 tensors. Images are RGB in [0, 1]; flows lead from the target to (first, last), in full-size pixels."""

    first: torch.Tensor  # (B, 3, H, W)
    last: torch.Tensor
    target: torch.Tensor
    flow: torch.Tensor | None  # (B, 4, H/2, W/2), where it is known
    time: float


class Lesson(NamedTuple):
    path: Path
    clip: str
    first: int
    last: int
    time: float


def find(folder: Path, clips: Mapping[str, np.ndarray], side: tuple[int, int]) -> list[Lesson]:
    """The lessons of a folder whose frames hold a crop of that (height, width). ValueError if there are none."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        match = NAME.fullmatch(path.name)
        if match and all(np.greater_equal(clips[match[1]].shape[1:3], side)):
            found.append(Lesson(path, match[1], int(match[2]), int(match[3]), float(match[4])))
    if not found:
        raise ValueError(
            f"there are no lessons of {side[0]} x {side[1]} pixels in {folder}; python -m training.teacher writes them"
        )
    return found


def crop(
    lesson: Lesson, clips: Mapping[str, np.ndarray], side: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Images (3, H, W, 3) uint8, first, target and last, and flow (4, H/2, W/2): one part of a lesson, sides even. Some
    parts are enlarged: their motion is larger than the clips' own."""
    frames = clips[lesson.clip]
    with np.load(lesson.path) as file:
        flow, truth, psnr = file["flow"], int(file["truth"]), float(file["psnr"])
        target = frames[truth] if truth >= 0 and psnr >= EVEN else file["picture"]
    scale = rng.uniform(*ENLARGED) if rng.random() < 0.35 else 1.0
    half = [round(s / scale / 2) for s in side]  # sides of the part at half size, which is that of the flow
    top, left = (int(rng.integers(n // 2 - s + 1)) for n, s in zip(frames.shape[1:3], half, strict=True))
    part = np.s_[2 * top : 2 * (top + half[0]), 2 * left : 2 * (left + half[1])]
    images = [frames[lesson.first][part], target[part], frames[lesson.last][part]]
    flow = flow[:, top : top + half[0], left : left + half[1]].astype(np.float32)
    if scale > 1:
        size = side[1], side[0]
        images = [cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_CUBIC) for image in images]
        grown = np.tile(np.float32([side[1] / (2 * half[1]), side[0] / (2 * half[0])]), 2)  # x, y, x, y
        planes = [cv2.resize(plane, (side[1] // 2, side[0] // 2)) for plane in np.ascontiguousarray(flow)]
        flow = np.stack(planes) * grown[:, None, None]
    return np.stack(images), flow


def augmented(
    images: np.ndarray, flow: np.ndarray, time: float, reverse: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mirrored, turned upside down, brightness and colours changed, and reversed in time if wanted. Images (3, H, W, 3)
    in [0, 1], flow (4, h, w)."""
    if reverse:
        images, flow, time = images[::-1], flow[[2, 3, 0, 1]], 1 - time
    if rng.random() < 0.5:
        images, flow = images[:, :, ::-1], flow[:, :, ::-1] * np.float32([-1, 1, -1, 1])[:, None, None]
    if rng.random() < 0.3:
        images, flow = images[:, ::-1], flow[:, ::-1] * np.float32([1, -1, 1, -1])[:, None, None]
    if rng.random() < 0.2:
        images = images[..., rng.permutation(3)]
    gain, shift = rng.uniform(0.75, 1.25), rng.uniform(-0.08, 0.08)
    return np.clip(images * np.float32(gain) + np.float32(shift), 0, 1), flow, time


def synthetic(clips: Mapping[str, np.ndarray], size: int, side: tuple[int, int], rng: np.random.Generator) -> Batch:
    """A batch of synthetic scenes."""
    time = float(rng.choice([0.5, rng.uniform(0.08, 0.92)]))
    made = []
    for _ in range(size):
        images, flow = scenes.sample(clips, side, time, rng)
        flow = flow.reshape(4, side[0] // 2, 2, side[1] // 2, 2).mean((2, 4))
        made.append(augmented(images, flow, time, False, rng))
    return batch(made)


def neighbours(clips: Mapping[str, np.ndarray], size: int, side: tuple[int, int], rng: np.random.Generator) -> Batch:
    """A batch of three frames that follow each other, the one in the middle to be made, with no flow: what a teacher
    cannot tell, motion of parts of a pixel, the frames themselves do. Parts in which hardly anything moves are left
    out."""
    names = [name for name, frames in clips.items() if all(np.greater_equal(frames.shape[1:3], side))]
    shares = np.array([len(clips[name]) for name in names], np.float64) ** 0.6
    made: list[tuple[np.ndarray, np.ndarray, float]] = []
    nothing = np.zeros((4, 1, 1), np.float32)
    while len(made) < size:
        frames = clips[names[rng.choice(len(names), p=shares / shares.sum())]]
        start = int(rng.integers(len(frames) - 2))
        top, left = (int(rng.integers(n - s + 1)) for n, s in zip(frames.shape[1:3], side, strict=True))
        images = frames[start : start + 3, top : top + side[0], left : left + side[1]]
        if usable(*images):
            made.append(augmented(images.astype(np.float32) / 255, nothing, 0.5, rng.random() < 0.5, rng))
    return batch(made)._replace(flow=None)


def batch(made: list[tuple[np.ndarray, np.ndarray, float]]) -> Batch:
    images, flows, times = zip(*made, strict=True)
    stack = torch.from_numpy(np.stack(images).transpose(1, 0, 4, 2, 3).astype(np.float32))  # (3, B, 3, H, W)
    return Batch(stack[0], stack[2], stack[1], torch.from_numpy(np.stack(flows)), float(np.mean(times)))


def draw(
    lessons: list[Lesson],
    clips: Mapping[str, np.ndarray],
    size: int,
    side: tuple[int, int],
    largest: float,
    rng: np.random.Generator,
) -> Batch:
    """A batch of `size` crops at about one time. Crops in which hardly anything moves, or more than `largest` pixels
    on average towards one photo, are mostly drawn again."""
    time = float(np.clip(rng.choice([0.5, rng.uniform(0.08, 0.92)]), 0.08, 0.92))
    near = rng.choice(len(lessons), 64 * size)
    # Reversed in time, a lesson for `t` is one for 1 - t.
    order = sorted(near, key=lambda n: min(abs(lessons[n].time - time), abs(1 - lessons[n].time - time)))
    made: list[tuple[np.ndarray, np.ndarray, float]] = []
    for n in order:
        lesson = lessons[n]
        images, flow = crop(lesson, clips, side, rng)
        length = np.abs(flow).mean()
        if (length > largest or length < 0.4) and rng.random() < 0.9:
            continue
        reverse = abs(1 - lesson.time - time) < abs(lesson.time - time)
        made.append(augmented(images.astype(np.float32) / 255, flow, lesson.time, reverse, rng))
        if len(made) == size:
            break
    return batch(made)
