"""Assessments made by hand, for tests that need no model."""

from model.common.scale import Scale
from model.scoring.assessment import Assessment

SCORE_TOKENS = tuple(f"<score{n}>" for n in range(1, 6))


def assessment(
    score=3.88, probabilities=(0.01, 0.02, 0.06, 0.62, 0.29), scale=Scale(1.0, 5.0), mass=0.97, image="a.jpg"
):
    low, high = scale
    width = (high - low) / len(probabilities)
    middles = [low + width * (n + 0.5) for n in range(len(probabilities))]
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return Assessment(
        image=image,
        score=score,
        scale=scale,
        tokens=SCORE_TOKENS[: len(probabilities)],
        probabilities=probabilities,
        token_mass=mass,
        expectation=sum(p * m for p, m in zip(probabilities, middles, strict=True)),
        uncertainty=0.7,
        interval=Scale(low + width * best, low + width * (best + 1)),
        model="nano",
        revision="0" * 12,
    )
