"""What Gradio does not have: a video that plays while it is made, and inputs that hand over what was sent.

Gradio's own inputs open, convert or refuse what a visitor sends, each in its way. Here the request decides what is a
photo, a video or a number in its range, and says in one sentence what is not.

Gradio can stream a video output as an HLS playlist, but hands every chunk to the ffmpeg and ffprobe it finds on PATH.
The segments that come here are finished H.264 MPEG-TS whose timestamps continue, so they need neither and go into the
playlist as they are. In a handler, yield a `StreamSegment` to append it, and `gr.update(value=path)` to show a complete
film in its place; a stream that is cut short stays playable as far as it got.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.data_classes import FileData, FileDataDict, MediaStreamChunk
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


def path_sent(_: Any, payload: Any) -> str | None:
    return payload.path if payload else None


class PhotoInput(gr.Image):
    """An image input that hands over the uploaded file as it is."""

    is_template, preprocess = True, path_sent  # in the browser this is the ordinary Image component


class VideoInput(gr.Video):
    """A video input that hands over the uploaded file as it is, and shows it as it is."""

    is_template, preprocess = True, path_sent

    def postprocess(self, value: Any) -> Any:
        return FileData(path=str(value), orig_name=Path(value).name) if value else None

    def api_info(self) -> dict[str, Any]:
        return {**super().api_info(), "description": "The path of an uploaded file."}


class FilesInput(gr.File):
    """A list of uploaded files, as they are."""

    is_template = True

    def preprocess(self, payload: Any) -> list[str]:
        return [file.path for file in payload] if payload else []


def as_sent(_: Any, payload: Any) -> Any:
    """What a value becomes before a handler gets it: nothing else."""
    return payload


def taken_as_sent(kind: Any) -> Any:
    """That component of Gradio's, with `as_sent`."""
    return type(f"{kind.__name__}Input", (kind,), {"is_template": True, "preprocess": as_sent})


SliderInput, NumberInput, TextInput, RadioInput, CheckboxInput = map(
    taken_as_sent, (gr.Slider, gr.Number, gr.Textbox, gr.Radio, gr.Checkbox)
)


class DropdownInput(gr.Dropdown):
    """A dropdown's value, whatever it is."""

    is_template, preprocess = True, as_sent

    def api_info(self) -> dict[str, Any]:
        if not all(isinstance(value, int) for _, value in self.choices):
            return super().api_info()
        # Gradio shows the values of an `enum` as texts.
        return {"type": "integer", "description": f"One of {', '.join(str(value) for _, value in self.choices)}"}


@dataclass(frozen=True)
class StreamSegment:
    """A segment of the film as Gradio takes it: MPEG-TS bytes, and how many seconds they last."""

    data: bytes
    duration: float


class LiveVideo(gr.Video):
    """A video output that, made with `streaming=True`, plays segments as they come."""

    is_template = True

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


def streamed(blocks: gr.Blocks, session: str | None) -> list[tuple[bytes, float]]:
    """The segments of a visitor's latest film that are held, and how many seconds each lasts."""
    streams = [stream for run in blocks.pending_streams.get(session, {}).values() for stream in run.values()]
    return [(each["data"], each["duration"]) for each in streams[-1].segments] if streams else []


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
