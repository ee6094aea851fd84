"""One run of the reproduction: a system trained on frozen features, and its scores of the test images."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from model.backbones.nano.connector import NanoConnector
from model.datasets import biq2021
from model.datasets.rated import RatedImage
from model.paper.compare2score import choose_anchors
from model.paper.frozen_features import FrozenFeatures
from model.paper.learner import Anchors, Batch, SystemLearner, build_learner
from model.paper.plan import Run, Setup
from model.paper.systems import SYSTEMS

DECODER = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4}
BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY, LARGEST_GRADIENT, WARM_UP = 32, 1e-3, 1e-2, 5.0, 0.1
TRAINED = ("connector", "embeddings", "decoder", "lm_head", "head")
DECIMALS = 5


def settings(encoder: str) -> dict:
    """What two results must have in common to be compared. encoder: the revision of the frozen one."""
    return {
        "encoder": encoder,
        "trained": list(TRAINED),
        "decoder": DECODER,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "weight_decay": WEIGHT_DECAY,
    }


def perform(run: Run, setup: Setup, features: FrozenFeatures, device: torch.device) -> dict:
    """Train and test: the JSON object of the run."""
    start = time.monotonic()
    learner = train(run, setup.train, features, device)
    trained = time.monotonic()
    tests = {
        name: {
            "mos": [round(item.mos, DECIMALS) for item in items],
            "scores": [round(score, DECIMALS) for score in scores_of(learner, items, features)],
        }
        for name, items in setup.tests.items()
    }
    return {
        **asdict(run),
        "settings": settings(features.encoder),
        "losses": SYSTEMS[run.system].losses,
        "seconds": round(trained - start, 1),
        "tests": tests,
    }


def train(run: Run, items: Sequence[RatedImage], features: FrozenFeatures, device: torch.device) -> SystemLearner:
    """The run's system, trained on images; weights, order and batches are drawn from the seed alone."""
    system = SYSTEMS[run.system]
    learner = build_learner(system, biq2021.SCALE, run.seed, **DECODER)
    images = [item.image for item in items]
    learner.model.connector = NanoConnector(DECODER["hidden_size"])
    learner.model.connector.standardised.fit(features.of(images))
    learner.to(device)
    weights = [weight for weight in learner.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, weight_decay=WEIGHT_DECAY)
    steps = max(1, len(items) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=run.epochs * steps + 1, pct_start=WARM_UP
    )
    mos = torch.tensor([item.mos for item in items], device=device)
    names = {name: n for n, name in enumerate(dict.fromkeys(item.dataset for item in items))}
    groups = torch.tensor([names[item.dataset] for item in items], device=device)
    with tqdm(total=run.epochs * steps, desc=run.name, unit="step", file=sys.stderr, leave=False) as progress:
        for epoch in range(run.epochs):
            order = np.random.default_rng([run.seed, epoch]).permutation(len(items))
            learner.train()
            for step in range(steps):
                chosen = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
                tokens = learner.model.connector(features.of([images[n] for n in chosen]).to(device))
                loss, _ = learner.loss(Batch(tokens, mos[chosen], groups=groups[chosen]))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT)
                optimizer.step()
                schedule.step()
                progress.update()
    if system.readout == "comparison":
        picked = choose_anchors(mos.tolist(), biq2021.SCALE)
        learner.anchors = Anchors(image_tokens(learner, [images[n] for n in picked], features), mos[picked])
    if system.label == "none":
        residuals = torch.tensor(scores_of(learner, items, features), device=device) - mos
        learner.residual_std = residuals.square().mean().sqrt().item()
    return learner


@torch.no_grad()
def image_tokens(learner: SystemLearner, images: Sequence[Path], features: FrozenFeatures) -> torch.Tensor:
    chunks = [features.of(images[n : n + 256]) for n in range(0, len(images), 256)]
    return torch.cat([learner.model.connector(chunk.to(learner.model.device)) for chunk in chunks])


def scores_of(learner: SystemLearner, items: Sequence[RatedImage], features: FrozenFeatures) -> list[float]:
    return learner.predict(image_tokens(learner, [item.image for item in items], features)).tolist()
