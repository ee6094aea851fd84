"""How `python app.py` begins, and the one sentence that it ends with when it cannot."""

import socket
import subprocess
import sys

import pytest

from app.serving import serve
from app.settings import ROOT, parse_settings


def refusal(*arguments) -> str:
    """The sentence with which a start ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SystemExit) as ended:
        serve(parse_settings(["--port", str(port), *map(str, arguments)]))
    assert "\n" not in ended.value.code
    return ended.value.code


@pytest.mark.slow
def test_a_model_that_is_none_is_said_before_anything_is_opened(tmp_path):
    command = [sys.executable, "app.py", "--model", "foo", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: there is no model 'foo': use one of nano,") and done.stderr.count("\n") == 1
    assert refusal("--model", "nano+mine", "--data-dir", tmp_path / "data").startswith(
        "error: there is no adapter 'mine'"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_port_in_use_is_one_sentence_with_the_remedy(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal("--port", port, "--data-dir", tmp_path / "data")
    assert said == f"error: port {port} is in use by another program: choose another, say --port {port + 1}."


def test_a_model_whose_name_no_file_system_takes_is_one_sentence(tmp_path):
    for spec in ("x" * 100_000, "nano+" + "y" * 5_000, "a/" + "b" * 5_000):
        said = refusal("--model", spec, "--data-dir", tmp_path / "data")
        assert "cannot be opened as a model (File name too long)" in said and len(said) < 300


def test_a_host_that_is_none_is_one_sentence(tmp_path):
    for host in ("no such host", "a" * 70, "..", ""):
        assert "host" in refusal("--host", host, "--data-dir", tmp_path / "data")
    assert "cannot be listened on" in refusal("--host", "192.0.2.1", "--data-dir", tmp_path / "data")


def test_what_is_no_port_is_refused(capsys):
    for text in ("70000", "0", "web"):
        with pytest.raises(SystemExit):
            parse_settings(["--port", text])
        assert f"'{text}' is not a port (1 to 65535)" in capsys.readouterr().err


def test_a_data_folder_that_cannot_be_used_is_one_sentence(tmp_path):
    file = tmp_path / "file"
    file.write_text("not a folder")
    said = refusal("--data-dir", file)
    assert said == f"error: {file} is a file, and a folder is needed: choose another with --data-dir."
    said = refusal("--data-dir", file / "below")
    assert said.startswith("error: ") and "--data-dir" in said
