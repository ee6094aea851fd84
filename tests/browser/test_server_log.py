"""A fault in a server's log is reported by the test during which it came, however many tests follow."""

import os
import re
import subprocess
import sys

from tests.programs import ROOT

TESTS = """
from pathlib import Path
from tests.browser.conftest import LOGS, Log, servers_write_no_trace

written = Path(__file__).with_name("server.log").open("w", buffering=1)
LOGS.append(Log(Path(written.name)))

def test_before():
    written.write("Running on a local address\\n")

def test_guilty():
    written.write("Traceback (most recent call last):\\nKeyError: 'token'\\n")

def test_after():
    written.write("all is well\\n")
"""


def test_a_trace_in_the_log_fails_the_test_during_which_it_came(tmp_path):
    (tmp_path / "test_inner.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "-rA", "test_inner.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert sorted(re.findall(r"^(?:PASSED|FAILED|ERROR) .*::\w+", done.stdout, re.MULTILINE)) == [
        "ERROR test_inner.py::test_guilty",
        *(f"PASSED test_inner.py::test_{name}" for name in ("after", "before", "guilty")),
    ]
    assert done.stdout.count("KeyError: 'token'") >= 1 and done.returncode == 1
