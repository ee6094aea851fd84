"""docs/reproduction.md: the paper's tables as they came out here, as Markdown. A pure function of the results' JSON objects."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from model.common.errors import DataError
from model.datasets import biq2021
from model.evaluation.raters import scorers_worth
from model.paper.findings import NO_DATA, NOT_RUN, Finding, Measurements, RowFigures, rows_of, tested_on
from model.paper.plan import ALL_ROWS, SHIFTED, STANDS_FOR, TRAINED_ON, WHOLE, Run, plan
from model.paper.verdicts import (
    CONFIRMED,
    DRAWS,
    FEWEST_SEEDS,
    LEVEL,
    MARGIN,
    NOT_TESTABLE,
    OPEN,
    REFUTED,
    SMALLER,
    Estimate,
)
from model.readouts.systems import PROPORTIONS

TITLES = {
    "table1": "Table 1: words or score tokens",
    "table2": "Table 2: one data set",
    "table3": "Table 3: several data sets",
    "table4": "Table 4: what the parts do",
    "table5": "Table 5: how many epochs",
    "table6": "Table 6: with something of another method",
    "questions": "The open questions, and the methods that no table has",
}
ASSUMED_STDS = (0.4, 0.6, 0.8, 1.0)
SCORER = ("q-scorer-5", "whole", 3)  # whose worth in raters is told
VERDICTS = (CONFIRMED, REFUTED, SMALLER, OPEN, NOT_TESTABLE, NO_DATA, NOT_RUN)
CLAIMS_FIGURE, LEVELS_FIGURE = "reproduction-claims", "reproduction-levels"

METHOD = """\
The paper's systems, trained side by side on one small backbone with BIQ2021. `python -m model.reproduce page` writes this page from
[the scores of every run](reproduction-results.jsonl.gz).

**What this can say, and what not.** The paper fine-tunes mPLUG-Owl2, 7 billion parameters that have read the internet, with LoRA on
KonIQ-10k. Here a decoder of {decoder} is trained from nothing on features of a frozen encoder, with BIQ2021. So:

- **Words mean nothing to this decoder.** It has never read a sentence: "excellent", "apple" and `<score5>` are names of equally empty
  vectors. Systems that differ in such names alone, such as all five of table 1, are one system here, and claims about them are
  *{not_testable}*. Their figures are a check of the method, which ought to find no difference.
- **Nothing can be forgotten** by training either, so that what the paper calls post-tuning confusion is not tested.
- What can appear is what labels, readouts and losses do: conversion error, regression against weighted levels, how quickly each learns,
  and what several data sets on different scales do to each.

**Trained in every run:** {trained} (each as far as the system has it). **Not trained in any run:** the image encoder, nano's
LiteEncoder with ImageNet's weights (revision `{encoder}`), which has seen no opinion score. Its features of each whole image at 320 x 320
were computed once and kept: mean and standard deviation of each channel of four maps, and the coarsest map in 4 x 4 cells, each
feature standardised by its mean and deviation over the training images. There is no augmentation. (The `nano` that ships is larger, looks
at more pixels, adapts most of its encoder, and is shown damaged images too.)

**How:** AdamW, learning rate {learning_rate:g} (warm-up over a tenth, then cosine), weight decay {weight_decay:g}, batches of {batch_size},
3 epochs where a row does not say otherwise, the same for all systems; regressors' widths in the paper's proportion to the hidden size. The
official training part without its validation tenth is trained on; tested is the official test part without the images that have a
near-duplicate in training.

