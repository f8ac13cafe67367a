"""What Gradio does not have: inputs that hand over what was sent, and a video that plays while it is made.

Gradio's own inputs open, convert or refuse what a visitor sends, each in its way. Here the request decides, in one
sentence. And Gradio hands every chunk of a streamed video to the ffmpeg and ffprobe it finds on PATH; the segments that
come here are finished H.264 MPEG-TS whose timestamps continue, and go into the HLS playlist as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.data_classes import FileData, FileDataDict, MediaStreamChunk
from gradio.route_utils import MediaStream
from pydantic import ValidationError

from demo.gradio_patches import write_no_stubs
from demo.server.limits import short

write_no_stubs()  # before there are classes

UNSHOWN = {".heic", ".heif", ".tif", ".tiff"}  # photos that most browsers do not show
STREAM_BYTES = 256 * 2**20  # of live films that have ended but are still held, for all visitors together


class Page(gr.Blocks):
    """Blocks that refuse a request of too few values, or of what is no file, in words, and leave the log alone."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        if len(inputs) < (count := len(block_fn.inputs)):
            names = ", ".join(str(block.label) for block in block_fn.inputs)
            raise gr.Error(f"{block_fn.name} takes {count} values, not {len(inputs)}: {names}.", print_exception=False)

    async def preprocess_data(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().preprocess_data(*arguments, **options)
        except ValidationError as error:
            raise gr.Error(
                f"{short(error.errors()[0]['input'])} is not a file that was uploaded. Upload it to /gradio_api/upload,"
                ' and name what that returns as {"path": ..., "meta": {"_type": "gradio.FileData"}}.',
                print_exception=False,
            ) from None


def as_sent(_: Any, payload: Any) -> Any:
    """What a value becomes before a handler gets it: nothing else."""
    return payload


def path_sent(_: Any, payload: Any) -> Any:
    return payload.path if payload else None


def paths_sent(_: Any, payload: Any) -> list[str]:
    return [file.path for file in payload or []]


def taken(kind: Any, preprocess: Any = as_sent) -> Any:
    """That component of Gradio's, which in the browser stays what it is, with a `preprocess` that refuses nothing."""
    return type(f"{kind.__name__}Input", (kind,), {"is_template": True, "preprocess": preprocess})


SliderInput, NumberInput, TextInput, RadioInput, CheckboxInput, DropdownInput = map(
    taken, (gr.Slider, gr.Number, gr.Textbox, gr.Radio, gr.Checkbox, gr.Dropdown)
)
PhotoInput, FilesInput = taken(gr.Image, path_sent), taken(gr.File, paths_sent)


@dataclass(frozen=True)
class StreamSegment:
    """A segment of the film as Gradio takes it: MPEG-TS bytes, and how many seconds they last."""

    data: bytes
    duration: float


class Video(gr.Video):
    """A video that hands over and shows files as they are.

    With `streaming=True` a handler may yield each `StreamSegment` as it comes, and then the complete film's path. A
    stream that is cut short stays playable as far as it got.
    """

    is_template, preprocess = True, path_sent

    def postprocess(self, value: Any) -> Any:
        if value is None or isinstance(value, StreamSegment):
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


def _streams(blocks: gr.Blocks, session: str | None) -> list[MediaStream]:
    """Of a visitor's films, the oldest first: their segments, which Gradio holds until the page is closed."""
    return [stream for run in list(blocks.pending_streams.get(session, {}).values()) for stream in run.values()]


def streamed(blocks: gr.Blocks, session: str | None) -> list[tuple[bytes, float]]:
    """The segments of a visitor's latest film that are held, and how many seconds each lasts."""
    return [(each["data"], each["duration"]) for stream in _streams(blocks, session)[-1:] for each in stream.segments]


def forget_streams(blocks: gr.Blocks, session: str | None) -> None:
    """Free the segments of a visitor's earlier films."""
    for stream in _streams(blocks, session):
        stream.end_stream()
    blocks.pending_streams.pop(session, None)


def limit_streams(blocks: gr.Blocks, limit: int = STREAM_BYTES) -> None:
    """Free the segments of films that have ended, the oldest first, until less than `limit` bytes of them are held.

    Gradio frees them when the page is closed, but a visitor who is no browser never says so.
    """
    held = {}
    for session in list(blocks.pending_streams):
        streams = _streams(blocks, session)
        if all(stream.ended for stream in streams):
            held[session] = sum(len(segment["data"]) for stream in streams for segment in stream.segments)
    excess = sum(held.values()) - limit
    for session, size in held.items():
        if excess > 0:
            forget_streams(blocks, session)
            excess -= size
