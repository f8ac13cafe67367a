"""Wait for the demo that process group `argv[1]` installs and starts, then have it make one film over HTTP."""

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

URL = "http://127.0.0.1:7860"


def answers() -> bool:
    try:
        urllib.request.urlopen(URL, timeout=5)
    except OSError:
        return False
    return True


while not answers():
    os.killpg(int(sys.argv[1]), 0)  # ProcessLookupError once the demo has ended
    time.sleep(1)

from gradio_client import Client, handle_file  # noqa: E402  (installed by the command that was waited for)

pair = Path("examples/fruit")
video, facts = Client(URL, verbose=False).predict(
    first=handle_file(pair / "first.jpg"), last=handle_file(pair / "last.jpg"), depth=1, api_name="/interpolate"
)
print(facts)
size = Path(video["video"] if isinstance(video, dict) else video).stat().st_size
assert facts["frames"] == 3 and size > 10_000, (facts, size)
