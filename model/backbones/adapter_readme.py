"""The README.md of an adapter, in the layout of PEFT's model cards, from its AdapterCard."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.backbones.adapter_card import AdapterCard

TEMPLATE = """\
---
base_model: {card.base}
{library}tags:
- base_model:adapter:{card.base}
- image-quality-assessment
---

# {card.name}

An adapter for the image-quality scorer `{card.base}` (revision {card.base_revision}), fine-tuned on human ratings.

## Model Details

- **Base:** {card.base}, revision {card.base_revision}{parent}
- **Readout:** {card.readout}; scores from {card.scale[0]:g} to {card.scale[1]:g}, higher is better
- **Learned:** {learned}
- **Made:** {card.date}, {options}

## Uses

    python -m model.score --model {card.base}+path/to/{card.name} PATH...
{by_peft}
## Training Data

{ratings}{card.images} images ({kind}): {card.trained} images learned from, {measured}. SHA-256 of the data:
{card.data_sha256}. {left_out}

## Evaluation

| part | | PLCC | SRCC | RMSE |
|---|---|---|---|---|
| left out | before | {held_out_before} |
| left out | after | {held_out_after} |
| learned from | before | {trained_before} |
| learned from | after | {trained_after} |

RMSE is in units of the scale. The last two rows measure how well the adapter fits its training data, not how well it predicts.
{card.verdict} {card.note}
"""

BY_PEFT = """
or with plain PEFT, where BASE is the base's folder and FOLDER is this one:

{plain_peft}
"""
LEARNED = {
    "recalibrate": "an affine map of the score (correction.safetensors)",
    "head": "an affine map of the score and a kernel regression on the frozen model's features (correction.safetensors)",
    "lora": "a LoRA, rows of the score tokens or level words, and the regressor where there is one",
}


def cells(figures: dict[str, float | None]) -> str:
    """PLCC, SRCC and RMSE as cells of a Markdown row; a dash if undefined."""
    return " | ".join("—" if figures[name] is None else f"{figures[name]:.3f}" for name in ("plcc", "srcc", "rmse"))


def readme(card: "AdapterCard", plain_peft: str) -> str:
    """The text of the adapter's README.md. plain_peft: code that loads the adapter with PEFT."""
    parent = f"\n- **Resumed from:** {card.parent['name']}, revision {card.parent['revision']}" if card.parent else ""
    return (
        TEMPLATE.format(
            card=card,
            library="" if card.rung != "lora" else "library_name: peft\n",
            learned=LEARNED[card.rung],
            by_peft=BY_PEFT.format(plain_peft=plain_peft) if card.rung == "lora" else "",
            measured="measured by 10-fold cross-validation" if card.cross_validated else f"{card.held_out} held out",
            parent=parent,
            options=(f"seed {card.seed}, " if card.rung == "lora" else "")
            + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in card.options.items()),
            ratings=f"{card.ratings} ratings of " if card.ratings else "",
            kind="blind and after seeing the score" if card.include_revealed else "blind",
            left_out=f"{len(card.left_out)} rated images could not be read and are left out." if card.left_out else "",
            held_out_before=cells(card.before),
            held_out_after=cells(card.after),
            trained_before=cells(card.before_trained),
            trained_after=cells(card.after_trained),
        ).rstrip()
        + "\n"
    )
