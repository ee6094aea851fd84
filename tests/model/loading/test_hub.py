"""Models given by hub id: the real client against a hub on this machine, and one sentence for each way that it can fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.loading.hub import is_hub_id
from tests.model.small_hub import small_hub

PROGRAM = """
import sys
from model.common.errors import ModelLoadError
from model.loading.hub import download
try:
    print(download(sys.argv[1]))
except ModelLoadError as error:
    print("refused:", error)
"""

TOLD = """
import sys
from model.common.errors import ModelLoadError
from model.loading.hub import download

most, told = float(sys.argv[2]), []

def progress(stage, done, total):
    told.append(done)
    if done > most:
        raise ModelLoadError("stopped")

try:
    folder = download(sys.argv[1], progress)
    print(folder, len(told), told == sorted(told), told[-1:], sep="|")
except ModelLoadError as error:
    print("refused:", error)
"""


@pytest.fixture
def repository(tmp_path) -> Path:
    folder = tmp_path / "repository"
    (folder / "onnx").mkdir(parents=True)
    for name in (
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "evil.py",
        "photo.png",
        "onnx/model.safetensors",
    ):
        (folder / name).write_text(name)
    (folder / "model.safetensors").write_bytes(b"weights" * 1000)
    (folder / "pytorch_model.bin").write_bytes(b"again" * 1000)
    return folder


def download(spec: str, cache: Path, endpoint: str = "http://127.0.0.1:9", **environment: str) -> str:
    return run(PROGRAM, [spec], cache, endpoint, **environment)


def run(program: str, arguments: list[str], cache: Path, endpoint: str, **environment: str) -> str:
    """What the program says, in a process of its own: the client reads its settings once, when it is imported."""
    settings = {"HF_HOME": str(cache), "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **settings, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def names(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_a_model_is_fetched_once_without_code_or_second_copies_and_then_needs_no_network(repository, tmp_path):
    with small_hub({"owner/model": repository}) as (endpoint, asked):
        folder = download("owner/model@v1", tmp_path / "cache", endpoint)
        assert names(folder) == ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"]
        assert Path(folder, "model.safetensors").read_bytes() == b"weights" * 1000
        assert not [path for path in asked if path.endswith((".py", ".bin", ".png"))]
    assert download("owner/model@v1", tmp_path / "cache") == folder
    assert download("owner/model@v1", tmp_path / "cache", HF_HUB_OFFLINE="1") == folder


def test_weights_come_as_bin_where_there_are_no_others(repository, tmp_path):
    (repository / "model.safetensors").unlink()
    with small_hub({"owner/model": repository}) as (endpoint, _):
        folder = download("owner/model", tmp_path / "cache", endpoint)
    assert "pytorch_model.bin" in names(folder)


@pytest.mark.slow
def test_an_interrupted_download_is_reported_and_resumed(repository, tmp_path):
    with small_hub({"owner/model": repository}, broken="model.safetensors") as (endpoint, _):
        said = download("owner/model", tmp_path / "cache", endpoint, HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert (
        said
        == "refused: the download of owner/model was interrupted: try again; complete files are not downloaded again."
    )
    said = download("owner/model", tmp_path / "cache")
    assert said.startswith(
        "refused: the download of owner/model is incomplete, and the Hugging Face hub cannot be reached"
    )
    with small_hub({"owner/model": repository}) as (endpoint, _):
        folder = download("owner/model", tmp_path / "cache", endpoint)
    assert Path(folder, "model.safetensors").read_bytes() == b"weights" * 1000


@pytest.mark.slow
def test_a_download_reports_bytes_can_be_cancelled_and_resumes(repository, tmp_path):
    (repository / "model-00001-of-00002.safetensors").write_bytes(b"first" * 2**20)
    (repository / "model-00002-of-00002.safetensors").write_bytes(b"second" * 2**20)
    (repository / "model.safetensors").unlink()
    cache = tmp_path / "cache"
    with small_hub({"owner/model": repository}, slow="00002-of-00002.safetensors") as (endpoint, asked):
        said = run(TOLD, ["owner/model", str(7 * 2**20)], cache, endpoint)
        assert said == "refused: stopped"
        arrived = [path.name for path in cache.rglob("*.safetensors")]
        assert arrived == ["model-00001-of-00002.safetensors"]
        asked.clear()
        folder, calls, rising, last = run(TOLD, ["owner/model", "inf"], cache, endpoint).split("|")
        assert len(names(folder)) == 5 and int(calls) > 5 and rising == "True"
        assert last == f"[{6 * 2**20}]"  # the first shard is here already
        assert not [path for path in asked if path.endswith("00001-of-00002.safetensors")]
        assert run(TOLD, ["owner/model", "-1"], cache, endpoint) == f"{folder}|0|True|[]"  # nothing left to fetch
    assert run(TOLD, ["owner/model", "-1"], cache, "http://127.0.0.1:9") == f"{folder}|0|True|[]"


def test_errors_are_the_same_with_progress(repository, tmp_path):
    with small_hub({"owner/model": repository}, gated="owner/gated") as (endpoint, _):
        said = [run(TOLD, [spec, "inf"], tmp_path / "cache", endpoint) for spec in ("owner/nothing", "owner/gated")]
    assert "there is no model 'owner/nothing'" in said[0] and "owner/gated requires that you accept" in said[1]
    said = run(TOLD, ["owner/model", "inf"], tmp_path / "cache", "http://127.0.0.1:9")
    assert said.startswith("refused: owner/model is not on this machine, and the Hugging Face hub cannot be reached")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("owner/nothing", "there is no model 'owner/nothing' on the Hugging Face hub: check the spelling"),
        ("owner/model@v2", "owner/model has no revision 'v2': use a branch"),
        ("owner/gated", "owner/gated requires that you accept its terms: do so at"),
        ("owner--x/model", "there is no model 'owner--x/model'"),
    ],
)
def test_a_refusal_by_the_hub_is_one_sentence(repository, tmp_path, spec, sentence):
    with small_hub({"owner/model": repository}, gated="owner/gated") as (endpoint, _):
        said = download(spec, tmp_path / "cache", endpoint)
    assert said.startswith(f"refused: {sentence}") and "\n" not in said


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_no_network_is_one_sentence(tmp_path, environment):
    said = download("owner/model", tmp_path / "cache", **environment)
    assert said.startswith("refused: owner/model is not on this machine, and the Hugging Face hub cannot be reached")
    assert "\n" not in said


def test_a_cache_that_cannot_be_written_is_one_sentence(repository, tmp_path):
    (tmp_path / "cache").write_text("a file is in the way")
    with small_hub({"owner/model": repository}) as (endpoint, _):
        said = download("owner/model", tmp_path / "cache", endpoint)
    assert said.startswith("refused: owner/model could not be stored (") and "\n" not in said


def test_hub_ids_are_told_from_names_and_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("owner/name") and is_hub_id("2kxx/Qscorer_lora_5_1@main") and is_hub_id("a/b-c.d@refs/pr/1")
    assert not any(map(is_hub_id, ["nano", "/a/b", "./a/b", "../b", "a/b/c", "a/b@", "owner/name+adapter", "a b/c"]))
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert not is_hub_id("owner/name")
