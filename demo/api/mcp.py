"""The endpoints as MCP tools: Gradio's server for them, with files and progress as they are here.

Gradio's own would keep a data URI's file where nothing expires, takes no list of files, and goes on computing when
whoever asked has left. A tool is given a file by its address at this server, which an upload has, or as a data URI, of
which `http_guard` makes a file with an address; no other address is visited.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio.mcp
from gradio_client import handle_file

from demo.server.addresses import on_behalf_of
from demo.server.http_guard import FILE
from demo.server.storage import Storage, real

HOW = (
    " A file is given as its address at this server: POST it to /gradio_api/upload as form field `files` and put the"
    " path in the answer behind /gradio_api/file= of this server. Files may be data URIs as well."
)


class McpServer(gradio.mcp.GradioMCPServer):
    """What `launch(mcp_server=True)` starts once it stands in the place of Gradio's class; see `offer`."""

    storage: Storage  # where files go

    @property
    def _file_data_tool_description(self) -> str:
        return HOW

    def get_input_schema(
        self, tool_name: str, parameters: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], list[list[str | int]]]:
        """What a tool takes: a file is a string, several files are a list of strings."""
        schema, positions = super().get_input_schema(tool_name, parameters)
        properties = schema["properties"]
        for name in {str(position[0]) for position in positions}:
            words = {"description": properties[name].get("description", "")}
            file = {"type": "string", "format": "uri"}
            several = properties[name]["type"] == "array"
            properties[name] = words | ({"type": "array", "items": file} if several else file)
        return schema, positions

    def convert_strings_to_filedata(self, value: Any, filedata_positions: list[list[str | int]]) -> Any:
        """Arguments with the files they name. ValueError for what is no file of this server."""
        files = {position[0] for position in filedata_positions if position}
        return {name: self._files(given) if name in files else given for name, given in dict(value).items()}

    def _files(self, given: Any) -> Any:
        if isinstance(given, list):
            return [self._files(item) for item in given]
        return handle_file(str(self._file(given))) if isinstance(given, str) else given

    def _file(self, text: str) -> Path:
        if text.startswith("data:"):
            raise ValueError("The data URI is damaged: it is data:TYPE;base64, followed by the file in base64.")
        path = urlsplit(text).path
        if FILE not in path:
            raise ValueError("This is no file of this server: upload it first, and give its address here.")
        path = real(unquote(path.partition(FILE)[2]))
        if not self.storage.keeps(path) or not os.path.isfile(path):
            raise ValueError("There is no such file at this server; it may have expired. Upload it again.")
        return Path(path)

    def _prepare_tool_call_args(self, name: str, arguments: dict[str, Any]) -> tuple[Any, Any, dict[str, str], Any]:
        """Gradio's server asks this one over HTTP: it says for whom, so that each caller has his own share."""
        endpoint, values, headers, function = super()._prepare_tool_call_args(name, arguments)
        request = self.mcp_server.request_context.request
        address = request.client.host if request is not None and request.client else ""
        return endpoint, values, headers | on_behalf_of(address), function

    async def _execute_tool_without_progress(self, job: Any) -> list[Any]:
        return await self._execute_tool_with_progress(job, None)

    async def _execute_tool_with_progress(self, job: Any, token: str | int | None) -> Any:
        """The outputs of a job; frame by frame it tells who asked for it how far it is, and it ends with them."""
        try:
            async for update in job:
                if update.type != "output":
                    continue
                outputs = update.outputs
                if not update.success:
                    raise RuntimeError(outputs.get("error") or "Something failed on the server.")
                film, told = outputs["data"] if isinstance(outputs, dict) else outputs
                if update.final:
                    return [film, told]
                if token is not None and "done" in told:
                    context = self.mcp_server.request_context
                    await context.session.send_progress_notification(
                        progress_token=token,
                        progress=told["done"],
                        total=told["total"],
                        message=f"Frame {told['done']} of {told['total'] or 'an unknown number'}",
                        related_request_id=str(context.request_id),
                    )
            raise RuntimeError("The film was not finished.")
        except BaseException:
            # It asks this server, which must be free to answer.
            threading.Thread(target=job.cancel, daemon=True).start()
            raise

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
        """The film's address, and what is known of it as JSON."""
        film, facts = data
        texts = [f"{root_url.rstrip('/')}{FILE}{film['path']}", json.dumps(facts)]
        return [self.types.TextContent(type="text", text=text) for text in texts]


def offer(storage: Storage) -> None:
    """Put `McpServer` where `launch(mcp_server=True)` looks for its server."""
    McpServer.storage = storage
    gradio.mcp.GradioMCPServer = McpServer  # type: ignore[misc]
