"""What becomes of an upload as soon as it is chosen: taken, or refused in a sentence, long before Create is pressed."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo.server.job_requests import END_STEP
from demo.server.job_service import JobService
from demo.server.json_logging import hiding
from demo.server.messages import message
from demo.ui import html
from demo.ui.components import UNSHOWN
from film.media import images

logger = logging.getLogger("film.page")


class Uploads:
    """Methods handle events of the page: they return what an input holds now, and what `refused` tells."""

    def __init__(self, handler: JobService) -> None:
        self._handler = handler

    def check_photo(self, path: str | None, place: str) -> Any:
        """Refuse at once an upload that is no photo; show one that browsers do not know as a JPEG."""
        if path is None:
            return gr.skip()
        shown = path if Path(path).suffix.lower() not in UNSHOWN else str(Path(path).with_suffix(".jpg"))
        refusal = self._refusal(path, self._handler.check_photo)
        if shown != path and not refusal:
            refusal = self._refusal(path, partial(self._handler.sandbox.save_jpeg, target=shown))
        return None if refusal else shown, refused(refusal, place)

    def check_photos(self, paths: list[str], known: list[str]) -> tuple[Any, ...]:
        """Put new photos behind those that are there, in natural order of their names, and leave out what is none."""
        refusals: list[str] = []
        photos = [path for path in paths if path in known]
        for path in sorted((path for path in paths if path not in known), key=lambda path: images.natural(Path(path))):
            if len(photos) == self._handler.limits.photos:
                refusal = self._refusal(path, lambda _: self._handler.limits.check_photos(len(paths)))
            else:
                refusal = self._refusal(path, self._handler.check_photo)
            (refusals if refusal else photos).append(refusal or path)
        return photos, photos, refused(" ".join(dict.fromkeys(refusals)), "many")

    def check_video(self, path: str | None) -> Any:
        """Refuse at once an upload that is no video, or of which nothing can be made."""
        if path is None:
            return gr.skip()
        refusal = self._refusal(path, self._handler.check_video)
        return None if refusal else gr.skip(), refused(refusal, "clip")

    def _refusal(self, path: str, check: Callable[[str], object]) -> str:
        """Why a check refuses a file; empty if it does not."""
        try:
            check(path)
        except Exception as error:
            logger.info("not taken: %s", error, extra=hiding([path]))
            return message(error)
        return ""

    def contact_sheet(self, photos: list[str]) -> str:
        """The photos in their order, as far as they can be opened."""
        return html.sheet_html([self._handler.thumbnail(photo) for photo in photos])

    def reordered(self, photos: list[str], chosen: gr.EventData) -> list[str]:
        """The photos in another order, or fewer, as the sheet was clicked or dragged."""
        order = [place for place in getattr(chosen, "order", []) if isinstance(place, int) and 0 <= place < len(photos)]
        return [photos[place] for place in dict.fromkeys(order)]

    def trim(self, path: str | None) -> tuple[Any, Any, Any]:
        """Where the part of a video begins and ends: at first the whole video. Hidden where its length is unknown."""
        try:
            seconds = self._handler.video_probe.look(path).seconds if path else None
        except (ValueError, RuntimeError, OSError):
            seconds = None
        if not seconds or seconds < 2 * END_STEP:
            return gr.update(visible=False), gr.update(value=0), gr.update(value=0)
        whole = math.floor(seconds / END_STEP) * END_STEP
        ends = gr.update(maximum=whole, value=0), gr.update(maximum=whole, value=whole)
        return gr.update(visible=True), *ends

    def next_step(self, kind: str, first: Any, last: Any, photos: Any, video: Any, state: str) -> Any:
        """What to do next, unless a film is told of: "Choose two photos" goes when they are there, and so do errors."""
        there = {"two": first and last, "many": photos and len(photos) > 1, "video": video}.get(kind)
        return html.idle_html(bool(there)) if html.is_idle(state) else gr.skip()


def refused(refusal: str = "", place: str = "") -> Any:
    """Why an upload was not taken, in a line of its own, for a film may be in the making; without, the line goes."""
    again = html.button_html("Choose another", f"#{place} input[type=file]")
    return gr.update(value=html.error_html(refusal, again) if refusal else None, visible=bool(refusal))
