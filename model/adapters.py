"""The adapters in a data folder, and which of them everyone on the page uses: `python -m model.adapters list`

    python -m model.adapters promote NAME                      if the gate found it better
    python -m model.adapters promote NAME --overrule REASON    against the gate
    python -m model.adapters rollback                          to the one before

The page follows at the next request, without a restart. Who, when, why, the figures and the parent are kept in adapters/history.json.
"""

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from model.backbones import promotion
from model.backbones.adapter_card import BrokenAdapter, check_name, list_adapters, read_card
from model.common.command_line import data_dir, printable, run
from model.loading.known import check_spec


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m model.adapters", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--data-dir", type=Path, default=data_dir(), help="the app's data folder (default: QSCORER_DATA, else data)"
    )
    actions = options.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="the adapters with their verdicts, and the history")
    new = actions.add_parser("promote", help="make an adapter the scorer of everyone")
    new.add_argument("name", metavar="NAME")
    new.add_argument("--model", metavar="BASE", help="its base, where the card's name of it is not enough to find it")
    new.add_argument("--overrule", default="", metavar="REASON", help="although the gate did not find it better")
    back = actions.add_parser("rollback", help="go back to the scorer before the last promotion")
    back.add_argument("--reason", default="", metavar="TEXT")
    return options


def listing(adapters: Path) -> list[str]:
    """A line for each adapter, then the history."""
    used = promotion.in_use(adapters).partition("+")[2]
    lines = []
    for card in list_adapters(adapters):
        said = card.error if isinstance(card, BrokenAdapter) else f"on {card.base}, {card.rung}. {card.verdict}"
        lines.append(f"{'*' if card.name == used else ' '} {card.name}: {said}")
    changes = [promotion.in_words(change) for change in promotion.history(adapters)]
    return [*(lines or ["no adapters"]), *(["", "history:", *changes] if changes else [])]


def act(given: argparse.Namespace) -> int:
    adapters = given.data_dir / "adapters"
    if given.action == "list":
        lines = listing(adapters)
    elif given.action == "promote":
        spec = f"{given.model or read_card(adapters / check_name(given.name)).base}+{given.name}"
        check_spec(spec, adapters)
        lines = [promotion.in_words(promotion.promote(adapters, spec, getpass.getuser(), given.overrule))]
    else:
        lines = [promotion.in_words(promotion.roll_back(adapters, getpass.getuser(), given.reason))]
    print("\n".join(map(printable, lines)))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    return run(lambda: act(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
