"""Training triplets from video clips: three frames at equal distance in time, cropped and augmented.

A folder of videos is decoded once into a cache of raw frames, which is then read by memory mapping: any frame of
any clip costs one page read. Sources that change only by brightness or not at all teach nothing about motion, a
cut teaches something false; both are drawn again.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

STRIDES = (1, 2, 4)  # frames from the first to the middle one, and from there to the last
STRIDE_SHARES = (0.35, 0.35, 0.3)
FEWEST = 3  # frames of a clip: one triplet
STILL = 2.0  # mean difference of the end frames, of 255, under which hardly anything moves
REPEATED = 0.3  # ... of neighbours, under which one is a repetition of the other
CUT_RATIO = 3.0  # a middle frame so much nearer to one end than to the other lies beside a cut
UNUSUAL = 0.15  # share of what hardly any film shows, each: a small network should know best what is common

Size = tuple[int, int]  # height and width in pixels


class Triplet(NamedTuple):
    """A training example, all arrays float32. Flows lead from the middle frame's pixels to where they come from."""

    first: np.ndarray  # (H, W, 3) RGB in [0, 1]
    middle: np.ndarray
    last: np.ndarray
    to_first: np.ndarray  # (H, W, 2) (dx, dy) in pixels
    to_last: np.ndarray
    known: np.ndarray  # (H, W, 1) 1 where the flows are known, 0 where not


def cached(video: Path, cache: Path) -> Path:
    """Where the frames of this very file go: another folder's clip of that name, or a later version, goes elsewhere."""
    state = video.stat()
    identity = repr((str(video.resolve()), state.st_size, state.st_mtime_ns))
    return cache / f"{video.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.npy"


def decode(video: Path, cache: Path) -> np.ndarray:
    """All frames of a video, (N, H, W, 3) uint8 RGB, read-only, memory-mapped from `cache`.
    ValueError where they are too few for a triplet."""
    raw = cached(video, cache)
    if not raw.exists():
        cache.mkdir(parents=True, exist_ok=True)
        capture = cv2.VideoCapture(str(video))
        frames = []
        while (read := capture.read())[0]:
            frames.append(read[1][..., ::-1])
        capture.release()
        if len(frames) < FEWEST:
            raise ValueError(
                f"OpenCV can decode {len(frames)} frames of {video}; it takes {FEWEST}: remove it or encode it anew"
            )
        scratch = raw.with_suffix(f".{os.getpid()}.part")  # other processes may be decoding the same clip
        with scratch.open("wb") as file:
            np.save(file, np.stack(frames))
        scratch.rename(raw)
    return np.load(raw, mmap_mode="r")


def read(folder: Path, cache: Path) -> dict[str, np.ndarray]:
    """Every .mp4 of a folder by name, decoded."""
    clips = {video.stem: decode(video, cache) for video in sorted(Path(folder).glob("*.mp4"))}
    if not clips:
        raise ValueError(f"there is no .mp4 file in {folder}")
    return clips


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two uint8 images."""
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def usable(first: np.ndarray, middle: np.ndarray, last: np.ndarray) -> bool:
    """Whether something moves through the three, without a repeated frame or a cut."""
    before, after = difference(first, middle), difference(middle, last)
    return (
        difference(first, last) > STILL
        and min(before, after) > REPEATED
        and max(before, after) < CUT_RATIO * min(before, after)
    )


def crop(frames: np.ndarray, size: Size, rng: np.random.Generator) -> np.ndarray:
    """One random part of all frames, (N, H, W, 3) -> (N, *size, 3): as it is, or from up to 1 / 0.6 as large."""
    _, height, width, _ = frames.shape
    scale = 1.0 if rng.random() < 0.6 else rng.uniform(0.6, 1.0)
    scale = max(scale, size[0] / height, size[1] / width)
    cut = min(round(size[0] / scale), height), min(round(size[1] / scale), width)
    top, left = rng.integers(height - cut[0] + 1), rng.integers(width - cut[1] + 1)
    part = frames[:, top : top + cut[0], left : left + cut[1]]
    if cut == size:
        return np.ascontiguousarray(part)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.stack([cv2.resize(np.ascontiguousarray(f), size[::-1], interpolation=method) for f in part])


def draw(clips: Mapping[str, np.ndarray], size: Size, rng: np.random.Generator) -> np.ndarray:
    """Three usable frames, (3, *size, 3) uint8, of a clip drawn by the square root of its length."""
    names = list(clips)
    shares = np.sqrt([len(clips[name]) for name in names])
    for _ in range(8):  # a still clip stays possible: the network must also leave alone what does not move
        frames = clips[names[rng.choice(len(names), p=shares / shares.sum())]]
        stride = int(rng.choice(STRIDES, p=STRIDE_SHARES))
        if len(frames) <= 2 * stride:
            continue
        start = rng.integers(len(frames) - 2 * stride)
        three = crop(frames[start : start + 2 * stride + 1 : stride], size, rng)
        if usable(*three):
            break
    else:
        start = rng.integers(len(frames) - 2)
        three = crop(frames[start : start + 3], size, rng)
    return three


def augment(triplet: Triplet, rng: np.random.Generator) -> Triplet:
    """Mirrored, reversed in time, brightness and contrast changed; seldom upside down, on its side or with its colour
    channels exchanged. Alike in all."""
    first, middle, last, to_first, to_last, known = triplet
    if rng.random() < 0.5:
        first, last, to_first, to_last = last, first, to_last, to_first
    images, flows = np.stack([first, middle, last]), np.stack([to_first, to_last])
    if rng.random() < 0.5:
        images, known = images[:, :, ::-1], known[:, ::-1]
        flows = flows[:, :, ::-1] * np.float32([-1, 1])
    if rng.random() < UNUSUAL:
        images, known = images[:, ::-1], known[::-1]
        flows = flows[:, ::-1] * np.float32([1, -1])
    if rng.random() < UNUSUAL and images.shape[1] == images.shape[2]:  # about the diagonal
        images, known = images.swapaxes(1, 2), known.swapaxes(0, 1)
        flows = flows.swapaxes(1, 2)[..., ::-1]
    if rng.random() < UNUSUAL:
        images = images[..., rng.permutation(3)]
    gain, shift = rng.uniform(0.8, 1.2), rng.uniform(-0.08, 0.08)
    images = np.clip(images * np.float32(gain) + np.float32(shift), 0, 1)
    return Triplet(*images, *flows, known)


def sample(clips: Mapping[str, np.ndarray], size: Size, rng: np.random.Generator) -> Triplet:
    """A training example of real motion; its flows are not known."""
    images = draw(clips, size, rng).astype(np.float32) / 255
    unknown = np.zeros((*size, 2), np.float32)
    return augment(Triplet(*images, unknown, unknown, unknown[..., :1]), rng)
