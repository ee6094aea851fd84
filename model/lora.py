"""Fine-tuning: continue training a scorer on rated images with LoRA, and write what was learned as an adapter.

The procedure, one for all kinds of models: read the pictures, hold a part of them out, train on the rest, write the adapter, and measure it
as it is on disk. What differs between kinds is behind model/tuning.py.
"""

import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from model.adapter import CARD, AdapterCard, read_card
from model.adapter_readme import readme
from model.assessment import Failure
from model.errors import DataError, ImageError
from model.images import open_image
from model.loading import check_before_download
from model.metrics import finite_or_none, plcc, rmse, srcc
from model.new_folder import new_folder
from model.rated import MIN_HELD_OUT, RatedImage, Split, check_enough, data_hash, split
from model.registry import KNOWN, Spec, resolve
from model.scorer import choose_device, revision
from model.tuning import TRAINING_SHARE, Example, Options, Tuner, check_can_learn, check_dtype, open_tuner

ROOM = 4096  # positions of the LLM that go through it at once
KEPT = 4e9  # bytes of prepared pictures in memory; nano's 100,000 pictures take half of it, VLMs' pixels up to 50 MB a picture


@dataclass(frozen=True)
class OnDisk:
    """An example that is not kept in memory, but prepared from its file whenever its turn comes."""

    image: Path
    shape_key: object
    length: int


def taken(numbers: Iterable[int], examples: Sequence[Example | OnDisk], tuner: Tuner) -> list[Example]:
    """The examples of these numbers, all in memory."""
    found = [examples[number] for number in numbers]
    return [tuner.prepare(open_image(e.image)) if isinstance(e, OnDisk) else e for e in found]


