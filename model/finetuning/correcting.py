"""The two quick rungs of fine-tuning: scores are corrected and the backbone stays frozen, so seconds on a CPU suffice for any backbone.

    recalibrate    an affine map of the score
    head           that, and a kernel ridge regression on the backbone's features (model/readouts/correction.py)

All images are learned from, but for those that a data set's own split holds out. The figures are of the latter's scores, and of those
that each other image got by a correction learned without it (10 folds).
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
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
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.finetuning.gate import MOST_FORGOTTEN, forgotten_of, judge
from model.finetuning.material import Split, check_enough, reliability, split, taught
from model.finetuning.procedure import Material, account, by_rater, measured, memory_guarded, name_of, origin_of
from model.images.decoding import open_image
from model.loading.known import resolve
from model.loading.opening import check_before_download, load_backbone
from model.readouts.correction import Correction, fit_correction
from model.scoring.assessment import Failure

FOLDS = 10
MOST_IMAGES = 4000  # the kernel's cost grows with their cube


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
    anchors: Sequence[RatedImage] = (),
    most_forgotten: float = MOST_FORGOTTEN,
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
    seen = read_card(found.adapter).trained_on if found.adapter and (found.adapter / CARD).is_file() else ()
    parts, tested = split_for_crossing(material, seen)
    if rung == "head" and len(parts.train) > MOST_IMAGES:
        raise DataError(
            f"--rung head learns from at most {MOST_IMAGES} images, and these are {len(parts.train)}: choose --rung lora or recalibrate."
        )
    mos, learner = material.mos_on(scale), Learner(answers, rung == "head", scale, contents(material))
    correction, now, after = learner.learn({n: material.rated[n] for n in parts.train})
    by_new_raters = None
    if parts.raters:  # the same, learned without them
        without_them = learner.learn(dict(zip(*taught(material.rated, parts), strict=True)))[2]
        by_new_raters = by_rater(material, tested, scale, answers.corrected, without_them)
    origin = origin_of(found)
    forgotten = None
    if anchors:
        kept, said = look(anchors, found, backbone, out.parent)
        own = [None if record.scale is None else record.mos_on(scale) for record in kept.rated]
        labels = [old if label is None else label for label, old in zip(own, said.corrected.tolist(), strict=True)]
        now_there = correction(said.scores, said.features).clamp(*scale)
        forgotten = forgotten_of(np.array(labels), said.corrected.numpy(), now_there.numpy())
    figures_of = (part[tested.held_out].numpy() for part in (mos, answers.corrected, after))
    better, verdict = judge(*figures_of, name_of(origin), forgotten, most_forgotten)
    affine = {"slope": float(correction.affine[0]), "offset": float(correction.affine[1])}
    card = AdapterCard(
        name=out.name,
        readout=backbone.readout.kind,
        scale=scale,
        seed=0,
        options=affine | {"images in the kernel": len(correction.weights)},
        include_revealed=include_revealed,
        **origin,
        **account(material, tested),
        **measured(material, tested, mos, answers.corrected, after, now),
        by_rater=by_new_raters,
        anchors=asdict(forgotten) if forgotten else None,
        rung=rung,
        cross_validated=not parts.own,
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


def split_for_crossing(material: Material, seen: Sequence[str]) -> tuple[Split, Split]:
    """The split for a correction, which learns from all images that no data set's own split holds out: (what is learned from; the same with
    the held-out images on which it is measured, by cross-validation where they are learned from, too). seen: SHA-256 of images that an
    earlier adapter was trained on; it is not measured on these."""
    parts = split(material.digests, seen, material.rated)
    crossed = [n for n in range(len(material.digests)) if n not in parts.own]
    published = [n for n in parts.held_out if n in parts.own]
    learned = replace(parts, train=sorted({*parts.train, *crossed}))
    known = set(seen)
    return learned, replace(
        learned, held_out=sorted([*published, *(n for n in crossed if material.digests[n] not in known)])
    )


def contents(material: Material) -> list[str]:
    """What must not be parted by cross-validation: the content of each image, or the image itself."""
    return [record.content or digest for record, digest in zip(material.rated, material.digests, strict=True)]


@dataclass(frozen=True)
class Learner:
    """Learns corrections of N images from some of them. with_kernel: the rung is head. contents [N]: see `contents`."""

    answers: Answers
    with_kernel: bool
    scale: Scale
    contents: Sequence[str]

    def learn(self, records: Mapping[int, RatedImage]) -> tuple[Correction, torch.Tensor, torch.Tensor]:
        """The correction that is learned from the images at some positions, the scores [N] that it gives, and the scores [N] of each image
        by a correction that was learned without it."""
        rows, count = list(records), len(self.contents)
        mos, weight, learnable = torch.zeros(count), torch.zeros(count), torch.zeros(count, dtype=torch.bool)
        mos[rows] = torch.tensor([record.mos_on(self.scale) for record in records.values()])
        weight[rows] = torch.tensor(reliability(list(records.values())))
        learnable[rows] = True
        known = self.answers.of(rows)
        correction = fit_correction(known.scores, known.features, mos[rows], weight[rows], self.with_kernel)
        now = correction(self.answers.scores, self.answers.features).clamp(*self.scale)
        after = left_out(self.answers, mos, weight, self.with_kernel, learnable, self.contents).clamp(*self.scale)
        return correction, now, torch.where(learnable, after, now)


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


def left_out(
    answers: Answers,
    mos: torch.Tensor,
    weight: torch.Tensor,
    with_kernel: bool,
    learnable: torch.Tensor | None = None,
    contents: Sequence[str] | None = None,
) -> torch.Tensor:
    """The score [N] of each image by a correction that was learned without it and without images of its content: FOLDS parts, drawn by a
    fixed seed. learnable [N]: the images that may be learned from; None: all."""
    scores = torch.empty_like(answers.scores)
    usable = torch.ones(len(mos), dtype=torch.bool) if learnable is None else learnable
    names = list(dict.fromkeys(contents or [])) or range(len(mos))
    of = torch.tensor([names.index(name) for name in contents]) if contents else torch.arange(len(mos))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0))
    for members in order.tensor_split(min(FOLDS, len(names))):
        part = torch.isin(of, members)
        rest = usable & ~part
        kept, tested = answers.of(rest), answers.of(part)
        found = fit_correction(kept.scores, kept.features, mos[rest], weight[rest], with_kernel)
        scores[part] = found(tested.scores, tested.features)
    return scores
