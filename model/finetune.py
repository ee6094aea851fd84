"""Fine-tune a scorer on rated images: `python -m model.finetune --data-dir data --model nano --out NAME`

Takes the ratings in a data folder (--data-dir), data sets (--data), or a CSV file of labels (--labels), several at once, each on its own
scale. Trains on them, and prints PLCC, SRCC and RMSE before and after on images that were left out, with a verdict: is the improvement
significant? The adapter is written to DATA_DIR/adapters/NAME, and --model nano+NAME uses it.

The method depends on the number of rated images; --rung chooses another:

  recalibrate   an affine map of the score: from 8 images, in seconds
  head          that, and a kernel regression on the frozen model's features: from 30 images, in seconds
  lora          a LoRA of the language model, with score tokens and regressor: from some hundred images, by training

A data set's own test part is left out. Of other images, lora leaves out a fifth, and recalibrate and head use all: their figures come from
10-fold cross-validation. With three raters or more, the ratings of some raters are left out as well, and figures against these are shown.
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
from model.common.command_line import add_device_options, add_spec_option, data_dir, printable, run
from model.common.errors import DataError
from model.finetuning.sources import add_source_options, gather
from model.loading.known import KNOWN, check_spec
from model.loading.opening import check_training_dtype

FEW = 10  # held-out images; with fewer, correlations are unreliable
CHANCE = f"Correlations of fewer than {FEW} images are mostly chance."
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
        "--seed", type=int, default=0, help="lora: of initial weights and the order of the images (default: 0)"
    )
    return options


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
    rated = gather(arguments)
    common = {name: getattr(arguments, name) for name in ("include_revealed", "device", "dtype")}
    rung = rung_for(len(rated)) if arguments.rung == "auto" else arguments.rung
    if rung == "lora":
        from model.finetuning.procedure import fine_tune

        card = fine_tune(rated, arguments.model, out, seed=arguments.seed, **common)
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
