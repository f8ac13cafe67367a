"""What a host can choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from demo.server.addresses import space_defaults


def at_least(least: float, default: float, most: float = math.inf) -> Any:
    """A field whose number is that or more, with less nothing could be made or kept; and no more than `most`."""
    return field(default=default, metadata={"least": least, "most": most})


LOCAL = ("127.0.0.1", "localhost", "::1")  # hosts that serve only this machine


@dataclass(frozen=True)
class Config:
    """Each field is read from the environment variable FILM_<NAME>; a number is 0 or more, if no more is asked."""

    host: str = "127.0.0.1"  # 0.0.0.0 on a Hugging Face Space
    port: int = at_least(1, 7860, most=65535)
    model: str = "film-lite"
    device: str = "CPU"
    max_depth: int = at_least(1, 8)
    max_side: int = 0  # pixels; 0: photos may keep their size
    # Of all frames of one film; any film of two photos at the default size has fewer. No limit where only this machine
    # is served, unless one is set.
    max_megapixels: float = at_least(0.01, 300.0)
    max_photo_megapixels: float = at_least(0.01, 50.0)  # as the best phones take them
    max_photos: int = at_least(2, 100)  # of one film
    max_upload_mb: int = at_least(1, 30)  # per photo
    max_video_mb: int = 200  # 0: no videos
    max_running: int = at_least(1, 2)  # films made at the same time
    max_waiting: int = 20  # visitors in the line
    keep_minutes: float = at_least(0.1, 60.0)  # how long uploads and films stay
    disk_gb: float = at_least(0.01, 4.0)  # that uploads and films may take together
    allowed_hosts: str = ""  # names this server goes by, with commas between; loopback names always do
    proxies: str = ""  # addresses or networks whose X-Forwarded-* headers are believed, with commas between
    max_per_address: int = at_least(1, 6)  # films of one address that are made or wait
    jobs_per_minute: int = at_least(1, 30)  # that one address may ask for
    files_per_minute: int = at_least(2, 300)  # that one address may upload
    requests_per_minute: int = at_least(60, 1500)  # of one address, of any kind; a page loads some 150 files

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Config:
        space = bool(environment.get("SPACE_ID"))
        chosen: dict[str, Any] = dict(space_defaults(environment)) if space else {}
        for each in fields(cls):
            name = f"FILM_{each.name.upper()}"
            if text := environment.get(name, "").strip():
                kind, least = type(getattr(cls, each.name)), each.metadata.get("least", 0)
                most = each.metadata.get("most", math.inf)
                try:
                    chosen[each.name] = kind(text)
                    if kind is not str and not (least <= chosen[each.name] <= most and chosen[each.name] < math.inf):
                        raise ValueError
                except ValueError:
                    whole = "whole " if kind is int else ""
                    span = f"from {least:g} to {most:g}" if most < math.inf else f"{least:g} or more"
                    raise ValueError(f"{name} is {text!r}; it must be a {whole}number, {span}.") from None
        if "max_megapixels" not in chosen and not space and chosen.get("host", cls.host) in LOCAL:
            chosen["max_megapixels"] = math.inf  # whoever serves only himself needs the estimate, and no limit
        return cls(**chosen)

    @property
    def max_upload_bytes(self) -> int:
        """Of any one file."""
        return max(self.max_upload_mb, self.max_video_mb) * 2**20
