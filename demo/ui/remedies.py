"""What solves a refusal, as a button beside it: the page presses or fills in what a visitor would."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from demo.server.job_requests import JobRequest, PhotoRequest, VideoRequest
from demo.server.job_service import BUSY

BUNDLED = "film-lite"
CREATE = "#create"


@dataclass(frozen=True)
class Remedy:
    """What is pressed, one after the other, once `fill`'s (selector, value) is typed in; `stage.js` does it."""

    label: str
    press: tuple[str, ...] = ()
    fill: tuple[str, str] | None = None

    def html(self) -> str:
        fill = f" data-fill='{escape(self.fill[0])}' data-value='{escape(self.fill[1])}'" if self.fill else ""
        press = escape("|".join(self.press))
        return f"<button type='button' class='remedy' data-press='{press}'{fill}>{escape(self.label)}</button>"


def choose_again(place: str) -> Remedy:
    """For an upload that was not taken; `place` is the input's."""
    return Remedy("Choose another", (f"#{place} input[type=file]",))


def with_depth(depth: int, label: str) -> Remedy:
    return Remedy(label, ("#measure input[value='depth']",), ("#depth input[type=number]", str(depth)))


def remedy(error: Exception, job_request: JobRequest | None, stage: str) -> Remedy | None:
    """What solves that error, which came at that stage; None where nothing on the page does."""
    if isinstance(error, BUSY):
        return Remedy("Try again", (CREATE,))
    if job_request is None:
        return None
    if isinstance(job_request, PhotoRequest) and not (all(job_request.photos) and len(job_request.photos) > 1):
        return Remedy("Take an example", ("#examples .gallery-item, #burst",))
    if isinstance(job_request, VideoRequest) and not job_request.video:
        return Remedy("Take the sample clip", ("#sample",))
    options = job_request.options
    if isinstance(error, RuntimeError) and stage in ("downloading", "converting") and options.model != BUNDLED:
        return Remedy("Make it with Quick", (f"#model input[value='{BUNDLED}']", CREATE))
    if isinstance(error, ValueError) and options.depth_bits != 8 and "bit" in str(error):
        return Remedy("Make it in 8 bits", ("#bits input[value='8']", CREATE))
    return None
