"""Figures of the conversion error, as plotly figures from plain numbers. Text is grey and the ground clear, for light and dark pages."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from model.common.errors import DataError
from model.common.scale import Scale
from model.paper.conversions import LEVELS, METHODS, NEEDS_STD, Opinions, covered
from model.readouts.levels import interval_index, level_values, soft_label

COLOURS = {
    "Q-Align": "#e0762e",
    "Q-Align, interval middles": "#c9a227",
    "DeQA-Score, raw label": "#9668d8",
    "DeQA-Score": "#4a86c5",
    "RealQA": "#b0578d",
    "Regression, bfloat16 labels": "#8c5a3c",
    "Regression": "#2f9e6e",
}
INK, GREY, GRID = "#24292f", "#8a8f98", "rgba(138,143,152,0.25)"
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
SHOWN = ("Q-Align", "DeQA-Score", "Regression")  # what the page compares
SCALE = Scale(1.0, 5.0)  # of the page's charts
STDS = np.linspace(0.02, 1.2, 119)


def errors_figure(rows: Sequence[dict], opinions: Opinions, scale: Scale) -> go.Figure:
    """What the command draws: for each method the error of the restored score against the MOS, one dot an image; a click on a name in the
    legend hides it. rows: of `conversion_errors`, whose RMSE the legend gives."""
    stds = opinions.stds or [float("nan")] * len(opinions.mos)
    figure = go.Figure()
    for row in rows:
        name = row["method"]
        chosen = covered(name, opinions.mos, opinions.stds)
        pairs = [pair for pair, there in zip(zip(opinions.mos, stds, strict=True), chosen, strict=True) if there]
        errors = [METHODS[name].convert(m, s, scale).score - m for m, s in pairs]
        rmse = "not defined" if row["restored_rmse"] is None else f"{row['restored_rmse']:.3f}"
        figure.add_scatter(
            x=[m for m, _ in pairs],
            y=errors,
            mode="markers",
            name=f"{name}: RMSE {rmse}",
            marker={"color": COLOURS[name], "size": 5, "opacity": 0.7},
            hovertemplate="MOS %{x:.2f}, error %{y:+.3f}<extra>" + name + "</extra>",
        )
    title = f"Conversion error of {len(opinions.mos)} opinion scores"
    _dress(figure, title, f"Mean opinion score ({scale[0]:g} to {scale[1]:g})", "Restored score − MOS (points)")
    # A page of its own, as high as its window.
    return figure.update_layout(
        title={"subtitle": {"text": "of models that learn their labels perfectly"}},
        margin={"t": 70},
        font={"color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )


def largest_std_at(mos: float, scale: Scale) -> float:
    """The largest standard deviation of opinions with this mean: that of opinions at the two ends of the scale alone."""
    return math.sqrt(max((mos - scale[0]) * (scale[1] - mos), 0.0))


def one_image(mos: float, std: float) -> go.Figure:
    """What Q-Align and DeQA-Score teach for one image: people's opinions as a normal distribution, the two labels as bars over the
    levels, and the scores that come back as lines."""
    values = level_values(SCALE, LEVELS)
    chosen = interval_index(mos, SCALE, LEVELS)
    labels = {
        "Q-Align": [float(n == chosen) for n in range(LEVELS)],
        "DeQA-Score": soft_label(mos, std, False, SCALE),
    }
    figure = go.Figure()
    for side, (name, label) in zip((-0.11, 0.11), labels.items(), strict=True):
        figure.add_bar(
            x=[v + side for v in values],
            y=[100 * p for p in label],
            width=0.2,
            name=f"{name}: its label",
            marker={"color": COLOURS[name], "opacity": 0.55},
            hovertemplate="%{y:.1f} %<extra>" + name + "</extra>",
        )
    if std > 0:
        x = np.linspace(*SCALE, 400)
        density = np.exp(-0.5 * ((x - mos) / std) ** 2)
        figure.add_scatter(
            x=[SCALE[0], *x, SCALE[1]],
            y=[0, *100 * density, 0],  # nobody's opinion lies outside
            mode="lines",
            name="opinions (height not to scale)",
            line={"color": GREY, "width": 1.5},
            hoverinfo="skip",
        )
    for name in SHOWN:
        score = METHODS[name].convert(mos, std, SCALE).score
        figure.add_scatter(
            x=[score, score],
            y=[0, 108],
            mode="lines",
            name=f"{name}: score {score:.2f}",
            line={"color": COLOURS[name], "width": 2.5, "dash": "dot" if name == "Regression" else "solid"},
            hoverinfo="name",
        )
    _dress(
        figure,
        "What is taught, and what comes back",
        f"Score, {SCALE[0]:g} (worst) to {SCALE[1]:g} (best)",
        "Label probability (%)",
        430,
    )
    figure.update_xaxes(range=[SCALE[0] - 0.5, SCALE[1] + 0.5], tickvals=values)
    return figure.update_yaxes(range=[0, 112])


def error_by_std(mos: float, std: float) -> go.Figure:
    """How far the restored score is from the MOS, for every spread of opinion that it allows; a line marks `std`."""
    figure, top, limit = go.Figure(), 0.1, largest_std_at(mos, SCALE)
    stds = STDS[limit >= STDS]
    for name in (*SHOWN[:2], "DeQA-Score, raw label", SHOWN[2]):
        errors = [abs(METHODS[name].convert(mos, s, SCALE).score - mos) for s in stds]
        top = max([top, *np.nan_to_num(errors)])
        figure.add_scatter(
            x=stds,
            y=errors,
            mode="lines",
            name=name,
            line={"color": COLOURS[name], "width": 2.5, "dash": "dot" if name in NEEDS_STD[:1] else "solid"},
            hovertemplate="std %{x:.2f}: off by %{y:.3f}<extra>" + name + "</extra>",
        )
    if limit < STDS[-1]:
        figure.add_vrect(x0=limit, x1=STDS[-1], fillcolor=GRID, line_width=0)
        shade = {"symbol": "square", "color": GRID, "size": 11}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=shade, name="more than this mean allows")
    figure.add_vline(x=std, line={"color": GREY, "dash": "dash", "width": 1.5})
    _dress(
        figure,
        "If people agreed more, or less",
        "Spread of opinions (std, points)",
        "Score’s error (points)",
        430,
    )
    figure.update_xaxes(range=[0, STDS[-1]])
    return figure.update_yaxes(range=[-0.02 * top, 1.08 * top])


def write_figure(figure: go.Figure, path: Path) -> None:
    """Write a figure: .html by itself, .png and .svg where kaleido and a Chrome are installed. Raises DataError saying what is missing."""
    try:
        if path.suffix == ".html":
            figure.write_html(path, include_plotlyjs=True, default_height="96vh", config={"responsive": True})
        else:
            figure.write_image(path)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        raise DataError(
            f"{path} cannot be written. A name that ends in .html works in any folder that is there; .png and .svg also need "
            "'pip install kaleido' and a Chrome."
        ) from error


def _dress(figure: go.Figure, title: str, x: str, y: str, height: int | None = None) -> go.Figure:
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "font": {"size": 15}, "pad": {"l": 4}},
        font={"family": FONT, "size": 12.5, "color": GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        height=height,
        margin={"l": 60, "r": 12, "t": 46, "b": 60},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        barmode="overlay",
        dragmode=False,
    )
    figure.update_xaxes(title={"text": x, "standoff": 8}, zeroline=False, showgrid=False, fixedrange=True)
    return figure.update_yaxes(title={"text": y, "standoff": 6}, zerolinecolor=GREY, gridcolor=GRID, fixedrange=True)
