"""Fine-tuning: continue training a scorer on rated images with LoRA, and write what was learned as an adapter.

What moves: low-rank updates of the decoder's attention (q_proj and v_proj, which Q-Scorer, Q-Align and DeQA-Score adapt), the rows of the
score tokens or level words in embed_tokens and lm_head, and Q-Scorer's regressor. The image encoder and the connector stay as they are, so
each picture goes through them once and only the decoder runs in the training loop.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel
from safetensors import SafetensorError
from torch import nn
from tqdm import tqdm

from model.adapter import CARD, AdapterCard, check_base, load_onto, read_card, wrap
from model.adapter_readme import readme
from model.assessment import Failure
from model.backbones.nano import NanoModel, NanoProcessor
from model.errors import DataError, ImageError
from model.images import open_image
from model.learner import Examples, Learner
from model.nano_loading import load_nano
from model.metrics import plcc, rmse, srcc
from model.rated import MIN_HELD_OUT, RatedImage, Split, check_enough, data_hash, split
from model.registry import SHIPPED, Spec, resolve
from model.scorer import revision

TARGET_MODULES = ["q_proj", "v_proj"]


@dataclass(frozen=True)
class Options:
    """How an adapter is trained: LoRA's rank (alpha is twice that), Adam's peak learning rate, passes over the ratings,
    images a step, and the fewest steps: a handful of ratings is passed over more often.

    The number of passes is fixed beforehand: choosing the best by the held-out part would make its figures too good.
    """

    rank: int = 8
    learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 16
    min_steps: int = 20


def attach(model: NanoModel, processor: NanoProcessor, rank: int) -> PeftModel:
    """A new adapter on `model` (changed in place) that scores as the base does until it is trained."""
    rows = processor.tokenizer.convert_tokens_to_ids(list(model.config.readout["tokens"]))
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=TARGET_MODULES,
        trainable_token_indices={"embed_tokens": rows, "lm_head": rows},
        modules_to_save=["regressor"] if model.config.readout["kind"] == "score_token" else None,
    )
    return wrap(model, config)


def train(learner: Learner, examples: Examples, options: Options, seed: int) -> None:
    """Minimise the loss over `examples` by Adam; the learning rate rises for a tenth of the steps, then falls to zero.

    Raises DataError when the loss stops being a number.
    """
    batches = max(1, round(len(examples) / options.batch_size))
    epochs = max(options.epochs, -(-options.min_steps // batches))
    steps = epochs * batches
    weights = [weight for weight in learner.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(
        weights, lr=options.learning_rate
    )  # no decay: it would pull towards zero, not the base
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    random = np.random.default_rng(seed)
    learner.model.train()
    with tqdm(total=steps, desc="fine-tuning", unit="step", file=sys.stderr, disable=None) as progress:
        for _ in range(epochs):
            for batch in np.array_split(random.permutation(len(examples)), batches):
                loss = learner.loss(examples[batch])
                if not loss.isfinite():
                    raise DataError(
                        "training diverged: the loss is no longer a number; run it again with another --seed."
                    )
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, 5.0)
                optimizer.step()
                schedule.step()
                progress.update()
                progress.set_postfix(loss=f"{loss.item():.3f}")


@dataclass(frozen=True)
class Material:
    """The rated images that could be read, with digests and image tokens in the same order, and the ones that could not."""

    rated: list[RatedImage]
    digests: list[str]
    examples: Examples
    failures: list[Failure]


@torch.no_grad()
def read_material(rated: Sequence[RatedImage], learner: Learner) -> Material:
    """Decode each picture and take it through the encoder and connector, once. Raises DataError when too few can be read."""
    readable, digests, tokens, failures = [], [], [], []
    for record in tqdm(rated, desc="reading images", unit="image", file=sys.stderr, disable=None):
        try:
            pixels = learner.processor.pixels(open_image(record.image))
            digests.append(hashlib.sha256(record.image.read_bytes()).hexdigest())
        except (ImageError, OSError) as error:
            failures.append(Failure(record.image.name, str(error)))
            continue
        readable.append(record)
        tokens.append(learner.model.encode(pixels.unsqueeze(0)))
    check_enough(len(readable), failures)
    mos = torch.tensor([record.mos_on(learner.scale) for record in readable])
    return Material(readable, digests, Examples(torch.cat(tokens), mos), failures)


def finetune(
    rated: Sequence[RatedImage],
    spec: str,
    out: Path,
    options: Options = Options(),
    seed: int = 0,
    include_revealed: bool = False,
) -> AdapterCard:
    """Train an adapter for the model SPEC on rated images and write it to the folder `out`, which must not exist yet.

    A SPEC with an adapter continues that adapter: its tensors go on from where they are, so the result fits on the
    bare base. Adapters given by name are looked for beside `out`. include_revealed is only written on the card. The
    same arguments give the same tensors.

    Raises DataError for too few ratings or an `out` that cannot be written, ModelLoadError for the model. Then nothing
    is left behind.
    """
    found = resolve(spec, out.parent)
    base = Spec(spec.partition("+")[0], found.base, None)
    parent = read_card(found.adapter) if found.adapter else None
    if parent:
        check_base(parent, found)
    model, processor = load_nano(base)
    learner = Learner(model, processor)
    material = read_material(rated, learner)
    parts = split(material.digests, parent.trained_on if parent else ())
    with workspace(out) as folder:
        torch.manual_seed(seed)
        adapted = load_onto(model, found.adapter, trainable=True) if parent else attach(model, processor, options.rank)
        options = replace(options, rank=adapted.peft_config["default"].r)
        before = learner.predict(material.examples.image_tokens)
        train(learner, material.examples[parts.train], options, seed)
        origin = origin_of(found, base)
        save_tensors(adapted, folder, origin)
        # What is on disk is what is measured.
        saved = load_onto(load_nano(base)[0], folder).merge_and_unload()
        after = Learner(saved, processor).predict(material.examples.image_tokens)
        choices = {"seed": seed, "options": asdict(options), "include_revealed": include_revealed}
        card = AdapterCard(
            name=out.name,
            readout=learner.readout,
            scale=learner.scale,
            **origin,
            **choices,
            **account(material, parts),
            **measured(parts, material.examples.mos, before, after),
        )
        (folder / CARD).write_text(card.to_json(), encoding="utf-8")
        (folder / "README.md").write_text(readme(card), encoding="utf-8")
    return card


@contextmanager
def workspace(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that becomes `out` when all went well, and is gone when not. Raises DataError when the disk is full,
    `out` exists or cannot be written."""
    if out.exists():
        raise DataError(f"{out} exists already: choose another --out, or remove that folder first.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out.parent) as temporary:
            folder = Path(temporary, out.name)
            yield folder
            folder.rename(out)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"the adapter could not be written to {out} ({reason}): free some space there or name another --data-dir."
        ) from error


