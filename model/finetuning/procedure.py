"""Fine-tuning: train a LoRA adapter of a scorer on rated images.

One procedure for all backbones: read the images, hold out a part, train on the rest, write the adapter, load it from disk and measure
it. Differences between backbones are behind model/backbones/contract.py.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from tqdm import tqdm

from model.backbones.adapter_card import CARD, AdapterCard, corrects, read_card
from model.backbones.adapter_readme import readme
from model.backbones.contract import Backbone, Options, Prepared
from model.backbones.spec import QUALITY, Spec, revision
from model.common.devices import choose_device
from model.common.errors import DataError, ImageError, TooLittleMemory
from model.common.memory import give_back_memory
from model.common.new_folder import new_folder
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.evaluation.metrics import finite_or_none, plcc, rmse, srcc
from model.finetuning.examples import OnDisk, in_memory, together
from model.finetuning.gate import MOST_FORGOTTEN, Forgotten, forgotten_of, judge
from model.finetuning.material import (
    MIN_HELD_OUT,
    Split,
    by_held_out_raters,
    check_enough,
    data_hash,
    reliability,
    split,
    taught,
)
from model.finetuning.plan import plan
from model.finetuning.recipes import defaults
from model.finetuning.step import Lesson
from model.finetuning.training import train
from model.images.decoding import open_image
from model.loading.known import KNOWN, resolve
from model.loading.opening import (
    TRAINING_SHARE,
    check_adaptable,
    check_before_download,
    check_training_dtype,
    load_backbone,
    open_to_train,
)
from model.readouts.levels import ASSUMED_STD
from model.readouts.systems import System
from model.scoring.assessment import Failure

FIGURES = {"plcc": plcc, "srcc": srcc, "rmse": rmse}
KEPT = 4e9  # bytes of prepared images in memory: nano needs half of it for 100,000 images, VLMs up to 50 MB per image


def predict(backbone: Backbone, examples: Sequence[Prepared | OnDisk], title: str) -> torch.Tensor:
    """The scores [N] of all examples, on the scale of the backbone's readout."""
    backbone.model.eval()
    scores = torch.empty(len(examples))
    with tqdm(total=len(examples), desc=title, unit="image", file=sys.stderr, disable=None) as progress:
        for part in together(range(len(examples)), examples):
            with torch.no_grad():
                reading = backbone.readout.read(*backbone.ask(in_memory(part, examples, backbone)))
            scores[part] = reading.score.cpu()
            progress.update(len(part))
    return scores


@dataclass(frozen=True)
class Material:
    """The readable rated images, their digests and examples in the same order, and the failures."""

    rated: list[RatedImage]
    digests: list[str]
    examples: list[Prepared | OnDisk]
    failures: list[Failure]

    def mos_on(self, scale: Scale) -> torch.Tensor:
        """[N]"""
        return torch.tensor([record.mos_on(scale) for record in self.rated])


def read_material(rated: Sequence[RatedImage], backbone: Backbone) -> Material:
    """Decode and encode all images; those beyond KEPT bytes stay on disk. Raises DataError when too few can be read."""
    readable, digests, examples, failures, kept = [], [], [], [], 0
    for record in tqdm(rated, desc="reading images", unit="image", file=sys.stderr, disable=None):
        try:
            example = backbone.encode(open_image(record.image))
            digest = hashlib.sha256(record.image.read_bytes()).hexdigest()
        except (ImageError, OSError) as error:
            failures.append(Failure(record.image.name, str(error)))
            continue
        readable.append(record)
        kept += example.nbytes
        examples.append(example if kept <= KEPT else OnDisk(record.image, example.shape_key, example.length))
        digests.append(digest)
    check_enough(len(readable), failures)
    return Material(readable, digests, examples, failures)


