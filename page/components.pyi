"""The two parts of the page that Gradio does not have: a video that plays while it is made, and an unopened photo.

Gradio can stream a video output as an HLS playlist, but hands every chunk to the ffmpeg and ffprobe it finds on PATH.
The segments that come here are finished H.264 MPEG-TS whose timestamps continue, so they need neither and go into the
playlist as they are. In a handler, yield a `Segment` to append it, and `gr.update(value=path)` to show a complete film
in the stream's place; a stream that is cut short stays playable as far as it got.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.data_classes import FileData, FileDataDict, ImageData, MediaStreamChunk
from PIL import Image

import film
from film.images import to_uint8

UNSHOWN = {".heic", ".heif", ".tif", ".tiff"}  # photos that most browsers do not show

from gradio.events import Dependency

class Photo(gr.Image):
    """An image input that hands over the uploaded file as it is: only `film.read_image` decides what a photo is."""

    is_template = True  # in the browser this is the ordinary Image component

    def preprocess(self, payload: ImageData | None) -> str | None:
        return payload.path if payload else None

    def postprocess(self, value: Any) -> Any:
        if value is not None and Path(value).suffix.lower() in UNSHOWN:
            shown = Path(value).with_suffix(".jpg")
            Image.fromarray(to_uint8(film.read_image(value))).save(shown, quality=95, subsampling=0)
            self.temp_files.add(str(shown))  # deleted with the other files of the page
            value = shown
        return super().postprocess(value)
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component


@dataclass(frozen=True)
class Segment:
    """A stretch of film: MPEG-TS bytes, and how many seconds they last."""

    data: bytes
    duration: float


class LiveVideo(gr.Video):
    """A video output that, made with `streaming=True`, plays segments as they come."""

    is_template = True

    def postprocess(self, value: Any) -> Any:
        if value is None or isinstance(value, Segment):
            return value
        return FileData(path=str(value), orig_name=Path(value).name)

    async def stream_output(
        self, value: Any, output_id: str, first_chunk: bool
    ) -> tuple[MediaStreamChunk | None, FileDataDict]:
        playlist: FileDataDict = {
            "path": output_id,
            "is_stream": True,
            "orig_name": "film.ts",
            "meta": {"_type": "gradio.FileData"},
        }
        if value is None:
            return None, playlist
        return {"data": value.data, "duration": value.duration, "extension": ".ts"}, playlist

    async def flush_stream_output(self, output_id: str) -> MediaStreamChunk | None:
        return None

    def end_stream_output(self, output_id: str) -> None:
        pass

    async def combine_stream(
        self, stream: list[bytes], desired_output_format: str | None = None, only_file: bool = False
    ) -> FileData:
        """MPEG-TS segments of one timeline, laid end to end, are a film."""
        path = processing_utils.save_bytes_to_cache(b"".join(stream), "film.ts", cache_dir=self.GRADIO_CACHE)
        return FileData(path=path, orig_name="film.ts")
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component


def forget_streams(blocks: gr.Blocks, session: str | None) -> None:
    """Free the segments of a visitor's earlier films, which Gradio holds until the page is closed."""
    for streams in blocks.pending_streams.pop(session, {}).values():
        for stream in streams.values():
            stream.end_stream()