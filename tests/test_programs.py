"""The forked commands are what `python -m` runs."""

import subprocess
import sys

import pytest

from tests.programs import python_m

pytestmark = pytest.mark.slow

PROGRAM = """
import os, sys
print(sys.argv[1:], __name__, os.getcwd(), os.environ.get("MOOD"), sys.stdin.read(), sys.stdout.encoding.lower())
print("to stderr", file=sys.stderr)
sys.exit("a sentence" if sys.argv[1:] else 0)
"""


def test_a_forked_command_is_told_ends_and_speaks_as_a_new_python(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    for arguments in ([], ["a b", "c"]):
        forked = python_m("program", *arguments, cwd=tmp_path, MOOD="good")
        new = subprocess.run(
            ["env", "MOOD=good", sys.executable, "-m", "program", *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert (forked.returncode, forked.stdout, forked.stderr) == (new.returncode, new.stdout, new.stderr)


def test_modules_of_ours_are_imported_anew(tmp_path):
    (tmp_path / "program.py").write_text("import sys; print('model' in sys.modules, 'pytest' in sys.modules)")
    assert python_m("program", cwd=tmp_path).stdout == "False False\n"
