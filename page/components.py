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

UNSHOWN = {".heic", ".heif", ".tif", ".tiff"}  # photos that most browsers do not show
STREAM_BYTES = 256 * 2**20  # of live films that have ended but are still held, for all visitors together


class Photo(gr.Image):
    """An image input that hands over the uploaded file as it is: only `film.read_image` decides what a photo is."""

    is_template = True  # in the browser this is the ordinary Image component

    def preprocess(self, payload: ImageData | None) -> str | None:
        return payload.path if payload else None


class Amount(gr.Slider):
    """A slider that hands over whatever was sent: the handler says in a sentence what is wrong with it."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Choice(gr.Dropdown):
    """A dropdown that hands over whatever was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


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


def forget_streams(blocks: gr.Blocks, session: str | None) -> None:
    """Free the segments of a visitor's earlier films, which Gradio holds until the page is closed."""
    for streams in blocks.pending_streams.pop(session, {}).values():
        for stream in streams.values():
            stream.end_stream()


def limit_streams(blocks: gr.Blocks, limit: int = STREAM_BYTES) -> None:
    """Free the segments of films that have ended, the oldest first, until less than `limit` bytes of them are held.

    Gradio frees them when the page is closed, but a visitor who is no browser never says so.
    """
    held = {}
    for session, runs in list(blocks.pending_streams.items()):
        streams = [stream for run in list(runs.values()) for stream in list(run.values())]
        if all(stream.ended for stream in streams):
            held[session] = sum(len(segment["data"]) for stream in streams for segment in stream.segments)
    excess = sum(held.values()) - limit
    for session, size in held.items():
        if excess > 0:
            forget_streams(blocks, session)
            excess -= size
