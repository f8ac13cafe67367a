"""A process and its children are counted once each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.watching import family, resident


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("child", "counted"),
    [("os.fork() or time.sleep(60)", 1), ("subprocess.Popen(['sleep', '60'])", 2)],
    ids=["its parent still", "a program"],
)
def test_a_child_counts_once_it_is_a_program(child: str, counted: int) -> None:
    code = f"import os, subprocess, time; {child}; print('there', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout and process.stdout.readline() == b"there\n"
        found = family(process.pid)
        assert found[0] == process.pid and len(found) == counted
        assert all(resident(member) for member in found)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
