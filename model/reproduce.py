"""Train the systems of the paper's tables on nano with BIQ2021, and write docs/reproduction.md.

    python -m model.reproduce table1 --seeds 5     # table1 to table6, questions, or all; of BIQ2021 in the folder BIQ2021
    python -m model.reproduce page                 # the page again, without training

Each (system, training data, epochs, seed) is a run of its own with its result in a file, `--out`/reproduction/*.json. Interrupted, the same
command resumes; tables share the rows that they have in common. The encoder is frozen, and what it sees in each image is kept in
`--out`/features-*.npy (150 MB). The results are then added to those beside the page, `--docs`/reproduction-results.jsonl.gz, of which alone
the page and its charts are made. What is there is not run again; with another `--docs` folder, everything is.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from model.common.allocator import keep_freed_memory
from model.common.command_line import add_device_option, positive, run
from model.common.devices import choose_device
from model.common.errors import DataError
from model.common.json_files import read_json
from model.datasets import biq2021
from model.paper.charts import claims_figure, levels_figure
from model.paper.conversion_chart import write_figure
from model.paper.findings import Measurements, findings
from model.paper.frozen_features import FrozenFeatures
from model.paper.plan import ALL_ROWS, Run, Setup, plan, read_setup
from model.paper.report import CLAIMS_FIGURE, LEVELS_FIGURE, report
from model.paper.results import current, keep, packed, read_folder, read_packed, unpacked
from model.paper.runs import perform, settings

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, EARLIER, PAGE = "reproduction-results.jsonl.gz", "reproduction-earlier.json", "reproduction.md"


def reproduce(tables: list[str], seeds: int, data: Path, out: Path, docs: Path, device: str) -> None:
    """Do the runs of the tables that are not there yet."""
    keep_freed_memory()
    chosen = choose_device(device)
    features = FrozenFeatures(out, biq2021.all_images(data), chosen)
    folder, mine = out / "reproduction", settings(features.encoder)
    there = current([*read_packed(docs / RESULTS), *read_folder(folder)])
    wanted = dict.fromkeys(one for table in tables for one in plan(table, seeds))
    missing = [one for one in wanted if one not in there or there[one]["settings"] != mine]
    setups: dict[str, Setup] = {}
    for one in tqdm(sorted(missing, key=by_seed), desc="runs", unit="run", file=sys.stderr):
        if one.setup not in setups:
            setups[one.setup] = read_setup(data, one.setup)
        keep(folder, perform(one, setups[one.setup], features, chosen))


def by_seed(one: Run) -> int:
    """All rows once before any twice."""
    return one.seed


def write_page(out: Path, docs: Path) -> Path:
    """Add the results in `out` to those in `docs`, and write the page there; its charts as HTML into `out`, of which
    docs/reproduction_figures.py takes images. Raises DataError as `report` and `packed` do."""
    file = packed(current([*read_packed(docs / RESULTS), *read_folder(out / "reproduction")]).values())
    results = unpacked(file)
    measured = Measurements(results, read_json(docs / EARLIER) if (docs / EARLIER).exists() else None)
    found = findings(measured)
    page = report(results, measured, found)
    (docs / RESULTS).write_bytes(file)
    (docs / PAGE).write_text(page, encoding="utf-8")
    out.mkdir(exist_ok=True)
    write_figure(claims_figure(found), out / f"{CLAIMS_FIGURE}.html")
    write_figure(levels_figure(measured), out / f"{LEVELS_FIGURE}.html")
    return docs / PAGE


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.reproduce", description=__doc__.split("\n\n")[0])
    parser.add_argument("table", choices=[*ALL_ROWS, "all", "page"], help="what to train; page: only write the page")
    parser.add_argument("--seeds", type=positive, default=5, metavar="N", help="runs of each system (default: 5)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(biq2021.NAME),
        help=f"a clone of github.com/nisarahmedrana/BIQ2021; not needed by page (default: {biq2021.NAME})",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), help="where features and results are kept (default: runs)"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="where page and results are (default: docs)")
    add_device_option(parser)
    return run(lambda: follow(parser.parse_args()))


def follow(arguments: argparse.Namespace) -> int:
    if not arguments.docs.is_dir():
        raise DataError(f"{arguments.docs} is not a folder: make it first.")
    out, docs = arguments.out, arguments.docs
    if arguments.table != "page":
        tables = list(ALL_ROWS) if arguments.table == "all" else [arguments.table]
        reproduce(tables, arguments.seeds, arguments.data, out, docs, arguments.device)
    print(write_page(out, docs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
