"""README and the pages in docs/ cannot rot: their commands are run, their links and figures are looked up.

A fenced block after the line `<!-- run -->` is run by this test, in order, in a copy of the project's folder whose data
folder is filled with ratings first; `<!-- not run: why -->` says why another is not.
"""

import glob
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.patience import PATIENCE
from tests.programs import python_m

ROOT = Path(__file__).parent.parent
PAGES = {page: page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
BLOCK = re.compile(r"(?:<!-- (?P<mark>run|not run: [^>]+) -->\n)?```bash\n(?P<commands>.*?)```", re.DOTALL)


def blocks():
    return [(block["mark"], block["commands"]) for text in PAGES.values() for block in BLOCK.finditer(text)]


def commands():
    """One shell command each: lines that end in a backslash go on in the next."""
    joined = "".join(text for mark, text in blocks() if mark == "run").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def test_every_block_of_commands_is_run_or_says_why_not():
    assert [text for mark, text in blocks() if mark is None] == []
    assert commands()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder in which the relative paths of the commands mean what they mean to their reader."""
    from annotations import open_annotations

    home = tmp_path_factory.mktemp("readme")
    for name in ["model", "annotations", "app", "app.py"]:
        (home / name).symlink_to(ROOT / name)
    for folder in (home / "photos", home / "tests" / "images"):
        folder.mkdir(parents=True)
        for path in (ROOT / "tests" / "images").glob("*.jpg"):
            with Image.open(path) as image:
                image.reduce(4).save(
                    folder / path.name
                )  # small: commands that measure look at each image a hundred times
    images = sorted((home / "photos").iterdir())
    (home / "labels.csv").write_text(
        "image,mos\n" + "".join(f"{p.name},{1.5 + k % 7 / 2}\n" for k, p in enumerate(images))
    )
    study = re.search(r"```yaml\n(.*?)```", PAGES[ROOT / "docs" / "studies.md"], re.DOTALL)
    (home / "holiday.yaml").write_text(study[1], encoding="utf-8")
    annotations = open_annotations(home / "data")
    for position, image in enumerate(images):
        annotations.record_rating("Ada", image.read_bytes(), 1.5 + position % 7 / 2, suffix="jpg")
    return home


def in_a_shell(home, command):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", command],
        cwd=home,
        env=os.environ | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def forked(home, command):
    """What a shell makes of `python -m NAME ARGUMENTS > FILE`, without the wait for a new Python."""
    words = shlex.split(command, comments=True)
    assert words[:2] == ["python", "-m"], command
    words, out = (words[:-2], words[-1]) if words[-2] == ">" else (words, None)
    words = [match for word in words for match in (sorted(glob.glob(word, root_dir=home)) if "*" in word else [word])]
    result = python_m(*words[2:], cwd=home)
    if out:
        (home / out).write_text(result.stdout)
    return result


@pytest.fixture(scope="module")
def results(home):
    """What each command ended with, in the README's order: some read what others wrote."""
    first, *others = commands()
    return {first: in_a_shell(home, first)} | {command: forked(home, command) for command in others}


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_command(results, command):
    result = results[command]
    assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
    if "--format json" in command and ">" not in command:
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert lines and all("score" in line for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", PAGES[page]):
        assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_a_page_lead_to_a_heading(page):
    headings = re.findall(r"^#+ (.+)$", PAGES[page], re.MULTILINE)
    there = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGES[page])) <= there


def test_no_figure_is_still_missing():
    assert not [page.name for page, text in PAGES.items() if "TBD" in text]