def fine_tune(
    rated: Sequence[RatedImage],
    spec: str,
    out: Path,
    options: Options | None = None,
    seed: int = 0,
    include_revealed: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    system: System | None = None,
    also: Collection[str] | None = None,
    anchors: Sequence[RatedImage] = (),
    most_forgotten: float = MOST_FORGOTTEN,
    changed: Mapping[str, float] | None = None,
) -> AdapterCard:
    """Train an adapter for the model SPEC on rated images and write it to the folder `out`, which must not exist.

    For a SPEC with an adapter, training resumes from that adapter, and the result is again an adapter of the base alone. Adapters given by
    name are searched in the parent folder of `out`. Deterministic for equal arguments; a training that was killed resumes when it is
    called again with them.

    options: None for those of the recipe or the backbone; changed: single ones that replace them. system: the recipe
    (model/readouts/systems.py); None: the model's own readout and losses. also: of PARTS (model/backbones/contract.py), trained in full
    beside the LoRA; None: what the recipe trains. include_revealed is only written to the card. device and dtype: as for scoring; dtype is
    auto, float32 or bfloat16.

    anchors: images on which nothing should be lost; one without a scale takes the model's own score as its MOS. A part of them is trained
    on, and on the others the SRCC may fall by `most_forgotten`, or the gate refuses the adapter.

    Raises DataError for too few ratings, a model that cannot be fine-tuned, or an `out` that cannot be written, and ModelLoadError for the
    model. Then nothing is written.
    """
    where = choose_device(device)
    check_training_dtype(dtype)
    check_before_download(spec, where, dtype, TRAINING_SHARE)
    found = resolve(spec, out.parent)
    check_adaptable(found, dtype)
    if found.adapter and corrects(found.adapter):
        base = found.name.partition("+")[0]
        raise DataError(
            f"{found.name} corrects scores, which --rung lora cannot continue: give --model {base}, or another --rung."
        )
    parent = read_card(found.adapter) if found.adapter and (found.adapter / CARD).is_file() else None
    print(plan(found, where, dtype, len(rated), system, also), file=sys.stderr)
    backbone = open_to_train(found, where, dtype)
    usual, parts_of_recipe = defaults(system, backbone)
    options = replace(options or usual, **(changed or {}))
    also = parts_of_recipe if also is None else also
    backbone.also_trained = frozenset(also) | frozenset(parent.trained_parts if parent else ())
    check_recipe(backbone, system)
    with memory_guarded(found, where):
        material = read_material(rated, backbone)
        kept = read_anchors(anchors, backbone, material) if anchors else None
    parts = split(material.digests, parent.trained_on if parent else (), material.rated)
    chosen, records = taught(material.rated, parts)
    if not chosen:
        raise DataError("no image is left to train on: all are held out by their data sets' own splits.")
    origin = origin_of(found)
    remedy = "free some space there or name another --data-dir"
    with new_folder(out, DataError, remedy) as folder:
        with memory_guarded(found, where):
            torch.manual_seed(seed)
            before, scale = predict(backbone, material.examples, "scores before"), backbone.readout.scale
            if system:
                backbone.teach(system)
            options = replace(options, rank=backbone.adapt(options.rank))
            readout, plain_peft, losses = (
                backbone.readout,
                backbone.plain_peft,
                system.losses if system else backbone.losses,
            )
            mos, before = material.mos_on(readout.scale), scale.onto(readout.scale, before)
            examples = [material.examples[n] for n in chosen]
            if kept:
                examples, records = [*examples, *kept.replayed_examples], [*records, *kept.replayed]
            run = {
                "base": origin,
                "options": asdict(options),
                "losses": dict(losses),
                "seed": seed,
                "parts": sorted(also),
            }
            shown = [[record.mos, record.n, *record.scale] for record in records]
            key = json.dumps([run, shown, data_hash(material.rated, material.digests)], sort_keys=True)
            checkpoint = out.parent / f".{out.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.checkpoint"
            train(backbone, examples, lesson_of(records, readout.scale), options, seed, losses, checkpoint)
            backbone.save_adapter(folder, origin["base"], origin["base_revision"])
            trained_parts = sorted(backbone.also_trained)
        del backbone  # otherwise two models would be in memory
        give_back_memory()
        card = AdapterCard(
            name=out.name,
            readout=readout.kind,
            scale=readout.scale,
            seed=seed,
            options=asdict(options),
            include_revealed=include_revealed,
            recipe=system.name if system else "",
            trained_parts=trained_parts,
            **origin,
            **account(material, replace(parts, train=chosen)),
            **measured(material, parts, mos, before, None),
        )
        (folder / CARD).write_text(card.to_json(), encoding="utf-8")  # loading an adapter requires its card
        after, forgotten, failed = measure_on_disk(replace(found, adapter=folder), where, dtype, material, kept)
        figures = measured(material, parts, mos, before, after)
        figures["by_rater"] = by_rater(material, parts, readout.scale, before, after)
        if after is not None:
            held_out = (part[parts.held_out].numpy() for part in (mos, before, after))
            figures["better"], figures["verdict"] = judge(*held_out, name_of(origin), forgotten, most_forgotten)
            figures["anchors"] = asdict(forgotten) if forgotten else None
        card = replace(card, **figures | {"note": failed or figures["note"]})
        (folder / CARD).write_text(card.to_json(), encoding="utf-8")
        (folder / "README.md").write_text(readme(card, plain_peft), encoding="utf-8")
    checkpoint.unlink(missing_ok=True)
    return card


