"""What a host sets: read, or refused in one sentence before anything is served."""

import math
import os
import socket
import subprocess
import sys

import pytest

from demo.app import build_app, open_service
from demo.config import Config
from tests.support.serving import ROOT, TIMEOUT, free_port


def test_settings() -> None:
    assert Config.read({}) == Config(max_megapixels=math.inf)  # on one's own computer
    assert Config.read({"FILM_HOST": "0.0.0.0"}).max_megapixels == Config().max_megapixels == 300
    assert Config().host == "127.0.0.1"
    assert Config.read({"SPACE_ID": "someone/film"}).host == "0.0.0.0"
    assert Config.read({"SPACE_ID": "someone/film", "FILM_HOST": "::1"}).host == "::1"
    given = {"FILM_PORT": "8080", "FILM_MAX_DEPTH": " 6 ", "FILM_MAX_MEGAPIXELS": "8"}
    assert Config.read(given) == Config(port=8080, max_depth=6, max_megapixels=8)
    assert Config.read({"FILM_KEEP_MINUTES": "0.5", "FILM_MAX_SIDE": "0"}).keep_minutes == 0.5
    with pytest.raises(ValueError, match="FILM_MODEL is 'nonesuch'; choose one of film-lite, rife, film"):
        open_service(Config(model="nonesuch"))
    with pytest.raises(ValueError, match="FILM_DEVICE is 'abacus'; choose one of"):
        open_service(Config(device="abacus"))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        *(("PORT", wrong, "a whole number, from 1 to 65535") for wrong in ("0", "70000")),
        ("MAX_DEPTH", "0", "a whole number, 1 or more"),
        ("MAX_SIDE", "-1", "a whole number, 0 or more"),
        ("MAX_MEGAPIXELS", "0", "a number, 0.01 or more"),
        ("MAX_PHOTOS", "1", "a whole number, 2 or more"),
        ("MAX_VIDEO_MB", "1.5", "a whole number, 0 or more"),
        ("KEEP_MINUTES", "0", "a number, 0.1 or more"),
        *(("DISK_GB", wrong, "a number, 0.01 or more") for wrong in ("much", "-1", "0", "nan", "inf")),
    ],
)
def test_what_nothing_could_be_made_with_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^FILM_{name} is '{value}'; it must be {words}.$"):
        Config.read({f"FILM_{name}": value})


PROGRAM = """
import os, sys, app
for setting in sys.argv[1:]:
    os.environ |= [setting.split("=")]
    try:
        app.main()
    except SystemExit as ended:
        print(ended, file=sys.__stdout__)
    del os.environ[setting.split("=")[0]]
"""


@pytest.mark.server
def test_nothing_is_served_with_an_unusable_setting() -> None:
    """All in one process, because it takes seconds to import what would serve."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, other = free_port(), taken.getsockname()[1]
        words = {
            "FILM_MAX_DEPTH=0": "FILM_MAX_DEPTH is '0'; it must be a whole number, 1 or more.",
            "FILM_MEMORY_GB=0": "The memory budget is 0 GB; it must be a number above 0.",
            "FILM_DOWNLOAD_SECONDS=0": "FILM_DOWNLOAD_SECONDS is '0'; it must be a number of seconds above 0.",
            "FILM_HOST=nonsense.invalid": f"Nothing can be served at nonsense.invalid:{port} (",
            f"FILM_PORT={other}": f"Nothing can be served at 127.0.0.1:{other} (",
        }
        environment = os.environ | {"FILM_PORT": str(port)}
        told = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "timeout": TIMEOUT}
        ended = subprocess.run([sys.executable, "-c", PROGRAM, *words], check=True, **told)
    assert "Traceback" not in ended.stderr and "GRADIO" not in ended.stderr
    for line, beginning in zip(ended.stdout.splitlines(), words.values(), strict=True):
        assert line.startswith(beginning)
    assert line.endswith("choose another FILM_HOST or FILM_PORT.")


@pytest.mark.slow
def test_a_server_that_takes_no_videos_offers_none() -> None:
    config = str(build_app(open_service(Config(max_video_mb=0))).get_config_file())
    assert "Many photos" in config and "('Video', 'video')" not in config
    assert "('Video', 'video')" in str(build_app(open_service(Config())).get_config_file())
