"""What a host sets: read, or refused in one sentence before anything is served."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from serving import ROOT

from app import Settings, build_app


def test_settings() -> None:
    assert Settings.read({}) == Settings()
    assert Settings().host == "127.0.0.1"
    assert Settings.read({"SPACE_ID": "someone/film"}).host == "0.0.0.0"
    assert Settings.read({"SPACE_ID": "someone/film", "FILM_HOST": "::1"}).host == "::1"
    assert Settings.read({"FILM_PORT": "8080", "FILM_MAX_DEPTH": " 6 "}) == Settings(port=8080, max_depth=6)
    assert Settings.read({"FILM_KEEP_MINUTES": "0.5", "FILM_MAX_SIDE": "0"}).keep_minutes == 0.5
    with pytest.raises(ValueError, match="FILM_MODEL is 'nonesuch'; choose one of film-lite, film"):
        build_app(Settings(model="nonesuch"))
    with pytest.raises(ValueError, match="FILM_DEVICE is 'abacus'; choose one of"):
        build_app(Settings(device="abacus"))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eighty", "a whole number, from 1 to 65535"),
        ("PORT", "0", "a whole number, from 1 to 65535"),
        ("PORT", "70000", "a whole number, from 1 to 65535"),
        ("MAX_DEPTH", "0", "a whole number, 1 or more"),
        ("MAX_SIDE", "-1", "a whole number, 0 or more"),
        ("MAX_MEGAPIXELS", "0", "a number, 0.01 or more"),
        ("MAX_PHOTO_MEGAPIXELS", "0", "a number, 0.01 or more"),
        ("MAX_PHOTOS", "1", "a whole number, 2 or more"),
        ("MAX_UPLOAD_MB", "0", "a whole number, 1 or more"),
        ("MAX_VIDEO_MB", "1.5", "a whole number, 0 or more"),
        ("MAX_RUNNING", "0", "a whole number, 1 or more"),
        ("MAX_WAITING", "-1", "a whole number, 0 or more"),
        ("KEEP_MINUTES", "0", "a number, 0.1 or more"),
        *(("DISK_GB", wrong, "a number, 0.01 or more") for wrong in ("much", "-1", "0", "nan", "inf")),
    ],
)
def test_what_nothing_could_be_made_with_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^FILM_{name} is '{value}'; it must be {words}.$"):
        Settings.read({f"FILM_{name}": value})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("FILM_MAX_DEPTH", "FILM_MAX_DEPTH is '0'; it must be a whole number, 1 or more."),
        ("FILM_MEMORY_GB", "The memory budget is 0 GB; it must be above 0."),
        ("FILM_DOWNLOAD_SECONDS", "FILM_DOWNLOAD_SECONDS is '0'; it must be a number of seconds above 0."),
    ],
)
def test_nothing_is_served_with_an_unusable_setting(name: str, words: str) -> None:
    command = [sys.executable, "app.py"]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | {name: "0"}, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 1 and words in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "nonsense.invalid"])
def test_where_nothing_can_be_served_it_says_so(host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = {"FILM_HOST": host, "FILM_PORT": str(taken.getsockname()[1])}
        command = [sys.executable, "app.py"]
        ended = subprocess.run(command, cwd=ROOT, env=os.environ | address, capture_output=True, text=True, timeout=300)
    words = f"Nothing can be served at {host}:{address['FILM_PORT']} ("
    assert ended.returncode == 1 and words in ended.stderr and "another FILM_HOST or FILM_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr and "GRADIO" not in ended.stderr


def test_a_server_that_takes_no_videos_offers_none() -> None:
    config = str(build_app(Settings(max_video_mb=0)).get_config_file())
    assert "Many photos" in config and "('Video', 'video')" not in config
    assert "('Video', 'video')" in str(build_app(Settings()).get_config_file())
