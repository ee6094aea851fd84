"""The house rules of the code: which room may know which, and what may lie in the repository."""

import ast
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["model", "annotations", "app"]
WEIGHT_SUFFIXES = {
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".onnx",
    ".gguf",
    ".h5",
    ".npz",
    ".npy",
    ".joblib",
}


def sources(room):
    """The Python files of a room; app.py belongs to the room app."""
    files = sorted((ROOT / room).rglob("*.py"))
    return files + [ROOT / "app.py"] if room == "app" else files


@cache
def imported(path, at_start_only=False):
    """Top-level names of what a file imports; at_start_only leaves out what its functions import when called."""
    names = set()

    def visit(node):
        if at_start_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if at_start_only and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(path.relative_to(ROOT).parts[0] if node.level else node.module.split(".")[0])
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return names


def offenders(files, forbidden, **how):
    return {
        str(file.relative_to(ROOT)): sorted(imported(file, **how) & forbidden)
        for file in files
        if imported(file, **how) & forbidden
    }


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_there(room):
    assert len(sources(room)) > 1


def test_model_knows_neither_page_nor_database():
    # The sources of fine-tuning are the one place that joins ratings and models.
    files = [file for file in sources("model") if file != ROOT / "model" / "finetuning" / "sources.py"]
    assert not offenders(files, {"app", "annotations", "gradio", "sqlite_utils", "sqlite3"})


def test_fine_tuning_reads_ratings_through_their_public_face_and_knows_no_page():
    assert not offenders([ROOT / "model" / "finetuning" / "sources.py"], {"app", "gradio", "sqlite_utils", "sqlite3"})


def test_annotations_are_plain_python():
    assert not offenders(sources("annotations"), {"torch", "transformers", "peft", "gradio", "plotly", "model", "app"})


def test_the_page_imports_no_torch_at_module_level():
    assert not offenders(sources("app"), {"torch", "transformers", "peft"}, at_start_only=True)


def test_the_page_leaves_the_database_to_annotations():
    assert not offenders(sources("app"), {"sqlite_utils", "sqlite3"})


@pytest.mark.parametrize("package", ["torchvision", "timm", "pickle", "dill", "joblib"])
def test_nothing_imports(package):
    files = [file for room in ROOMS for file in sources(room)]
    assert not offenders(files, {package})


def modules(room):
    """Dotted names of a room's modules; `__main__` is left out, importing it would run it."""
    for file in sorted((ROOT / room).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__main__":
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "room, unwanted",
    [
        ("app", ["torch", "transformers", "peft"]),
        ("annotations", ["torch", "gradio", "model", "app"]),
    ],
)
def test_importing_every_module_of_a_room_stays_light(room, unwanted):
    program = (
        "from app.environment import importing_gradio\nwith importing_gradio(): import gradio\n"
        if room == "app"
        else ""
    )
    program += "\n".join(f"import {name}" for name in modules(room))
    program += f"\nimport sys\nprint([name for name in {unwanted!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def test_what_the_page_needs_of_model_at_start_comes_without_torch():
    program = (
        "import model.images.decoding, model.scoring.assessment, model.common.errors, model.evaluation.metrics; "
        "import sys; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def in_the_repository():
    """Files that git tracks or would, so that neither .venv nor data/ counts; all files where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_weights_are_safetensors_only():
    # The fixtures hold the published layouts, .bin among them, and may hold a hostile pickle; what ships may not.
    fixtures = ROOT / "tests" / "fixtures"
    weights = [file for file in in_the_repository() if file.suffix in WEIGHT_SUFFIXES and fixtures not in file.parents]
    assert [str(file) for file in weights if file.suffix != ".safetensors"] == []


def test_all_weights_together_take_less_than_60_mb():
    sizes = [file.stat().st_size for file in in_the_repository() if file.suffix == ".safetensors"]
    assert 0 < sum(sizes) < 60e6


def test_no_file_but_weights_is_large():
    large = [str(file) for file in in_the_repository() if file.suffix != ".safetensors" and file.stat().st_size > 1e6]
    assert large == []


def test_unsafe_loading_appears_nowhere():
    unsafe = ["trust_remote_code=True", "weights_only=False", "allow_pickle=True"]
    found = [
        (file.name, word)
        for room in ROOMS
        for file in sources(room)
        for word in unsafe
        if word in file.read_text(encoding="utf-8")
    ]
    assert found == []


def test_nothing_rests_on_assert():
    """Python strips it where PYTHONOPTIMIZE is set."""
    asserts = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for room in ROOMS
        for file in sources(room)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert asserts == []


def test_what_is_installed_to_run_is_what_the_space_installs():
    header = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    stated = next(line.split(":", 1)[1].strip() for line in header.splitlines() if line.startswith("sdk_version:"))
    assert stated.split(".")[:2] == version("gradio").split(".")[:2]
    assert (ROOT / "app.py").is_file() and "app_file: app.py" in header
