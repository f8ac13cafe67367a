"""What a host can choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Each field is read from the environment variable FILM_<NAME>."""

    host: str = "127.0.0.1"  # 0.0.0.0 on a Hugging Face Space
    port: int = 7860
    model: str = "film-lite"
    device: str = "CPU"
    max_depth: int = 8
    max_side: int = 0  # pixels; 0: photos may keep their size
    max_megapixels: float = 300.0  # of all frames of one film; any film of two photos at the default size has fewer
    max_photo_megapixels: float = 50.0  # as the best phones take them
    max_photos: int = 100  # of one film
    max_upload_mb: int = 30  # per photo
    max_video_mb: int = 200
    max_running: int = 2  # films made at the same time
    max_waiting: int = 20  # visitors in the line
    keep_minutes: float = 60.0  # how long uploads and films stay
    disk_gb: float = 4.0  # that uploads and films may take together

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        chosen: dict[str, Any] = {"host": "0.0.0.0"} if environment.get("SPACE_ID") else {}
        for field in fields(cls):
            name = f"FILM_{field.name.upper()}"
            if text := environment.get(name, "").strip():
                kind = type(getattr(cls, field.name))
                try:
                    chosen[field.name] = kind(text)
                    if kind is not str and not 0 <= chosen[field.name] < math.inf:
                        raise ValueError
                except ValueError:
                    whole = "whole " if kind is int else ""
                    raise ValueError(f"{name} is {text!r}; it must be a {whole}number, 0 or more.") from None
        return cls(**chosen)

    @property
    def max_upload_bytes(self) -> int:
        """Of any one file."""
        return max(self.max_upload_mb, self.max_video_mb) * 2**20
