"""Fine-tune a scorer on rated images: `python -m model.finetune --data-dir data --model nano --out NAME`

Takes the ratings in a data folder (--data-dir) or of a study in it (--study), data sets (--data), or a CSV file of labels (--labels),
several at once, each on its own scale. Trains on them, and prints PLCC, SRCC and RMSE before and after on images that were left out, with
a verdict: is the improvement significant? The adapter is written to DATA_DIR/adapters/NAME, and --model nano+NAME uses it.

The method depends on the number of rated images; --rung chooses another:

  recalibrate   an affine map of the score: from 8 images, in seconds
  head          that, and a kernel regression on the frozen model's features: from 30 images, in seconds
  lora          a LoRA of the language model, with score tokens and regressor: from some hundred images, by training

A data set's own test part is left out. Of other images, lora leaves out a fifth, and recalibrate and head use all: their figures come from
10-fold cross-validation. With three raters or more, the ratings of some raters are left out as well, and figures against these are shown.
--recipe trains as a published program does, with --add also as the paper varies it: qscorer (five score tokens and a regressor), qscorer-1
(one token), qalign (level words), deqa (soft labels and pairs). A training that was killed resumes when the same command runs again.
--model nano+OTHER --rung lora resumes from a LoRA. Models that were trained to rate quality keep their readout: nano, qscorer, one-align,
deqa-score, q-realign, and folders of such models. Any other vision-language model, and the mplug-owl2-llama2-7b base, learns five score
tokens and a regressor.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.backbones.adapter_card import RUNGS, check_name
from model.backbones.contract import PARTS
from model.common.command_line import add_device_options, add_spec_option, data_dir, positive, printable, run
from model.common.errors import DataError
from model.finetuning.gate import MOST_FORGOTTEN
from model.finetuning.sources import add_source_options, gather, gather_anchors
from model.loading.known import KNOWN, check_spec
from model.loading.opening import check_training_dtype
from model.readouts.systems import ADDED_LOSSES, HYPER, RECIPES, recipe

FEW = 10  # held-out images; with fewer, correlations are unreliable
CHANCE = f"Correlations of fewer than {FEW} images are mostly chance."
COUNTS = {
    "epochs": "how often each image is shown",
    "rank": "of the LoRA",
    "batch_size": "images per batch",
    "accumulate": "batches per step, each with its own loss",
    "max_steps": "end after so many steps",
}
HEAD_FROM = 30  # images, for --rung auto

if TYPE_CHECKING:
    from model.backbones.adapter_card import AdapterCard


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m model.finetune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_source_options(options)
    add_spec_option(options)
    add_device_options(options)
    options.add_argument("--out", required=True, metavar="NAME", help="the new adapter's name: letters, digits, . - _")
    options.add_argument(
        "--rung",
        choices=["auto", *RUNGS],
        default="auto",
        help="the method (default: auto, by the number of rated images)",
    )
    options.add_argument(
        "--anchor-loss",
        type=float,
        default=MOST_FORGOTTEN,
        metavar="SRCC",
        help="how much SRCC the gate lets the result lose on the anchors (default: %(default)s)",
    )
    lora = options.add_argument_group(
        "lora (defaults: the published program's for a recipe on a large model, else the model's own)"
    )
    lora.add_argument("--recipe", choices=RECIPES, help="readout, losses and parts (default: the model's own)")
    lora.add_argument(
        "--add",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,...",
        help=f"add losses or a hyper network to the recipe: {', '.join([*ADDED_LOSSES, *HYPER])}",
    )
    lora.add_argument(
        "--train",
        type=parts,
        metavar="PART,...",
        help=f"train these in full beside the LoRA: {', '.join(PARTS)}, or none",
    )
    for name, words in COUNTS.items():
        lora.add_argument(f"--{name.replace('_', '-')}", type=positive, metavar="N", help=words)
    lora.add_argument("--learning-rate", type=float, metavar="RATE", help="the highest, after a tenth of the steps")
    options.add_argument(
        "--seed", type=int, default=0, help="lora: of initial weights and the order of the images (default: 0)"
    )
    return options


def parts(text: str) -> list[str]:
    """The parts in a list with commas; none for "none"."""
    found = [] if text == "none" else text.split(",")
    unknown = next((part for part in found if part not in PARTS), None)
    if unknown is not None:
        raise argparse.ArgumentTypeError(f"'{unknown}' is not one of {', '.join(PARTS)} or none")
    return found


def of_lora(arguments: argparse.Namespace) -> dict:
    """What the options of a LoRA say, as `fine_tune` takes it. Raises DataError for a recipe or addition that does not exist."""
    given = {name: getattr(arguments, name) for name in (*COUNTS, "learning_rate")}
    rate = given["learning_rate"]
    if rate is not None and not 0 < rate < 1:
        raise DataError(f"a learning rate of {rate:g} does not train: give one between 0 and 1, such as 2e-5.")
    if arguments.add and not arguments.recipe:
        raise DataError(f"--add adds to a recipe: give --recipe, one of {', '.join(RECIPES)}.")
    return {
        "system": recipe(arguments.recipe, arguments.add) if arguments.recipe else None,
        "also": arguments.train if arguments.train is not None or arguments.recipe else [],
        "changed": {name: value for name, value in given.items() if value is not None},
    }


def base_of(spec: str) -> str:
    """The base in SPEC; for a named adapter, its base."""
    base = spec.partition("+")[0]
    return (KNOWN[base].base or base) if base in KNOWN else base


def report(card: "AdapterCard", folder: Path, base: str) -> str:
    """The command's output: counts, figures before and after, and how to use the adapter with its `base`."""

    def line(title: str, before: float | None, after: float | None) -> str:
        return f"{title:<24}" + "".join(f"{'—' if value is None else f'{value:.3f}':>8}" for value in (before, after))

    scale = f"on {card.scale[0]:g} to {card.scale[1]:g}"

    def figures(title: str, found: dict) -> list[str]:
        return [
            f"{title:<24}{'before':>8}{'after':>8}",
            *(line(f"  {name.upper()}", found["before"][name], found["after"][name]) for name in ("plcc", "srcc")),
            line(f"  RMSE {scale}", found["before"]["rmse"], found["after"]["rmse"]),
        ]

    left_out = {"before": card.before, "after": card.after}
    new = card.by_rater
    lines = [
        f"{f'{card.ratings} ratings of ' if card.ratings else ''}{card.images} images: {learned(card)}",
        *figures("by cross-validation" if card.cross_validated else "held-out part", left_out),
        *(line for name, found in card.by_set.items() for line in figures(f"{name}, {found['images']} images", found)),
        *([line("anchors, SRCC", card.anchors["before"], card.anchors["after"])] if card.anchors else []),
        *(figures(f"{new['raters']} held-out raters of {new['images']} images", new) if new else []),
        line("trained part, RMSE", card.before_trained["rmse"], card.after_trained["rmse"]),
        *([CHANCE] if card.held_out < FEW else []),
        *([card.note] if card.note else []),
        *([card.verdict] if card.verdict else []),
        f"adapter: {folder}",
        f"use it:  python -m model.score --model {base}+{folder} PATH...",
    ]
    return "\n".join(lines)


