"""Figures of the reproduction, as plotly figures from its findings."""

import re
from collections.abc import Sequence

import plotly.graph_objects as go

from model.paper.conversion_chart import FONT
from model.paper.findings import Finding, Measurements, row_figures
from model.paper.plan import QUESTIONS, WHOLE
from model.paper.verdicts import CONFIRMED, NOT_TESTABLE, OPEN, REFUTED, SMALLER

COLOURS = {CONFIRMED: "#2f9e6e", REFUTED: "#c8443c", SMALLER: "#b3862b", OPEN: "#8a8f98", NOT_TESTABLE: "#c9ccd1"}
INK, GRID = "#30343b", "#e3e5e9"
FAMILIES = {"Q-Scorer": "#2f9e6e", "Q-Align": "#e0762e"}


def claims_figure(found: Sequence[Finding]) -> go.Figure:
    """Each claim that was tested: the difference of merits with its interval, coloured by the verdict, and the paper's as a diamond."""
    shown = [one for one in found if one.found]
    names = [
        f"{one.claim.says} ({one.claim.table.replace('table', 'T')})".removesuffix(" (questions)") for one in shown
    ]
    figure = go.Figure()
    for name, colour in COLOURS.items():
        rows = [(label, one.found) for label, one in zip(names, shown, strict=True) if one.verdict == name]
        figure.add_scatter(
            x=[one.mean for _, one in rows],
            y=[label for label, _ in rows],
            error_x={"array": [one.high - one.mean for _, one in rows], "thickness": 2, "width": 4},
            mode="markers",
            name=f"here: {name}",
            marker={"color": colour, "size": 9},
        )
    papers = [(label, one.paper) for label, one in zip(names, shown, strict=True) if one.paper is not None]
    figure.add_scatter(
        x=[value for _, value in papers],
        y=[label for label, _ in papers],
        mode="markers",
        name="in the paper",
        marker={"color": "#4a86c5", "size": 8, "symbol": "diamond-open", "line": {"width": 2}},
    )
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    title = "Merit, mean of SRCC and fitted PLCC: above zero is as claimed (95 % intervals over seeds and images)"
    return _dress(figure, title, "Difference of merit", "", 170 + 26 * len(shown))


def levels_figure(measured: Measurements) -> go.Figure:
    """SRCC on BIQ2021 by the number of tokens, for Q-Scorer and Q-Align."""
    figure = go.Figure()
    for family, colour in FAMILIES.items():
        counts = [(re.match(rf"{family}, (\d+)", row.title), row) for row in QUESTIONS]
        found = [(int(count[1]), row_figures(row, "whole", WHOLE, measured)) for count, row in counts if count]
        rows = [row for _, row in found if row.srcc]
        figure.add_scatter(
            x=[count for count, row in found if row.srcc],
            y=[row.srcc.mean for row in rows],
            error_y={"array": [row.srcc.high - row.srcc.mean for row in rows], "thickness": 1.5, "width": 4},
            mode="lines+markers",
            name=family,
            line={"color": colour, "width": 2.5},
            marker={"size": 8},
        )
    figure.update_xaxes(tickvals=[1, 3, 5, 7, 9])
    return _dress(figure, "How many levels", "Score tokens or levels (number)", "SRCC on BIQ2021's test part", 420)


def _dress(figure: go.Figure, title: str, x: str, y: str, height: int) -> go.Figure:
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "font": {"size": 16}, "pad": {"l": 8}},
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        width=960,
        height=height,
        margin={"l": 70, "r": 20, "t": 50, "b": 90},
        legend={"orientation": "h", "y": -60 / height, "yanchor": "top", "x": 0},
    )
    figure.update_xaxes(title={"text": x, "standoff": 8}, gridcolor=GRID, zeroline=False)
    return figure.update_yaxes(title={"text": y}, gridcolor=GRID, zeroline=False)
