"""The endpoints as programs use them: over gradio_client and as MCP tools, on the real server."""

import base64
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from PIL import Image

from film.media import video_reader
from tests.support import clips
from tests.support.attacks import API, Attacker, listener
from tests.support.clips import decoded, pan, video, walk
from tests.support.programs import called, connected
from tests.support.serving import LOSSY, TIMEOUT, Server, difference, photos, served

pytestmark = pytest.mark.server

TOOLS = ["interpolate", "interpolate_many", "retime"]
limits = {"FILM_MAX_VIDEO_MB": "3", "FILM_MAX_UPLOAD_MB": "1", "FILM_MAX_PHOTOS": "4", "FILM_MAX_MEGAPIXELS": "4"}
server = served(**limits)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with connected(server.url) as client:
        yield client


def test_what_is_told_of_the_endpoints(client: Client) -> None:
    told = client.view_api(return_format="dict")["named_endpoints"]
    assert list(told) == [f"/{name}" for name in TOOLS]
    for endpoint, required in zip(told, (["first", "last"], ["photos"], ["video"]), strict=True):
        parameters = told[endpoint]["parameters"]
        assert [each["parameter_name"] for each in parameters if not each["parameter_has_default"]] == required
        defaults = {each["parameter_name"]: each["parameter_default"] for each in parameters}
        expected = {"model": "film-lite", "device": "CPU", "longest_side": 1024, "format": "mp4", "play": "loop"}
        assert defaults.items() >= expected.items()
    types = {each["parameter_name"]: each["python_type"]["type"] for each in told["/interpolate"]["parameters"]}
    assert types["longest_side"] == "int" and "'rife'" in types["model"]
    names = [each["parameter_name"] for each in told["/interpolate"]["parameters"]]
    assert names[:7] == ["first", "last", "depth", "fps", "model", "device", "longest_side"]


def test_two_photos(server: Server, client: Client, tmp_path: Path) -> None:
    first, last = map(handle_file, photos(tmp_path, 600, 300))
    choices = {"depth": 2, "fps": 24, "device": "AUTO", "longest_side": "512", "api_name": "/interpolate"}
    *told, (path, report) = client.submit(first=first, last=last, **choices)
    done = [report["done"] for path, report in told]
    assert done == sorted(done) and set(done) <= set(range(1, 6)) and done[-1] == 5
    assert decoded(path).shape == (5, 512, 256, 3)
    assert (report["frames"], report["width"], report["height"], report["fps"]) == (5, 256, 512, 24)
    assert report["model"] == "film-lite" and report["seconds"] > 0
    assert server.scratch() == []


def test_two_visitors_at_once_get_their_own_films(server: Server, client: Client, tmp_path: Path) -> None:
    pairs = [photos(tmp_path, 96, 128, seed) for seed in (1, 2)]
    with connected(server.url) as other_client:
        jobs = []
        for visitor, pair in zip((client, other_client), pairs, strict=True):
            first, last = map(handle_file, pair)
            length = {"seconds": 1.7, "fps": 10, "play": "once"}
            jobs.append(visitor.submit(first=first, last=last, **length, api_name="/interpolate"))
        films = [decoded(job.result(TIMEOUT)[0]) for job in jobs]
    for own, other in ((0, 1), (1, 0)):
        assert len(films[own]) == 17
        assert difference(films[own][0], pairs[own][0]) < LOSSY < difference(films[own][0], pairs[other][0])


def test_many_photos(client: Client, tmp_path: Path) -> None:
    given = walk(tmp_path)
    path, report = client.predict(photos=list(map(handle_file, given)), count=5, api_name="/interpolate_many")
    frames = decoded(path)
    assert report["frames"] == len(frames) == 5
    for place, expected in zip((0, 2, 4), given, strict=True):
        assert difference(frames[place], expected) < LOSSY


def test_videos(client: Client, tmp_path: Path) -> None:
    source = handle_file(video(tmp_path / "pan.mp4", pan(24), sound=True))
    path, report = client.predict(video=source, slowdown=2, start="0:00:00.25", end="0.75", api_name="/retime")
    made = video_reader.read_metadata(path)
    assert made.sound and (report["frames"], report["fps"], report["duration"]) == (24, 24, 1.0)
    path, report = client.predict(video=source, slowdown=1, fps=30, sound=False, api_name="/retime")
    made = video_reader.read_metadata(path)
    assert not made.sound and made.fps == 30 and report["frames"] == 30
    path, report = client.predict(video=source, speed="0:0.5,1:0.5", depth_bits=10, api_name="/retime")
    assert report["frames"] == 48 and "hevc (Main 10)" in clips.words(path)


def test_easing_loops_depth_and_transparency(client: Client, tmp_path: Path) -> None:
    job_request: dict[str, Any] = {"depth": 1, "api_name": "/interpolate"}
    for name, left in (("first", 20), ("last", 28)):
        (image := Image.new("RGBA", (96, 64))).paste((200, 30, 30, 255), (left, 0, left + 40, 64))
        image.save(tmp_path / f"{name}.png")
        job_request[name] = handle_file(tmp_path / f"{name}.png")
    path, report = client.predict(**job_request, format="zip", play="seamless", easing="ease-in")
    with zipfile.ZipFile(path) as archive, archive.open("frame-000001.png") as file:
        assert report["frames"] == 4 and Image.open(file).mode == "RGBA"
    path, _ = client.predict(**job_request, format="zip", background="#000080")
    with zipfile.ZipFile(path) as archive, archive.open("frame-000001.png") as file:
        image = Image.open(file)
        assert (image.mode, image.getpixel((5, 5))) == ("RGB", (0, 0, 128))
    path, _ = client.predict(**job_request, format="mov", depth_bits=10)
    assert video_reader.read_metadata(path).alpha