def origin_of(found: Spec, base: Spec) -> dict:
    """The card's base, base_revision and parent; names only, no path of this machine."""

    def name(text: str) -> str:
        return text if text in SHIPPED else Path(text).resolve().name

    parent = {"name": found.adapter.name, "revision": revision(found)} if found.adapter else None
    return {"base": name(base.name), "base_revision": revision(base), "parent": parent}


def save_tensors(adapted: PeftModel, folder: Path, origin: dict) -> None:
    """PEFT's own files. base_model_name_or_path and revision say which base, in place of the path that PEFT would write."""
    config = adapted.peft_config["default"]
    config.base_model_name_or_path, config.revision = origin["base"], origin["base_revision"]
    adapted.save_pretrained(folder, save_embedding_layers=False)


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
        "before": figures(before[held_out], mos[held_out]),
        "after": figures(after[held_out], mos[held_out]),
        "before_trained": figures(before[trained], mos[trained]),
        "after_trained": figures(after[trained], mos[trained]),
        "note": "",
    }
    if len(held_out) < MIN_HELD_OUT:
        card["note"] = (
            f"{len(held_out)} held-out images are too few for figures: rate more images that the parent was not trained on."
        )
    elif None in card["before"].values():
        card["note"] = "A correlation is not defined: the held-out images were all rated alike, or all scored alike."
    return card


def figures(scores: torch.Tensor, mos: torch.Tensor) -> dict[str, float | None]:
    """PLCC, SRCC and RMSE (in units of the scale), None where not defined or for fewer than MIN_HELD_OUT images."""
    values = {
        name: figure(scores.numpy(), mos.numpy()) for name, figure in (("plcc", plcc), ("srcc", srcc), ("rmse", rmse))
    }
    return {name: float(v) if len(mos) >= MIN_HELD_OUT and np.isfinite(v) else None for name, v in values.items()}
