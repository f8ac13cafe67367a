"""Where Gradio was changed: uploads that break off leave nothing, and what nobody fetches is not made to its end."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio import routes
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException

from demo import gradio_patches
from tests.support.programs import connected
from tests.support.serving import TIMEOUT, wait_until

HEADERS = Headers({"content-type": "multipart/form-data; boundary=mark"})
PART = b'--mark\r\nContent-Disposition: form-data; name="files"; filename="photo.jpg"\r\n\r\n'
END = b"\r\n--mark--\r\n"


class Counter:
    """A page with one endpoint, `/count`, that counts as far as it is told, twenty in a second."""

    def __init__(self) -> None:
        self.begun, self.ended = 0, 0
        with gr.Blocks() as self.blocks:
            number, told = gr.Number(), gr.Number()
            gr.Button().click(self.count, number, told, api_name="count", concurrency_limit=None)
        self.blocks.queue()
        gradio_patches.keep_messages(self.blocks)
        _, self.url, _ = self.blocks.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)

    def count(self, number: float, request: gr.Request) -> Iterator[int]:
        yield from gradio_patches.while_polled(self.blocks, request.session_hash, self._count(number))

    def _count(self, number: float) -> Iterator[int]:
        self.begun += 1
        try:
            for n in range(int(number)):
                time.sleep(0.05)
                yield n
        finally:
            self.ended += 1

    def job_request(self, number: int) -> None:
        """Send an order, and do not listen."""
        body = {"data": [number]}
        httpx.post(f"{self.url}gradio_api/call/count", json=body, timeout=TIMEOUT).raise_for_status()


@pytest.fixture
def counter() -> Iterator[Counter]:
    counter = Counter()
    yield counter
    counter.blocks.close()


@pytest.mark.server
def test_what_nobody_listens_to_ends(counter: Counter) -> None:
    """It does not begin, and is dropped: the next one, for which it would have to make room, is made."""
    counter.job_request(1_000_000)
    with connected(counter.url) as client:
        assert client.submit(3, api_name="/count").result(TIMEOUT) == 2
    assert (counter.begun, counter.ended) == (1, 1)


@pytest.mark.server
def test_orders_of_many_others_take_nobodys_messages(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_patches, "SESSIONS", 5)
    with connected(counter.url) as client:
        job = client.submit(100, api_name="/count")
        wait_until(lambda: bool(job.outputs()), "its begin")
        monkeypatch.setattr(gradio_patches, "UNHEARD_SECONDS", 0)  # for the others, now that this one is heard
        with ThreadPoolExecutor(30) as senders:
            list(senders.map(counter.job_request, [0] * 30))
        assert job.result(TIMEOUT) == 99
        assert len(job.outputs()) == 100  # who listens gets all of it
    queue = counter.blocks._queue
    wait_until(lambda: not len(queue) and not any(queue.active_jobs), "the end of what nobody listens to")
    counter.job_request(0)
    assert len(queue.pending_messages_per_session) <= 5 + 2 >= len(queue.pending_event_ids_session)


@pytest.mark.parametrize(
    "error", [None, ConnectionError("the visitor left"), asyncio.CancelledError(), MultiPartException("")]
)
def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, error: BaseException | None) -> None:
    async def sent() -> AsyncGenerator[bytes]:
        yield PART + b"a photo"
        if error:
            raise error
        yield END

    parser = gradio_patches.BoundedForm(HEADERS, sent(), upload_dir=tmp_path, max_file_size=1000)
    with pytest.raises(type(error)) if error else nullcontext():
        asyncio.run(parser.parse())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if error else [b"a photo"])


def test_uploads_whose_progress_is_asked_for_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_patches, "UPLOADS", 3)
    monkeypatch.setattr(routes, "file_upload_statuses", statuses := routes.FileUploadProgress())
    gradio_patches.bound_forms()

    async def ask(upload: int) -> None:
        asked = asyncio.ensure_future(statuses.is_tracked(f"{upload}"))
        await asyncio.sleep(0)
        if upload % 2:
            statuses.append(f"{upload}", "photo.jpg", b"data")
            assert await asked
        asked.cancel()

    for upload in range(10):
        asyncio.run(ask(upload))
    assert list(statuses._signals) == ["7", "8", "9"] and list(statuses._statuses) == ["5", "7", "9"]