def test_refusals(client: Client, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (700, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    files = (*photos(tmp_path, 64, 96), tmp_path / "large.png", video(tmp_path / "pan.mp4", pan(3)))
    first, last, large, clip = map(handle_file, files)
    two, many, one = {"first": first, "last": last}, {"photos": [first, last]}, {"video": clip}
    for endpoint, given, words in (
        ("/interpolate", two | {"depth": "five"}, "The depth is 'five'; it must be a whole number from 1 to 8"),
        ("/interpolate", two | {"last": None}, "Choose two photos"),
        ("/interpolate", two | {"first": large}, "large.png has 1.6 MB; this server takes at most 1 MB"),
        ("/interpolate", two | {"first": clip}, "pan.mp4 is not an image"),
        ("/interpolate_many", {"photos": []}, "Choose two photos"),
        ("/interpolate_many", many | {"count": 9000}, "megapixels"),
        ("/retime", one | {"slowdown": 1}, "a slowdown above 1, a frame rate, or both"),
        ("/retime", {"video": None}, "Choose a video"),
        ("/retime", {"video": first}, "first-0.jpg is not a video|first-0.jpg holds a single frame"),
    ):
        with pytest.raises(AppError, match=words) as refusal:
            client.predict(**given, api_name=endpoint)
        assert "Traceback" not in str(refusal.value) and str(tmp_path) not in str(refusal.value)


def call(server: Server, tool: str, **arguments: Any) -> tuple[bool, list[str]]:
    """Whether it went well, and the texts of the answer."""
    answer = called(server.url, lambda session: session.call_tool(tool, arguments))
    return not answer.isError, [content.text for content in answer.content]


def uploaded(server: Server, path: Path) -> str:
    """The address of a file at the server."""
    return f"{server.url}{API}/file={Attacker(server.url).photos(path)[0]['path']}"


def test_the_tools_are_the_endpoints(server: Server) -> None:
    listed = called(server.url, lambda session: session.list_tools()).tools
    assert [tool.name for tool in listed] == TOOLS
    beginnings = ("Make a film of two", "Make one film through", "Show a video in slow")
    for tool, beginning in zip(listed, beginnings, strict=True):
        assert tool.description.startswith(beginning)
        properties = tool.inputSchema["properties"]
        assert all(each["description"] for each in properties.values())
        assert properties["longest_side"]["type"] == "integer"
    assert listed[1].inputSchema["properties"]["photos"]["items"] == {"type": "string", "format": "uri"}


def test_tools_make_films(server: Server, tmp_path: Path) -> None:
    first, last = photos(tmp_path, 64, 96)
    large = first.read_bytes() + bytes(900_000)  # which decoders leave unread
    data = f"data:image/jpeg;base64,{base64.b64encode(large).decode()}"
    progress = AsyncMock()

    async def two(session: ClientSession) -> Any:
        job_request = {"first": data, "last": uploaded(server, last), "depth": 2}
        return await session.call_tool("interpolate", job_request, progress_callback=progress)

    address, facts = [content.text for content in called(server.url, two).content]
    frames = decoded(address)
    assert json.loads(facts)["frames"] == len(frames) == 5
    assert difference(frames[0], first) < LOSSY and difference(frames[-1], last) < LOSSY
    told = [call.args[0] for call in progress.await_args_list]
    assert told and told == sorted(told) and told[-1] <= 5

    job_request = [data, uploaded(server, last), uploaded(server, first)]
    well, (address, facts) = call(server, "interpolate_many", photos=job_request, depth=1, format="gif")
    assert well and address.endswith("film.gif") and json.loads(facts)["frames"] == 5

    source = uploaded(server, video(tmp_path / "pan.mp4", pan(6)))
    well, (address, facts) = call(server, "retime", video=source, slowdown=2)
    assert well and json.loads(facts)["frames"] == len(decoded(address)) == 12


def test_tools_read_nothing_else(server: Server, tmp_path: Path) -> None:
    first, last = photos(tmp_path, 64, 96)
    right = uploaded(server, last)
    secret = f"{server.url}{API}/file="
    with listener() as (trap, visits):
        for stolen in (str(first), f"file://{first}", f"{trap}/photo.jpg", f"{secret}{first}", f"{secret}/etc/passwd"):
            well, texts = call(server, "interpolate", first=stolen, last=right, depth=1)
            assert not well and "file" in texts[0], texts
        assert visits == []
    well, texts = call(server, "interpolate", first="data:image/jpeg;base64,%%%", last=right)
    assert not well and "damaged" in texts[0]
    well, texts = call(server, "interpolate", first=right, last=right, depth=99)
    assert not well and "depth is 99" in texts[0]
    well, _ = call(server, "show_film", kind="two")
    assert not well
