"""What the published programs train, and how, by recipe."""

from model.backbones.adapting import LARGE_MODELS
from model.backbones.contract import PARTS, Backbone, Options
from model.readouts.systems import System

# Q-Scorer's and DeQA-Score's training scripts: LoRA of rank 128, 2e-5, three epochs, 16 images a step; beside the LoRA the vision encoder
# and the abstractor are trained in full, and by Q-Scorer lm_head.
SCRIPT = Options(rank=128, learning_rate=2e-5, epochs=3, batch_size=16, min_steps=1)
PUBLISHED = {
    "qscorer": (SCRIPT, PARTS),
    "qscorer-1": (SCRIPT, PARTS),
    "deqa": (SCRIPT, ("vision", "connector")),
    "qalign": (Options(128, 2e-4, 3, 16, 1), ("connector",)),  # Q-Align's LoRA script
}


def defaults(system: System | None, backbone: Backbone) -> tuple[Options, tuple[str, ...]]:
    """Options, and parts that are trained in full: the published program's for a recipe on a large model, else the backbone's own."""
    if system is None or backbone.options != LARGE_MODELS:
        return backbone.options, ()
    options, parts = PUBLISHED[system.name.partition("+")[0]]
    return options, tuple(part for part in parts if part in backbone.parts)
