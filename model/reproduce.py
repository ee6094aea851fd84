"""Train the systems of the paper's tables on nano with BIQ2021, and write docs/reproduction.md.

    python -m model.reproduce table1 --seeds 5     # table1 to table6, questions, or all; of BIQ2021 in the folder BIQ2021
    python -m model.reproduce report               # the page again, without training

Each (system, training data, epochs, seed) is a run of its own with its result in a file, `--out`/reproduction/*.json. Interrupted, the same
command goes on; tables share the rows that they have in common. The encoder is frozen, and what it sees in each image is kept in
`--out`/features-*.npy (150 MB). The page and its figures are made of the results alone.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from model.common.allocator import keep_freed_memory
from model.common.command_line import positive, run
from model.common.errors import DataError
from model.datasets import biq2021
from model.paper.charts import claims_figure, levels_figure
from model.paper.conversion_chart import write_figure
from model.paper.findings import Measurements, findings
from model.paper.frozen_features import FrozenFeatures
from model.paper.plan import ALL_ROWS, Run, Setup, plan, read_setup
from model.paper.report import CLAIMS_FIGURE, LEVELS_FIGURE, report
from model.paper.runs import done, keep, perform, read_results

DOCS = Path(__file__).parent.parent / "docs"


def reproduce(tables: list[str], seeds: int, data: Path, out: Path) -> None:
    """Do the runs of the tables that are not there yet."""
    keep_freed_memory()
    features = FrozenFeatures(out, biq2021.all_images(data))
    wanted = dict.fromkeys(one for table in tables for one in plan(table, seeds))
    by_seed: list[Run] = sorted(wanted, key=lambda one: one.seed)  # all rows once before any twice
    setups: dict[str, Setup] = {}
    folder = out / "reproduction"
    for one in tqdm(by_seed, desc="runs", unit="run", file=sys.stderr):
        if done(folder, one, features.encoder):
            continue
        if one.setup not in setups:
            setups[one.setup] = read_setup(data, one.setup)
        keep(folder, one, perform(one, setups[one.setup], features))


def write_report(out: Path, docs: Path) -> Path:
    """Write the page into `docs`, and its figures as HTML into `out`, from which docs/reproduction_figures.py takes images."""
    results = read_results(out / "reproduction")
    page = docs / "reproduction.md"
    text = report(results)
    measured = Measurements(results)
    page.write_text(text, encoding="utf-8")
    write_figure(claims_figure(findings(measured)), out / f"{CLAIMS_FIGURE}.html")
    write_figure(levels_figure(measured), out / f"{LEVELS_FIGURE}.html")
    return page


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.reproduce", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "table", choices=[*ALL_ROWS, "all", "report"], help="what to train; report: only write the page"
    )
    parser.add_argument("--seeds", type=positive, default=5, metavar="N", help="runs of each system (default: 5)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(biq2021.NAME),
        help=f"a clone of github.com/nisarahmedrana/BIQ2021; not needed by report (default: {biq2021.NAME})",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), help="where features and results are kept (default: runs)"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="where reproduction.md is written (default: docs)")
    return run(lambda: follow(parser.parse_args()))


def follow(arguments: argparse.Namespace) -> int:
    if not arguments.docs.is_dir():
        raise DataError(f"{arguments.docs} is not a folder: make it first.")
    if arguments.table != "report":
        tables = list(ALL_ROWS) if arguments.table == "all" else [arguments.table]
        reproduce(tables, arguments.seeds, arguments.data, arguments.out)
    print(write_report(arguments.out, arguments.docs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