def learned(card: "AdapterCard") -> str:
    """What an adapter learned, from how many images."""
    if card.rung == "lora":
        return f"LoRA, {card.trained} to train on, {card.held_out} held out"
    slope, offset, images = card.options.values()
    kernel = f", and a kernel regression on {images} images" if images else ""
    return f"corrected score = {slope:.2f} x score {'-' if offset < 0 else '+'} {abs(offset):.2f}{kernel}"


def rung_for(images: int) -> str:
    """What --rung auto learns from so many rated images. A LoRA takes a training, so it has to be asked for."""
    return "head" if images >= HEAD_FROM else "recalibrate"


def finetune_command(arguments: argparse.Namespace) -> int:
    adapters = (arguments.data_dir or data_dir()) / "adapters"
    out = adapters / check_name(arguments.out)
    if out.exists():
        raise DataError(
            f"the adapter '{arguments.out}' exists already: choose another --out, or remove the folder {out} first."
        )
    check_training_dtype(arguments.dtype)
    check_spec(arguments.model, adapters)
    for_lora = of_lora(arguments)
    asked = any(for_lora.values())
    if asked and arguments.rung not in ("auto", "lora"):
        raise DataError(
            f"--rung {arguments.rung} does not train the model: leave out the options of lora, or choose --rung lora."
        )
    rated = gather(arguments)
    common = {name: getattr(arguments, name) for name in ("include_revealed", "device", "dtype")}
    common |= {"anchors": gather_anchors(arguments.anchors), "most_forgotten": arguments.anchor_loss}
    rung = rung_for(len(rated)) if arguments.rung == "auto" else arguments.rung
    if rung == "lora" or asked:
        from model.finetuning.procedure import fine_tune

        card = fine_tune(rated, arguments.model, out, seed=arguments.seed, **for_lora, **common)
    else:
        from model.finetuning.correcting import correct

        card = correct(rated, arguments.model, out, rung, **common)
    for failure in card.left_out:
        print(printable(f"left out: {failure['image']}: {failure['error']}"), file=sys.stderr)
    print(report(card, out, base_of(arguments.model)))
    return 1 if card.left_out else 0


def main(argv: Sequence[str] | None = None) -> int:
    return run(lambda: finetune_command(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
