"""Video clips to train and measure on: decoded once into a cache of raw frames, which is read by memory mapping."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np

STRIDES = (1, 2, 4)  # frames from the first to the middle one, and from there to the last
FEWEST = 3  # frames of a clip: one triplet
STILL = 2.0  # mean difference of the end frames, of 255, under which hardly anything moves
REPEATED = 0.3  # ... of neighbours, under which one is a repetition of the other
CUT_RATIO = 3.0  # a middle frame so much nearer to one end than to the other lies beside a cut

Size = tuple[int, int]  # height and width in pixels


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
