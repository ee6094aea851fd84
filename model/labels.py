"""Labels: from a MOS to the token a model is taught to say.

Both methods cut the scale into K intervals of equal width, worst first: Q-Scorer names them by its score tokens, Q-Align by
level words (paper section 3.1; Q-Align section 3.3).
"""


def intervals(scale: tuple[float, float], count: int) -> list[tuple[float, float]]:
    """`count` intervals of equal width over `scale`, worst first; in the scale's units."""
    low, high = scale
    edges = [low + (high - low) * n / count for n in range(count)] + [high]
    return list(zip(edges, edges[1:], strict=False))


def interval_index(mos: float, scale: tuple[float, float], count: int) -> int:
    """Which of `count` intervals over `scale` a MOS falls into, 0 the worst. An inner edge belongs to the better interval; a MOS
    outside the scale to the nearest."""
    low, high = scale
    return min(max(int((mos - low) / (high - low) * count), 0), count - 1)
