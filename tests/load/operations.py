"""How many operations one image takes at mPLUG-Owl2's shapes, by the single forward and by the upstream baseline.

    python tests/load/operations.py

Counts them on torch's meta device, so that eight billion weights need no memory.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import torch

from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.network import MplugOwl2Config, MplugOwl2Model
from model.bench.measures import count_flops
from model.bench.random_models import OWL_7B, OWL_MID, PublishedIds

SIDE = 448


def operations(settings: dict) -> list[float]:
    """GFLOP of vision and abstractor, of the single forward, and of the upstream baseline's two steps."""
    with torch.device("meta"):
        model = MplugOwl2Model(MplugOwl2Config(**settings)).requires_grad_(False)
        backbone = MplugOwl2Backbone(model, PublishedIds(SIDE))
        pixels = torch.empty(1, 3, SIDE, SIDE)

        def forward(ids: torch.Tensor, last: int | None = None) -> torch.Tensor:
            """Logits at all positions, or at the `last`."""
            return model.lm_head(model.decode(model.encode(pixels), ids, backbone.image_start, last))

        ids = backbone.prompt_ids.expand(1, -1)
        works = (
            lambda: model.encode(pixels),
            lambda: forward(ids, last=1),
            lambda: (forward(ids[:, :-1]), forward(ids)),
        )
        return [count_flops(work) / 1e9 for work in works]


def main() -> None:
    print(
        "| shape | vision and abstractor | single forward | upstream baseline | baseline by single |\n|---|---|---|---|---|"
    )
    for name, settings in (("mid", OWL_MID), ("7b", OWL_7B)):
        vision, single, plain = operations(settings)
        print(f"| {name} | {vision:.1f} GFLOP | {single:.1f} GFLOP | {plain:.1f} GFLOP | {plain / single:.2f} |")


if __name__ == "__main__":
    main()
