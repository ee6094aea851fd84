"""The two quick rungs of fine-tuning: scores are corrected and the backbone stays frozen, so seconds on a CPU suffice for any backbone.

    recalibrate    an affine map of the score
    head           that, and a kernel ridge regression on the backbone's features (model/readouts/correction.py)

All images are learned from. The figures are of scores that each image got by a correction learned without it (10 folds).
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from model.backbones.adapter_card import CARD, CONFIG, CORRECTION, WEIGHTS, AdapterCard, read_card
from model.backbones.adapter_readme import readme
from model.backbones.contract import Backbone
from model.backbones.spec import QUALITY, Spec, revision
from model.common.devices import choose_device
from model.common.errors import DataError, ImageError
from model.common.new_folder import new_folder
from model.datasets.rated import RatedImage
from model.finetuning.gate import judge
from model.finetuning.material import Split, check_enough
from model.finetuning.procedure import Material, account, card_figures, memory_guarded, name_of, origin_of
from model.images.decoding import open_image
from model.loading.known import resolve
from model.loading.opening import check_before_download, load_backbone
from model.readouts.correction import fit_correction
from model.scoring.assessment import Failure

FOLDS = 10
MOST_IMAGES = 4000  # the kernel's cost grows with their cube
RATING_STD, UNEXPLAINED_STD = (
    0.8,
    0.3,
)  # of one rating about its MOS; of the MOS about the best correction; on a scale of 1 to 5


@dataclass(frozen=True)
class Answers:
    """What a frozen backbone says of N images: scores [N], as the readout gives them and as an earlier correction leaves them, and the
    features [N, F] from which a correction is learned."""

    scores: torch.Tensor
    corrected: torch.Tensor
    features: torch.Tensor

    def of(self, rows: Sequence[int] | torch.Tensor) -> "Answers":
        """Those for some of the images, by position or by a mask [N]."""
        return Answers(self.scores[rows], self.corrected[rows], self.features[rows])


def correct(
    rated: Sequence[RatedImage],
    spec: str,
    out: Path,
    rung: str,
    include_revealed: bool = False,
    device: str = "auto",
    dtype: str = "auto",
) -> AdapterCard:
    """Learn a correction of the scores of the model SPEC and write it as an adapter to the folder `out`, which must not exist yet.

    rung: recalibrate or head. A SPEC with an adapter keeps that adapter's weights; its correction, if any, is learned anew. The rest is
    as in `fine_tune` (model/finetuning/procedure.py), which raises the same errors.
    """
    where = choose_device(device)
    check_before_download(spec, where, dtype)
    found = resolve(spec, out.parent)
    backbone = load_backbone(found, where, dtype, QUALITY)
    scale = backbone.readout.scale
    with memory_guarded(found, where):
        material, answers = look(rated, found, backbone, out.parent)
    if len(material.rated) > MOST_IMAGES:
        raise DataError(
            f"--rung {rung} takes at most {MOST_IMAGES} images, and these are {len(material.rated)}: choose --rung lora."
        )
    mos, weight = material.mos_on(scale), reliability(material.rated)
    correction = fit_correction(answers.scores, answers.features, mos, weight, rung == "head")
    after = left_out(answers, mos, weight, rung == "head").clamp(*scale)
    now = correction(answers.scores, answers.features).clamp(*scale)
    seen = set(read_card(found.adapter).trained_on) if found.adapter and (found.adapter / CARD).is_file() else set()
    unseen = [n for n, digest in enumerate(material.digests) if digest not in seen]  # by what stood before
    origin = origin_of(found)
    better, verdict = judge(*(part[unseen].numpy() for part in (mos, answers.corrected, after)), name_of(origin))
    affine = {"slope": float(correction.affine[0]), "offset": float(correction.affine[1])}
    card = AdapterCard(
        name=out.name,
        readout=backbone.readout.kind,
        scale=scale,
        seed=0,
        options=affine | {"images in the kernel": len(correction.weights)},
        include_revealed=include_revealed,
        **origin,
        **account(material, Split(list(range(len(mos))), unseen)),
        before=card_figures(answers.corrected[unseen], mos[unseen]),
        after=card_figures(after[unseen], mos[unseen]),
        before_trained=card_figures(answers.corrected, mos),
        after_trained=card_figures(now, mos),
        note="",
        rung=rung,
        cross_validated=True,
        better=better,
        verdict=verdict,
    )
    with new_folder(out, DataError, "free some space there or name another --data-dir") as folder:
        if found.adapter and (found.adapter / WEIGHTS).is_file():
            for name in (CONFIG, WEIGHTS):
                (folder / name).write_bytes((found.adapter / name).read_bytes())
        correction.save(folder / CORRECTION)
        (folder / CARD).write_text(card.to_json(), encoding="utf-8")
        (folder / "README.md").write_text(readme(card, backbone.plain_peft), encoding="utf-8")
    return card


def look(rated: Sequence[RatedImage], found: Spec, backbone: Backbone, adapters: Path) -> tuple[Material, Answers]:
    """The rated images that can be read, and what the backbone says of them; what it said before is kept on disk, by the model's revision,
    beside the adapters. Raises DataError when too few can be read."""
    place = adapters / ".answers" / f"{revision(found)}.safetensors"
    kept = read_answers(place)
    readable, digests, rows, failures = [], [], [], []
    for record in tqdm(rated, desc="reading images", unit="image", file=sys.stderr, disable=None):
        try:
            digest = hashlib.sha256(record.image.read_bytes()).hexdigest()
            rows.append(kept[digest] if digest in kept else answer(backbone, record.image))
        except (ImageError, OSError) as error:
            failures.append(Failure(record.image.name, str(error)))
            continue
        readable.append(record)
        digests.append(digest)
    check_enough(len(readable), failures)
    table = torch.stack(rows)
    if kept.keys() != set(digests):
        place.parent.mkdir(parents=True, exist_ok=True)
        save_file(kept | dict(zip(digests, rows, strict=True)), place)
    return Material(readable, digests, [], failures), Answers(table[:, 0], table[:, 1], table[:, 2:])


@torch.inference_mode()
def answer(backbone: Backbone, image: Path) -> torch.Tensor:
    """Score, corrected score and features of one image [2 + F], float32."""
    hidden, logits, features = backbone.ask_with_features([backbone.prepare(open_image(image))])
    score = backbone.readout.read(hidden, logits).score
    corrected = backbone.corrected(score, features)
    return torch.cat([score, corrected, features[0]]).float().cpu().clone()


def read_answers(place: Path) -> dict[str, torch.Tensor]:
    """What an earlier run kept; nothing where that is damaged, for it can be computed again."""
    try:
        return load_file(place)
    except (OSError, SafetensorError):
        return {}


def reliability(rated: Sequence[RatedImage]) -> torch.Tensor:
    """How much each MOS counts [N], 1 on the average: the inverse of its variance, which falls with the number of its ratings."""
    weights = torch.tensor([1 / (RATING_STD**2 / (record.n or 1) + UNEXPLAINED_STD**2) for record in rated])
    return weights / weights.mean()


def left_out(answers: Answers, mos: torch.Tensor, weight: torch.Tensor, with_kernel: bool) -> torch.Tensor:
    """The score [N] of each image by a correction that was learned without it: FOLDS parts, drawn by a fixed seed."""
    scores = torch.empty_like(answers.scores)
    order = torch.randperm(len(mos), generator=torch.Generator().manual_seed(0))
    for part in order.tensor_split(min(FOLDS, len(mos))):
        rest = torch.ones(len(mos), dtype=torch.bool)
        rest[part] = False
        kept, tested = answers.of(rest), answers.of(part)
        found = fit_correction(kept.scores, kept.features, mos[rest], weight[rest], with_kernel)
        scores[part] = found(tested.scores, tested.features)
    return scores