def check_recipe(backbone: Backbone, system: System | None) -> None:
    """Raises DataError for a recipe whose readout the model cannot get, and for parts that it does not have."""
    if system and not backbone.can_read_as(system):
        raise DataError(
            f"the recipe '{system.name}' reads {', '.join(system.tokens)}, and this model was trained to read "
            f"{', '.join(backbone.readout.tokens)}: choose another recipe, or the model that it was trained from."
        )
    missing = sorted(backbone.also_trained - set(backbone.parts))
    if missing:
        has = ", ".join(backbone.parts) or "none"
        raise DataError(
            f"this model has no part '{missing[0]}' that can be trained in full (it has: {has}): leave it out of --train."
        )


@dataclass(frozen=True)
class Anchors:
    """Anchor images: those that are trained on, with their labels; and those that are measured, with their MOS and scores before."""

    replayed: list[RatedImage]
    replayed_examples: list[Prepared | OnDisk]
    measured: list[Prepared | OnDisk]
    mos: torch.Tensor
    before: torch.Tensor


def read_anchors(anchors: Sequence[RatedImage], backbone: Backbone, material: Material) -> Anchors:
    """Read the anchors; a fifth, or the test part of their data set, is measured, and at most as many others as there are rated images are
    trained on. Images that are rated are left out."""
    found = read_material(list(anchors), backbone)
    before, scale = predict(backbone, found.examples, "anchors before"), backbone.readout.scale
    labelled = [
        replace(record, mos=score, scale=scale) if record.scale is None else record
        for record, score in zip(found.rated, before.clamp(*scale).tolist(), strict=True)
    ]
    labelled = [replace(record, dataset=f"anchors: {record.dataset}") for record in labelled]
    parts, rated = split(found.digests, rated=labelled), set(material.digests)
    replayed = [n for n in parts.train if found.digests[n] not in rated][: len(material.rated)]
    return Anchors(
        [labelled[n] for n in replayed],
        [found.examples[n] for n in replayed],
        [found.examples[n] for n in parts.held_out],
        torch.tensor([labelled[n].mos_on(scale) for n in parts.held_out]),
        before[parts.held_out],
    )


def measure_on_disk(
    found: Spec, device: torch.device, dtype: str, material: Material, anchors: Anchors | None
) -> tuple[torch.Tensor | None, Forgotten | None, str]:
    """(scores [N] of the adapter, loaded from disk and merged as for scoring; what it forgot of the anchors; ""). (None, None, reason) if
    that fails: the trained adapter is kept anyway."""
    try:
        with memory_guarded(found, device):
            backbone = load_backbone(found, device, dtype, QUALITY)
            after, forgotten = predict(backbone, material.examples, "scores after"), None
            if anchors:
                now = predict(backbone, anchors.measured, "anchors after")
                forgotten = forgotten_of(anchors.mos.numpy(), anchors.before.numpy(), now.numpy())
            return after, forgotten, ""
    except (TooLittleMemory, DataError) as error:
        return None, None, f"The adapter could not be measured: {error} Measure it by python -m model.evaluate."


@contextmanager
def memory_guarded(found: Spec, device: torch.device) -> Iterator[None]:
    """Raises DataError when the block runs out of memory."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise DataError(
            f"fine-tuning {found.name} ran out of memory on the device '{device}': choose --dtype bfloat16, a smaller model "
            "or another --device."
        ) from error


def origin_of(found: Spec) -> dict:
    """The card's base, base_revision and parent: names and hub ids, not paths."""

    def name(text: str) -> str:
        return Path(text).resolve().name if Path(text).exists() else text

    base, _, adapter = found.name.partition("+")
    if base in KNOWN and KNOWN[base].base:  # the name of an adapter
        base, adapter = KNOWN[base].base, base
    bare = replace(found, name=base, adapter=None)
    parent = {"name": name(adapter), "revision": revision(found)} if found.adapter else None
    return {"base": base if base in KNOWN else name(base), "base_revision": revision(bare), "parent": parent}


