"""Which adapter everyone on the page is scored by: promoting, going back, and the history of both.

history.json in the folder of adapters has one entry for each change, oldest first, and is written in whole or not at all. Imports no torch.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock

from model.backbones.adapter_card import CARD, read_card
from model.common.errors import DataError, ModelLoadError
from model.common.json_files import read_json

HISTORY = "history.json"
PATIENCE = 10  # seconds for another process's change


@dataclass(frozen=True)
class Change:
    """A change of the scorer that everyone uses. action: "overrule" is a promotion against the gate. spec: the scorer from then on,
    before: the one until then; "" is the page's own. reason: the gate's sentence, or what whoever overruled it or went back gave. parent,
    figures: of a promoted adapter's card; figures: {"before", "after"}. date: ISO 8601, UTC."""

    action: Literal["promote", "overrule", "rollback"]
    spec: str
    before: str
    who: str
    reason: str
    date: str
    parent: dict | None = None
    figures: dict | None = None


def history(adapters: Path) -> list[Change]:
    """All changes, oldest first. Raises ModelLoadError for a file that cannot be read."""
    path = adapters / HISTORY
    if not path.exists():
        return []
    try:
        return [Change(**entry) for entry in read_json(path)["changes"]]
    except (KeyError, TypeError) as error:
        raise ModelLoadError(f"{path} is not a history of adapters: restore it from a copy, or remove it.") from error


def promoted(changes: list[Change]) -> list[str]:
    """The promoted scorers on which nobody went back, the latest last."""
    stack: list[str] = []
    for change in changes:
        if change.action == "rollback":
            stack.pop()
        else:
            stack.append(change.spec)
    return stack


def in_use(adapters: Path) -> str:
    """The scorer that everyone uses; "" for the page's own: nothing is promoted, the adapter is gone, or the history is damaged."""
    try:
        specs = promoted(history(adapters))
    except ModelLoadError:  # whoever promotes or lists is told
        return ""
    return specs[-1] if specs and (adapters / specs[-1].partition("+")[2] / CARD).is_file() else ""


def promote(adapters: Path, spec: str, who: str, overrule: str = "") -> Change:
    """Make BASE+NAME, an adapter in the folder `adapters`, the scorer of everyone.

    Raises DataError for a scorer without such an adapter, one that everyone uses already, and one that the gate did not find better,
    unless `overrule` gives a reason; ModelLoadError for an adapter or a history that cannot be read.
    """
    base, plus, name = spec.partition("+")
    if not plus or Path(name).name != name or not (adapters / name).is_dir():
        raise DataError(f"{spec} has no adapter of this data folder: choose one of the adapters here.")
    card = read_card(adapters / name)
    if not card.better and not overrule.strip():
        verdict = card.verdict or "The gate has not judged it."
        raise DataError(f"{name} is not promoted. {verdict} To use it all the same, give a reason.")
    figures = {"before": card.before, "after": card.after}
    with changing(adapters) as changes:
        before = (promoted(changes) or [""])[-1]
        if before == spec:
            raise DataError(f"everyone uses {spec} already.")
        action: Literal["promote", "overrule"] = "promote" if card.better else "overrule"
        reason = card.verdict if card.better else overrule.strip()
        changes.append(Change(action, spec, before, who, reason, now(), card.parent, figures))
    return changes[-1]


def roll_back(adapters: Path, who: str, reason: str = "") -> Change:
    """Go back to the scorer that everyone used before the last promotion. Raises DataError if nothing is promoted."""
    with changing(adapters) as changes:
        stack = promoted(changes)
        if not stack:
            raise DataError("there is nothing to go back on: no adapter is promoted.")
        earlier = stack[-2] if len(stack) > 1 else ""
        changes.append(Change("rollback", earlier, stack[-1], who, reason.strip(), now()))
    return changes[-1]


@contextmanager
def changing(adapters: Path) -> Iterator[list[Change]]:
    """The changes so far, for the block to add one; then they are written. One process at a time."""
    adapters.mkdir(parents=True, exist_ok=True)
    with FileLock(adapters / f".{HISTORY}.lock", timeout=PATIENCE):
        changes = history(adapters)
        yield changes
        whole = adapters / f".{HISTORY}.part"
        whole.write_text(json.dumps({"changes": [asdict(change) for change in changes]}, indent=1) + "\n", "utf-8")
        os.replace(whole, adapters / HISTORY)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def in_words(change: Change) -> str:
    """A change in one line."""
    scorer, before = change.spec or "the page's own scorer", change.before or "the page's own scorer"
    what = {
        "promote": f"{scorer} for everyone, in place of {before}",
        "overrule": f"{scorer} for everyone, in place of {before}, against the gate",
        "rollback": f"back to {scorer} from {before}",
    }[change.action]
    return f"{change.date[:16].replace('T', ' ')} {change.who}: {what}" + (
        f" ({change.reason})" if change.reason else ""
    )
