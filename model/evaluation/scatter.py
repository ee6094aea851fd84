"""Scatter plots as one SVG, written here, since plotly needs a browser to write one."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from model.common.scale import Scale

SIDE, GAP_LEFT, GAP_TOP, GAP_BELOW, GAP_RIGHT = (
    260,
    58,
    34,
    50,
    18,
)  # of a panel's plot, and the space around it; pixels
ACROSS = 3  # panels in a row
BLUE, GREY = "#2f6fb0", "#888"
FONT = "system-ui, 'Liberation Sans', Arial, sans-serif"


@dataclass(frozen=True)
class Axis:
    """One system's scores of the images, or their MOS, with the scale if there is one."""

    name: str
    values: Sequence[float]
    scale: Scale | None = None

    def ends(self) -> Scale:
        """The scale, or what the values span and a little more."""
        if self.scale:
            return self.scale
        low, high = min(self.values), max(self.values)
        margin = 0.05 * (high - low) or 0.5
        return Scale(low - margin, high + margin)


def scatter_svg(plots: Sequence[tuple[Axis, ...]]) -> str:
    """The plots side by side, each of an x and a y with values of the same images."""
    width, height = GAP_LEFT + SIDE + GAP_RIGHT, GAP_TOP + SIDE + GAP_BELOW
    columns, rows = min(ACROSS, len(plots)), -(-len(plots) // ACROSS)
    drawn = "".join(
        f'<g transform="translate({n % ACROSS * width + GAP_LEFT} {n // ACROSS * height + GAP_TOP})">{_plot(*plot)}</g>'
        for n, plot in enumerate(plots)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * width}" height="{rows * height}" '
        f'viewBox="0 0 {columns * width} {rows * height}" font-family="{FONT}" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="white"/>{drawn}</svg>\n'
    )


def _plot(x: Axis, y: Axis) -> str:
    across, up = x.ends(), y.ends()
    dots = "".join(
        f'<circle cx="{SIDE * across.share(a):.1f}" cy="{SIDE * (1 - up.share(b)):.1f}" r="2.2"/>'
        for a, b in zip(x.values, y.values, strict=True)
    )
    marks = "".join(
        f'<path d="M{at:.1f} {SIDE}v5" stroke="{GREY}"/><text x="{at:.1f}" y="{SIDE + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in ticks(across)
        for at in [SIDE * across.share(tick)]
    )
    marks += "".join(
        f'<path d="M-5 {at:.1f}h5" stroke="{GREY}"/><text x="-9" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks(up)
        for at in [SIDE * (1 - up.share(tick))]
    )
    return (
        f'<text y="-12" font-size="13" font-weight="600">{len(x.values)} images</text>'
        f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="{GREY}"/>{marks}'
        f'<g fill="{BLUE}" fill-opacity="0.45">{dots}</g>'
        f'<text x="{SIDE / 2}" y="{SIDE + 38}" text-anchor="middle">{escape(x.name)}</text>'
        f'<text transform="translate(-42 {SIDE / 2}) rotate(-90)" text-anchor="middle">{escape(y.name)}</text>'
    )


def ticks(ends: Scale) -> list[float]:
    """At most six round numbers within the ends."""
    step = next(
        step
        for step in (factor * 10.0**power for power in range(-9, 16) for factor in (1, 2, 5))
        if ends.width / step <= 5
    )
    first = np.ceil(ends.low / step - 1e-9)
    return [float(step * n) for n in np.arange(first, np.floor(ends.high / step + 1e-9) + 1)]