def together(numbers: Iterable[int], examples: Sequence[Example | OnDisk]) -> Iterator[list[int]]:
    """The numbers of examples, in parts that go through the model at once: each of one shape_key, and of as many as ROOM holds."""
    groups = defaultdict(list)
    for number in numbers:
        groups[examples[number].shape_key].append(number)
    for members in groups.values():
        size = max(1, ROOM // max(examples[number].length for number in members))
        yield from (members[start : start + size] for start in range(0, len(members), size))


def predict(tuner: Tuner, examples: Sequence[Example | OnDisk], said: str) -> torch.Tensor:
    """The scores [N] of all examples."""
    scores = torch.empty(len(examples))
    with tqdm(total=len(examples), desc=said, unit="image", file=sys.stderr, disable=None) as progress:
        for part in together(range(len(examples)), examples):
            scores[part] = tuner.predict(taken(part, examples, tuner))
            progress.update(len(part))
    return scores


def train(tuner: Tuner, examples: Sequence[Example | OnDisk], mos: torch.Tensor, options: Options, seed: int) -> None:
    """Minimise the loss over `examples` with their MOS [N] by Adam; the learning rate rises for a tenth of the steps, then falls to zero.

    Raises DataError when the loss stops being a number.
    """
    batches = max(1, round(len(examples) / options.batch_size))
    epochs = max(options.epochs, -(-options.min_steps // batches))
    steps = epochs * batches
    weights = [weight for weight in tuner.model.parameters() if weight.requires_grad]
    # No decay: it would pull towards zero, not the base.
    optimizer = torch.optim.Adam(weights, lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    random = np.random.default_rng(seed)
    tuner.model.train()
    with tqdm(total=steps, desc="fine-tuning", unit="step", file=sys.stderr, disable=None) as progress:
        for _ in range(epochs):
            for batch in np.array_split(random.permutation(len(examples)), batches):
                optimizer.zero_grad()
                loss = accumulate(tuner, batch.tolist(), examples, mos)
                nn.utils.clip_grad_norm_(weights, 5.0)
                optimizer.step()
                schedule.step()
                progress.update()
                progress.set_postfix(loss=f"{loss:.3f}")


def accumulate(tuner: Tuner, batch: list[int], examples: Sequence[Example | OnDisk], mos: torch.Tensor) -> float:
    """The loss of a batch, whose gradients are added up part by part. Raises DataError when it is not a number."""
    total = 0.0
    for part in together(batch, examples):
        loss = tuner.loss(taken(part, examples, tuner), mos[part]) * (len(part) / len(batch))
        if not loss.isfinite():
            raise DataError("training diverged: the loss is no longer a number; run it again with another --seed.")
        loss.backward()
        total += loss.item()
    return total


@dataclass(frozen=True)
class Material:
    """The rated images that could be read, with digests, examples and MOS on the model's scale in the same order, and the others."""

    rated: list[RatedImage]
    digests: list[str]
    examples: list[Example | OnDisk]
    mos: torch.Tensor
    failures: list[Failure]


def read_material(rated: Sequence[RatedImage], tuner: Tuner) -> Material:
    """Decode and prepare each picture; those beyond KEPT are not kept. Raises DataError when too few can be read."""
    readable, digests, examples, failures, kept = [], [], [], [], 0
    for record in tqdm(rated, desc="reading images", unit="image", file=sys.stderr, disable=None):
        try:
            example = tuner.prepare(open_image(record.image))
            digest = hashlib.sha256(record.image.read_bytes()).hexdigest()
        except (ImageError, OSError) as error:
            failures.append(Failure(record.image.name, str(error)))
            continue
        readable.append(record)
        kept += example.nbytes
        examples.append(example if kept <= KEPT else OnDisk(record.image, example.shape_key, example.length))
        digests.append(digest)
    check_enough(len(readable), failures)
    mos = torch.tensor([record.mos_on(tuner.scale) for record in readable])
    return Material(readable, digests, examples, mos, failures)


def finetune(
    rated: Sequence[RatedImage],
    spec: str,
    out: Path,
    options: Options | None = None,
    seed: int = 0,
    include_revealed: bool = False,
    device: str = "auto",
    dtype: str = "auto",
) -> AdapterCard:
    """Train an adapter for the model SPEC on rated images and write it to the folder `out`, which must not exist yet.

    A SPEC with an adapter continues that adapter: its tensors go on from where they are, so the result fits on the
    bare base. Adapters given by name are looked for beside `out`. options: None for those of the kind of model. include_revealed is only
    written on the card. device and dtype: as for scoring, dtype one of auto, float32, bfloat16. The same arguments give the same tensors.

    Raises DataError for too few ratings, a model that cannot be fine-tuned, or an `out` that cannot be written, ModelLoadError for the
    model. Then nothing is left behind.
    """
    where = choose_device(device)
    check_dtype(dtype)
    check_before_download(spec, where, dtype, TRAINING_SHARE)
    found = resolve(spec, out.parent)
    check_can_learn(found, dtype)
    parent = read_card(found.adapter) if found.adapter and (found.adapter / CARD).is_file() else None
    tuner = open_tuner(found, where, dtype)
    with in_memory(found, where):
        material = read_material(rated, tuner)
    parts = split(material.digests, parent.trained_on if parent else ())
    remedy = "free some space there or name another --data-dir"
    with new_folder(out, DataError, remedy) as folder, in_memory(found, where):
        torch.manual_seed(seed)
        before = predict(tuner, material.examples, "scores before")
        options = options or tuner.options
        options = replace(options, rank=tuner.begin(options.rank))
        train(tuner, [material.examples[n] for n in parts.train], material.mos[parts.train], options, seed)
        origin = origin_of(found)
        tuner.save(folder, origin)
        tuner = tuner.reload(folder)  # what is on disk is what is measured
        after = predict(tuner, material.examples, "scores after")
        choices = {"seed": seed, "options": asdict(options), "include_revealed": include_revealed}
        card = AdapterCard(
            name=out.name,
            readout=tuner.readout,
            scale=tuner.scale,
            **origin,
            **choices,
            **account(material, parts),
            **measured(parts, material.mos, before, after),
        )
        (folder / CARD).write_text(card.to_json(), encoding="utf-8")
        (folder / "README.md").write_text(readme(card, tuner.plain_peft), encoding="utf-8")
    return card


@contextmanager
def in_memory(found: Spec, device: torch.device) -> Iterator[None]:
    """Raises DataError when memory runs out in between."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise DataError(
            f"the memory of the device '{device}' ran out while {found.name} was fine-tuned: choose --dtype bfloat16, a smaller model "
            "or another --device."
        ) from error


def origin_of(found: Spec) -> dict:
    """The card's base, base_revision and parent: names and hub ids, no path of this machine."""

    def name(text: str) -> str:
        return Path(text).resolve().name if Path(text).exists() else text

    base, _, adapter = found.name.partition("+")
    if base in KNOWN and KNOWN[base].base:  # the name of an adapter
        base, adapter = KNOWN[base].base, base
    bare = replace(found, name=base, adapter=None)
    parent = {"name": name(adapter), "revision": revision(found)} if found.adapter else None
    return {"base": base if base in KNOWN else name(base), "base_revision": revision(bare), "parent": parent}


def account(material: Material, parts: Split) -> dict:
    """The card's date, hash, counts and lists."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data_sha256": data_hash(material.rated, material.digests),
        "ratings": sum(record.n for record in material.rated),
        "images": len(material.rated),
        "trained": len(parts.train),
        "held_out": len(parts.held_out),
        "trained_on": [material.digests[position] for position in parts.train],
        "left_out": [failure.to_dict() for failure in material.failures],
    }


def measured(parts: Split, mos: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> dict:
    """The card's figures and note, from the scores [N] of all images before and after."""
    held_out, trained = parts.held_out, parts.train
    card = {
        "before": card_figures(before[held_out], mos[held_out]),
        "after": card_figures(after[held_out], mos[held_out]),
        "before_trained": card_figures(before[trained], mos[trained]),
        "after_trained": card_figures(after[trained], mos[trained]),
        "note": "",
    }
    if len(held_out) < MIN_HELD_OUT:
        card["note"] = (
            f"{len(held_out)} held-out images are too few for figures: rate more images that the parent was not trained on."
        )
    elif None in card["before"].values():
        card["note"] = "A correlation is not defined: the held-out images were all rated alike, or all scored alike."
    return card


def card_figures(scores: torch.Tensor, mos: torch.Tensor) -> dict[str, float | None]:
    """PLCC, SRCC and RMSE (in units of the scale), None where not defined or for fewer than MIN_HELD_OUT images."""
    values = {
        name: figure(scores.numpy(), mos.numpy()) for name, figure in (("plcc", plcc), ("srcc", srcc), ("rmse", rmse))
    }
    return {name: finite_or_none(v) if len(mos) >= MIN_HELD_OUT else None for name, v in values.items()}