def name_of(origin: dict) -> str:
    """The starting point: the base, with the adapter that training resumed from."""
    return origin["base"] + (f"+{origin['parent']['name']}" if origin["parent"] else "")


def account(material: Material, parts: Split) -> dict:
    """The card's date, hash, counts and lists."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data_sha256": data_hash(material.rated, material.digests),
        "ratings": sum(record.n or 0 for record in material.rated),
        "images": len(material.rated),
        "trained": len(parts.train),
        "held_out": len(parts.held_out),
        "trained_on": [material.digests[position] for position in parts.train],
        "left_out": [failure.to_dict() for failure in material.failures],
    }


def lesson_of(records: Sequence[RatedImage], scale: Scale) -> Lesson:
    """The labels of rated images on the readout's scale. Where a std is not known, the usual one is assumed; each MOS weighs by its
    reliability, unless all are equally reliable."""
    own = [record.on(scale) for record in records]
    names = list(dict.fromkeys(record.dataset for record in own))
    weights = torch.tensor(reliability(records))
    return Lesson(
        mos=torch.tensor([record.mos for record in own]),
        stds=torch.tensor([ASSUMED_STD * scale.width if record.std is None else record.std for record in own]),
        groups=torch.tensor([names.index(record.dataset) for record in own]) if len(names) > 1 else None,
        weights=None if weights.allclose(torch.ones(len(own))) else weights,
    )


def measured(
    material: Material,
    parts: Split,
    mos: torch.Tensor,
    before: torch.Tensor,
    after: torch.Tensor | None,
    now: torch.Tensor | None = None,
) -> dict:
    """The card's figures and note, from the MOS [N] and the scores [N] of all images before training and, if measured, after; now: the
    scores to show for the training images, if others than `after`."""
    held_out, trained = parts.held_out, parts.train

    def figures(scores: torch.Tensor | None, rows: list[int]) -> dict[str, float | None]:
        return dict.fromkeys(FIGURES) if scores is None else card_figures(scores[rows], mos[rows])

    card = {
        "before": figures(before, held_out),
        "after": figures(after, held_out),
        "before_trained": figures(before, trained),
        "after_trained": figures(after if now is None else now, trained),
        "note": "",
        "by_set": by_set(material.rated, held_out, figures, before, after),
    }
    if len(held_out) < MIN_HELD_OUT:
        card["note"] = (
            f"{len(held_out)} held-out images are too few for figures: rate more images that the resumed adapter was not trained on."
        )
    elif None in card["before"].values():
        card["note"] = "A correlation is not defined: all held-out images have the same MOS, or the same score."
    return card


def by_set(rated: Sequence[RatedImage], rows: Sequence[int], figures: Callable, before, after) -> dict[str, dict]:
    """The card's figures on the images `rows` of each data set; none if there is only one."""
    names = dict.fromkeys(rated[row].dataset for row in rows)
    if len(names) < 2:
        return {}
    members = {name: [row for row in rows if rated[row].dataset == name] for name in names}
    return {
        name: {"images": len(own), "before": figures(before, own), "after": figures(after, own)}
        for name, own in members.items()
    }


def by_rater(
    material: Material, parts: Split, scale: Scale, before: torch.Tensor, after: torch.Tensor | None
) -> dict | None:
    """The card's figures on held-out images against the MOS of held-out raters; None if there are no such raters."""
    rows, records = by_held_out_raters(material.rated, parts.held_out, parts.raters)
    if not rows:
        return None
    mos = torch.tensor([record.mos_on(scale) for record in records])
    return {
        "raters": len(parts.raters),
        "images": len(rows),
        "before": card_figures(before[rows], mos),
        "after": dict.fromkeys(FIGURES) if after is None else card_figures(after[rows], mos),
    }


def card_figures(scores: torch.Tensor, mos: torch.Tensor) -> dict[str, float | None]:
    """PLCC, SRCC and RMSE (in units of the scale); None if undefined, and for fewer than MIN_HELD_OUT images."""
    values = {name: figure(scores.numpy(), mos.numpy()) for name, figure in FIGURES.items()}
    return {name: finite_or_none(v) if len(mos) >= MIN_HELD_OUT else None for name, v in values.items()}