**Weights of the losses:** one rule for all systems. Beside the cross-entropy (a mean over the answer's words), a loss has the weight that
the program which introduces it gives it; where no program does, the paper's; where neither says, the cross-entropy's own. So the squared
error weighs {squared_error:g} (Q-Scorer's program), the soft label's divergence {soft_label_divergence:g} and the fidelity loss
{fidelity:g} (DeQA-Score's training script: .05 for each image of a pair, and 1 for the pair), norm-in-norm {norm_in_norm:g} (the paper's
appendix C.2), ranking and token mass {ranking:g} (no weight is published). The paper does not say how it weighs the fidelity loss in
Q-Scorer; table 3 also has it at 1. BIQ2021 publishes no standard deviation: DeQA-Score's soft labels and the fidelity loss take .6 for
every image, a guess.

**Figures:** SRCC, and PLCC after the 4-parameter logistic fit, as the paper has them; beside them PLCC without the fit. In brackets a 95 %
interval over seeds and images; of a single seed, over images alone. **†**: figures of [earlier runs](reproduction-earlier.json) with the
same settings and losses, whose scores were not kept: rounded to a thousandth, so that an interval that ends at .000 counts as one with
zero in it. They stand until the system has been run again with as many seeds.

**Verdicts:** the merit of a training is the mean of its SRCC and its fitted PLCC. Systems are compared within a seed and on the same
images; the variance over seeds and that over {draws} bootstrap draws of the images add up, and Student's test of the mean difference
(model/paper/verdicts.py) decides. In simulations with no true difference it was wrong in 5 to 8 % of cases. All claims that are tested
on this page are corrected for together, after Holm: a claim is *{confirmed}* or *{refuted}* where its corrected p is below {level:g}. The
intervals are not corrected. What is not decided is *{open}*; where the interval also ends below the difference that the paper reports,
it is *{smaller}*. With fewer than {fewest} seeds every claim is open. The column "alike" says whether two one-sided tests at {level:g}
(not corrected) find the difference within ±{margin}: not shown to differ is not yet shown to be alike. Of earlier runs (†) no p-value is
known: their verdict is by the interval alone, as if each were the only claim, and alike are those whose interval lies within ±{margin}."""

CROSS = """\
On other data: BIQ2021's subsets stand for data sets, {sets}; nothing stands for LIVE-Wild, AGIQA-3K and CSIQ. Trained on
one, tested on the others, all images of which are unseen."""
ONE_Q_ALIGN = "One Q-Align was trained here, all of it; the paper's figures beside it are those of its row with LoRA."
SEVERAL = """\
BIQ2021's subsets stand for data sets, {sets}. So that the same MOS means another quality in another set, as between real data sets, each
has a scale of its own: {scales}. A set that is not trained on is tested as a whole, others by their official test part, so that the ss02
figures of the two halves are of different images. The claims are judged after training on three sets, on the one in KonIQ's place.

Two of the paper's claims hang on a weight that it does not give, that of the fidelity loss in Q-Scorer. They are tested by the rule above,
which makes it ten times the cross-entropy's, and the last rows of both tables test them with the same weight for both."""
RATERS = """\
`{system}` on {data}, by the two definitions of model/evaluation/raters.py: the number of people whose mean is as good as its
score. BIQ2021 publishes neither single ratings nor their spread, only that each MOS is the mean of {raters} people. **The spread is
assumed**, the same for every image; ratings on five categories commonly have one of .6 to .8 points. Mean over seeds; in brackets from
the lowest to the highest end of the seeds' 95 % intervals over images.

| assumed std of ratings (points) | worth, by correlation | worth, by error | PLCC of one rater with true quality | seeds |
|---|---|---|---|---|"""

GO_ON = """\
## To run it, or more of it

```sh
pip install -r requirements-train.txt
git clone https://github.com/nisarahmedrana/BIQ2021
python -m model.reproduce table1 --seeds 5 --data BIQ2021 --out runs    # or table2 ... table6, questions, all
python -m model.reproduce page                                          # this page again, without training
python docs/reproduction_figures.py runs                                # its charts (needs a Chromium)
```

Each run is one file in `runs/reproduction`, and an interrupted table resumes; tables share rows. What is in this page's results is not run
again. To repeat all of it, name an empty folder: `--docs FOLDER` takes page and results there."""


def report(results: Sequence[Mapping], measured: Measurements, found: Sequence[Finding]) -> str:
    """The whole document, of results and what they say. Raises DataError where there are none, nor any earlier ones."""
    settings = results[0]["settings"] if results else measured.earlier["settings"]
    if not settings:
        raise DataError("there are no results to report: run python -m model.reproduce table1 --data BIQ2021 first.")
    if measured.earlier["settings"] not in (None, settings):
        raise DataError("the earlier figures are of other settings than the results, and do not compare: delete them.")
    parts = ["# The paper's tables at nano scale", _method(settings), _summary(found, results)]
    parts += [_section(table, measured, found) for table in ALL_ROWS]
    parts += [_raters(results), GO_ON]
    return "\n\n".join(parts) + "\n"


def _method(used: Mapping) -> str:
    sizes = used["decoder"]
    return METHOD.format(
        decoder=f"{sizes['num_hidden_layers']} layers and width {sizes['hidden_size']} (half of nano's own width, and a layer less)",
        trained=", ".join(used["trained"]),
        **{name: used[name] for name in ("encoder", "learning_rate", "weight_decay", "batch_size")},
        **PROPORTIONS,
        confirmed=CONFIRMED,
        refuted=REFUTED,
        open=OPEN,
        smaller=SMALLER,
        not_testable=NOT_TESTABLE,
        fewest=FEWEST_SEEDS,
        draws=DRAWS,
        level=LEVEL,
        margin=_plain(MARGIN),
    )


def _summary(found: Sequence[Finding], results: Sequence[Mapping]) -> str:
    papers = Counter(one.verdict for one in found if one.paper is not None)
    counts = ", ".join(f"{papers[name]} {name}" for name in VERDICTS if papers[name])
    tested = [one for one in found if one.p is not None]
    undone = sum(one.found.p < LEVEL <= one.p for one in tested)
    uncorrected = [one for one in found if one.found and one.found.p is None and one.verdict != NOT_TESTABLE]
    decided = sum(one.verdict in (CONFIRMED, REFUTED) for one in uncorrected)
    wanted = {run for table in ALL_ROWS for run in plan(table, 1)}
    seeds = Counter(Run(r["system"], r["setup"], r["epochs"], 0) for r in results)
    counted = [f"{n} with {count} seed{'s' * (count > 1)}" for count, n in sorted(Counter(seeds.values()).items())]
    return f"""\
## In short

Of the paper's {papers.total()} claims: **{counts}**.

![How far the first system of each claim is above the second, here and in the paper]({CLAIMS_FIGURE}.png)

{len(tested)} claims, the paper's and our own, are corrected for their number; {undone} more of them would be decided without that.
{len(uncorrected)} rest on earlier runs (†), uncorrected: {decided} are decided, where luck alone would decide one in twenty.

**The scores of {len(seeds)} of the {len(wanted)} trainings that the tables below need are kept:** {", ".join(counted) or "none"}."""


def _section(table: str, measured: Measurements, found: Sequence[Finding]) -> str:
    blocks = [f"## {TITLES[table]}"]
    tests = [(setup, test, rows_of(table, setup, test, measured)) for setup, test in tested_on(table)]
    if not any(row.srcc for _, _, rows in tests for row in rows):
        return "\n\n".join([*blocks, "Not run."])
    sets = ", ".join(f"{ours} for {paper}" for paper, ours in STANDS_FOR.items())
    if table == "table3":
        scales = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in SHIFTED.items())
        blocks.append(SEVERAL.format(sets=sets, scales=scales))
    elif len(tests) > 1:
        blocks.append(CROSS.format(sets=sets))
    if table == "table2":
        blocks.append(ONE_Q_ALIGN)
    if table == "questions":
        blocks.append(f"![SRCC by the number of levels]({LEVELS_FIGURE}.png)")
    for setup, test, rows in tests:
        run = any(row.srcc for row in rows)
        blocks.append(_rows(setup, test, rows) if run else f"Trained on {_names(setup)}, tested on {test}: not run.")
    blocks.append(_claims([one for one in found if one.claim.table == table]))
    return "\n\n".join(blocks)


def _rows(setup: str, test: str, rows: Sequence[RowFigures]) -> str:
    paper = next((name for name, ours in STANDS_FOR.items() if ours == test), "KonIQ")
    lines = [
        f"Trained on {_names(setup)}, tested on {test}:",
        "",
        f"| row | our system | epochs | seeds | PLCC, fitted | SRCC | PLCC | paper ({paper}): PLCC / SRCC |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(figures, paper) for figures in rows)])


def _names(setup: str) -> str:
    return " + ".join(TRAINED_ON[setup])


def _row(figures: RowFigures, paper: str) -> str:
    row = figures.row
    theirs = " / ".join(_plain(value) for value in row.paper[paper]) if paper in row.paper else "–"
    if figures.srcc is None:
        ours = ["0", "not run", "not run", "not run"]
    else:
        raw = _plain(figures.raw_plcc)
        ours = [_seeds(figures.srcc), _with_interval(figures.plcc), _with_interval(figures.srcc), raw]
    return f"| {' | '.join([row.title, f'`{row.system}`', str(row.epochs), *ours, theirs])} |"


def _claims(found: Sequence[Finding]) -> str:
    lines = [
        "| claim | merit here, first − second | seeds | in the paper | p (Holm) | alike | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        ours = _with_interval(one.found, signed=True) if one.found else "–"
        paper = _plain(one.paper, signed=True) if one.paper is not None else "ours"
        p = "–" if one.p is None else "< .001" if one.p < 0.001 else _plain(one.p)
        alike = "–" if not one.found or one.found.seeds < FEWEST_SEEDS else "yes" if one.found.alike else "not shown"
        verdict = f"**{one.verdict}**" + (f": {one.claim.note}" if one.claim.note else "")
        lines.append(
            f"| {one.claim.says} | {ours} | {_seeds(one.found) if one.found else 0} | {paper} | {p} | {alike} | {verdict} |"
        )
    return "\n".join(lines)


def _raters(results: Sequence[Mapping]) -> str:
    heading = "## How many raters the scorer is worth"
    chosen = [r for r in results if (r["system"], r["setup"], r["epochs"]) == SCORER]
    if not chosen:
        return f"{heading}\n\nNot known of earlier runs (†): this needs the scores of `{SCORER[0]}`."
    lines = [heading, "", RATERS.format(system=SCORER[0], data=WHOLE, raters=biq2021.RATERS)]
    for std in ASSUMED_STDS:
        tests = [result["tests"][WHOLE] for result in chosen]
        worth = [scorers_worth(test["scores"], test["mos"], std, biq2021.RATERS) for test in tests]
        cells = [_span(worth, name) for name in ("by_correlation", "by_error")]
        lines.append(f"| {std:g} | {' | '.join(cells)} | {_plain(worth[0]['one_rater_plcc'])} | {len(worth)} |")
    backwards = sum("note" in one for one in worth)
    if backwards:
        lines += [
            "",
            f"{backwards} of {len(worth)} seeds rank backwards (raw SRCC not above 0) and count as worth nobody.",
        ]
    return "\n".join(lines)


def _span(worth: Sequence[dict], name: str) -> str:
    """Mean and ends over seeds; None stands for more raters than the noise of the MOS lets be told."""
    values = [one[name] for one in worth]
    if None in values:
        return "more than these MOS can tell"
    lows, highs = zip(*(one["intervals"][name] if one["intervals"] else [one[name]] * 2 for one in worth), strict=True)
    high = "no bound" if None in highs else f"{max(highs):.1f}"
    return f"{statistics.mean(values):.1f} [{min(lows):.1f}, {high}]"


def _seeds(found: Estimate) -> str:
    """Marked where only the figures of earlier runs are known."""
    return f"{found.seeds}{'' if found.p is not None else '†'}"


def _with_interval(found: Estimate, signed: bool = False) -> str:
    return f"{_plain(found.mean, signed)} [{_plain(found.low, signed)}, {_plain(found.high, signed)}]"


def _plain(value: float, signed: bool = False) -> str:
    """.812, and with a sign +.012 or −.012."""
    text = f"{abs(value):.3f}".removeprefix("0") if abs(value) < 0.9995 else f"{abs(value):.2f}"
    return ("−" if value < 0 else "+" if signed else "") + text
