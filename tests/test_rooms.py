"""The rooms of model/: imports run down the table of folders only, and a file directly in model/ is a command of the one table."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from model.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "model"
# From the bottom up: each folder may import those before it.
FOLDERS = [
    "common",
    "images",
    "readouts",
    "backbones",
    "datasets",
    "loading",
    "scoring",
    "evaluation",
    "training",
    "finetuning",
    "paper",
    "bench",
]
KINDS = ["nano", "mplug_owl2", "vlm"]


def folder_of(parts: tuple[str, ...]) -> str:
    """Of ("model", "scoring", "scorer"); "" for a file directly in model/."""
    return parts[1] if len(parts) > 2 else ""


def arrows():
    """(file, folder that imports, module that is imported) for every import of model/ within model/."""
    for file in sorted(MODEL.rglob("*.py")):
        mine = file.relative_to(ROOT).with_suffix("").parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "model":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.startswith("model.")]
            for name in names:
                yield str(file.relative_to(ROOT)), mine, tuple(name.split("."))


def test_every_folder_of_model_stands_in_the_table_and_on_the_architecture_page():
    folders = [folder.name for folder in MODEL.iterdir() if folder.is_dir() and any(folder.glob("*.py"))]
    assert sorted(folders) == sorted(FOLDERS)
    rows = re.findall(r"^\| `(\w+)/` \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row in FOLDERS] == FOLDERS


def test_imports_run_down_the_table_only():
    wrong = [
        (file, ".".join(other))
        for file, mine, other in arrows()
        if folder_of(mine) in FOLDERS
        and other[1] in FOLDERS
        and FOLDERS.index(other[1]) > FOLDERS.index(folder_of(mine))
    ]
    assert wrong == []


def test_no_folder_imports_a_command_and_no_command_another():
    wrong = [
        (file, ".".join(other))
        for file, mine, other in arrows()
        if (MODEL / f"{other[1]}.py").is_file() and mine[1] != other[1]
    ]
    assert wrong == []


def test_kinds_of_backbones_know_nothing_of_each_other_and_the_contract_nothing_of_them():
    wrong = []
    for file, mine, other in arrows():
        if mine[1] == other[1] == "backbones" and other[2] in KINDS:
            wrong += [(file, ".".join(other))] if mine[2] != other[2] else []
    assert wrong == []


def test_the_files_in_model_are_the_commands_of_the_table():
    files = {file.stem for file in MODEL.glob("*.py")} - {"__init__", "__main__"}
    packages = {file.parent.name for file in MODEL.glob("*/__main__.py")}
    assert files | packages == set(COMMANDS)


def test_python_m_model_lists_them():
    listed = subprocess.run(
        [sys.executable, "-m", "model"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert all(re.search(rf"^  {name} +{re.escape(words)}$", listed, re.MULTILINE) for name, words in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_docs(name):
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *MODEL.glob("weights/*/README.md")]
    assert any(f"python -m model.{name}" in page.read_text(encoding="utf-8") for page in pages)


FACE = """
import sys, model
assert "torch" not in sys.modules and {"load_scorer", "Scorer", "fine_tune", "Backbone"} <= set(dir(model))
from model import RatedImage, Scale
assert "torch" not in sys.modules
from model import load_scorer
(found,) = load_scorer("nano", device="cpu").assess_files(["tests/images/lake_pristine.jpg"])
print(round(found.score, 2), found.scale)
"""


@pytest.mark.slow
def test_the_public_face_imports_nothing_heavy_until_it_is_used():
    ended = subprocess.run([sys.executable, "-c", FACE], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.rstrip().endswith("Scale(low=1.0, high=5.0)")
