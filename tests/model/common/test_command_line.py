"""What holds for every command: how it ends, and what it prints where the stream or the disk is not as it should be."""

import ast
import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model.common.command_line import printable, run
from model.common.errors import DataError
from model.scoring.assessment import Failure
from model.scoring.output import print_csv, print_json, print_table
from tests.programs import ROOT, python_m

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def commands() -> list[str]:
    """The modules that are run by `python -m`."""
    found = []
    for file in sorted([*(ROOT / "model").rglob("*.py"), *(ROOT / "annotations").rglob("*.py")]):
        if any(
            isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
            for node in ast.parse(file.read_text()).body
        ):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__main__" else parts))
    return found


# One process for all, since importing torch takes seconds: each is run as `python -m` does it, its exit status and messages are printed.
RUN_ALL = """
import io, json, runpy, sys, warnings
warnings.simplefilter("ignore")
names, printed = sys.argv[1:], sys.stdout
for option, out in [("--help", "/dev/null"), ("--no-such-option", "/dev/null"), ("--help", "/dev/full")]:
    for name in names:
        sys.argv = [name, option]
        messages = io.BytesIO()
        sys.stdout = io.TextIOWrapper(open(out, "wb"), "ascii", newline="")
        sys.stderr = io.TextIOWrapper(messages, "ascii")
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            status = ended.code
        sys.stderr.flush()
        print(json.dumps([name, option, out, status, messages.getvalue().decode()]), file=printed)
sys.stdout = printed
"""


@pytest.mark.slow
@needs_full
def test_every_command_has_help_refuses_bad_options_and_reports_a_full_disk(tmp_path):
    (tmp_path / "all.py").write_text(RUN_ALL)
    done = python_m(str(tmp_path / "all.py"), *commands())
    assert done.returncode == 0, done.stderr
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert {name for name, *_ in ended} == set(commands()) and len(ended) == 3 * len(commands())
    assert {"model.score", "model.datasets", "model.registry", "annotations.export"} < set(commands())
    for name, option, out, status, said in ended:
        if option == "--no-such-option":
            assert (status, said[:7]) == (2, "usage: "), name
        elif out == "/dev/null":
            assert (status, said) == (0, ""), name
        else:
            assert (status, said.count("\n")) == (2, 1) and "cannot be written (No space left on device)" in said, name


def spelled(printer, encoding: str, monkeypatch, images=("caf\udce9.jpg", "\u4e2d.jpg", "a\x1b[31m\n.jpg")) -> str:
    """What a printer writes to a stdout of this encoding, when `run` runs it."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))

    def program() -> int:
        printer(Failure(image, "no image") for image in images)
        return 1

    assert run(program) == 1
    return written.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_table_lists_every_image_in_any_encoding_without_control_characters(encoding, monkeypatch):
    lines = spelled(print_table, encoding, monkeypatch).split("\n")
    assert len(lines) == 5 and r"caf\udce9.jpg: no image" in lines[1] and r"a\x1b[31m\n.jpg" in lines[3]
    assert ("\u4e2d.jpg" if encoding == "utf-8" else r"\u4e2d.jpg") in lines[2]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_csv_has_every_row_in_any_encoding(encoding, monkeypatch):
    rows = list(csv.DictReader(io.StringIO(spelled(print_csv, encoding, monkeypatch), newline="")))
    assert [row["image"][:4] for row in rows][:1] == ["caf\\"] and len(rows) == 3


def test_file_names_in_the_json_output_can_be_opened(tmp_path, monkeypatch):
    try:
        path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
        Path(path).touch()
    except (OSError, UnicodeDecodeError):
        pytest.skip("this file system takes no such name")
    line = spelled(print_json, "ascii", monkeypatch, [path])
    assert Path(json.loads(line)["image"]).exists()


def test_an_error_message_is_one_line_whatever_it_quotes(capsys):
    def program() -> int:
        raise DataError("a\x1b]0;title\x07 b\nc\u202ed\u2028e \u200d é")

    assert run(program) == 2
    assert capsys.readouterr().err == "error: " + r"a\x1b]0;title\x07 b\nc\u202ed\u2028e" + " \u200d é\n"


def test_only_control_characters_are_escaped():
    assert printable("C:\\a é 中 \u202f😀.jpg") == "C:\\a é 中 \u202f😀.jpg"
    assert printable("\r\x9b\x7f") == r"\r\x9b\x7f"


ROWS = """
import sys
from model.scoring.assessment import Failure
from model.common.command_line import run
from model.score import print_csv, print_json, print_table
def program():
    printer, count = {"csv": print_csv, "json": print_json, "table": print_table}[sys.argv[1]], int(sys.argv[2])
    def results():
        for n in range(count):
            yield Failure(f"{n}.jpg", "no image")
            if sys.argv[3:]:
                sys.stdin.readline()
    printer(results())
    return 1
sys.exit(run(program))
"""


@pytest.mark.parametrize("printer", ["csv", "json", "table"])
def test_each_row_is_flushed_as_soon_as_its_image_is_scored(printer):
    command = [sys.executable, "-c", ROWS, printer, "2", "wait"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(1 if printer == "json" else 2)]
        assert process.poll() is None and "0.jpg" in lines[-1]
        assert process.communicate("\n\n", timeout=300)[0].count(".jpg") == 1


@needs_full
@pytest.mark.parametrize("count", [0, 3])
def test_a_full_disk_is_reported_in_one_sentence(count):
    with FULL.open("w") as full:
        command = [sys.executable, "-c", ROWS, "csv", str(count)]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: the output cannot be written (No space left on device)")


@pytest.mark.skipif(os.name != "posix", reason="closed pipes and descriptors of POSIX")
@pytest.mark.parametrize(("shell", "status"), [("| true", 141), (">&-", 1), ("2>&-", 1)])
def test_a_closed_stream_is_quiet(shell, status):
    line = f'"$0" -c "$1" csv 100000 {shell}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, ROWS],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (status, b"")


WAIT = """
import sys, time
from model.common.command_line import run
def program():
    try:
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
    finally:
        print("cleared", flush=True)
sys.exit(run(program))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_command_after_its_clean_up(name):
    number = getattr(signal, name)
    with subprocess.Popen(
        [sys.executable, "-c", WAIT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, said = process.communicate(timeout=300)
    assert (process.returncode, out, said) == (128 + number, "cleared\n", "")


def test_with_pythonpath_a_command_runs_in_any_folder(tmp_path):
    command = [sys.executable, "-m", "model.registry"]
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("nano ")
