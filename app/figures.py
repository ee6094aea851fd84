"""The charts, as plotly figures made from assessments and ratings. Pure functions; the page colours text and grid for light and dark."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from app.score_in_words import names_of, percent
from model.backbones.spec import QUALITY
from model.common.scale import Scale
from model.scoring.assessment import Assessment, common_score

# Each stands out against white and against near-black.
BLUE, ORANGE, VIOLET, GREY = "#4a86c5", "#e0762e", "#9668d8", "#8a8f98"
LEGEND_WIDTH = 40  # characters
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


@dataclass(frozen=True)
class Point:
    """One rated image: what people say and what the model says, both on 1..5; `learnt`: the adapter in use was trained on it.
    Which image it is is not said: who has yet to rate it must not learn its score."""

    mos: float
    score: float
    n: int
    interval: tuple[float, float] | None
    learnt: bool = False


def distribution(assessment: Assessment, task: str = QUALITY) -> go.Figure:
    """Token probabilities as bars over their intervals of the score axis, with score and expectation as lines on the same axis."""
    names, spans = names_of(assessment.tokens), assessment.intervals
    chances = [100 * chance for chance in assessment.probabilities]
    middles = [(low + high) / 2 for low, high in spans]
    figure = go.Figure(
        go.Bar(
            x=middles,
            y=chances,
            width=[0.94 * (high - low) for low, high in spans],
            marker={"color": BLUE, "opacity": 0.75},
            name="token probability",
            hovertext=[
                f"{escape(token)}: {chance:.1f} %<br>scores {low:.1f} to {high:.1f}"
                for token, chance, (low, high) in zip(assessment.tokens, chances, spans, strict=True)
            ],
            hoverinfo="text",
        )
    )
    top = _headroom(chances)
    _line(figure, assessment.expectation, top, VIOLET, f"expectation {assessment.expectation:.2f}", dash="dot")
    _line(figure, assessment.score, top, ORANGE, f"score {assessment.score:.2f}")
    low, high = assessment.scale
    _dress(
        figure,
        title="How likely the model finds each level",
        x=f"{'Aesthetics' if task == 'aesthetics' else 'Quality'} score, {low:g} (worst) to {high:g} (best)",
        y="Probability (%)",
    )
    _score_axis(figure, assessment.scale, [edge for edge, _ in spans] + [high], top)
    # Under the axis, where no line crosses them.
    shares = [escape(percent(chance / 100).replace("under ", "<")) for chance in chances]
    below = [f"<b>{escape(name)}</b><br>{share}" for name, share in zip(names, shares, strict=True)]
    _label(figure, middles, below)
    return figure


def two_distributions(
    first: Assessment, second: Assessment, labels: tuple[str, str], title: str, common: bool
) -> go.Figure:
    """Two distributions, the first above the score axis and the second mirrored below it. With `common` the axis is the common scale
    0..100, else the (same) native scale."""
    figure = go.Figure()
    chances = [100 * chance for a in (first, second) for chance in a.probabilities]
    top = _headroom(chances)
    for a, label, colour, side in ((first, labels[0], BLUE, 1), (second, labels[1], ORANGE, -1)):
        spans = [tuple(_place(edge, a, common) for edge in span) for span in a.intervals]
        figure.add_bar(
            x=[(low + high) / 2 for low, high in spans],
            y=[side * 100 * chance for chance in a.probabilities],
            width=[0.94 * (high - low) for low, high in spans],
            marker={"color": colour, "opacity": 0.7},
            showlegend=False,  # its line is there, in the same colour
            hovertext=[
                f"{escape(label)}<br>{escape(token)}: {100 * chance:.1f} %"
                for token, chance in zip(a.tokens, a.probabilities, strict=True)
            ],
            hoverinfo="text",
        )
        _line(
            figure,
            _place(a.score, a, common),
            side * top,
            colour,
            _in_lines(f"{label}: score {_place(a.score, a, common):.{1 if common else 2}f}"),
        )
    scale = (0.0, 100.0) if common else first.scale
    x = (
        "Common scale, 0 (worst) to 100 (best)"
        if common
        else f"Quality score, {scale[0]:g} (worst) to {scale[1]:g} (best)"
    )
    _dress(figure, title, x, "Probability (%)")
    edges = [_place(low, first, common) for low, _ in first.intervals] + [scale[1]]
    _score_axis(figure, scale, edges, top)
    middles = [(low + high) / 2 for low, high in zip(edges, edges[1:], strict=False)]
    _label(figure, middles, [f"<b>{escape(name)}</b>" for name in names_of(first.tokens)])
    ticks = [tick for tick in range(-100, 101, 25 if top > 50 else 10) if abs(tick) <= top]
    figure.update_yaxes(range=[-top, top], tickvals=ticks, ticktext=[f"{abs(tick)} " for tick in ticks])
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    return figure


def opinions_against_scores(points: Sequence[Point], model: str) -> go.Figure:
    """MOS against model score, one dot an image, with the line on which the two agree."""
    figure = go.Figure()
    figure.add_scatter(
        x=[1, 5],
        y=[1, 5],
        mode="lines",
        line={"color": GREY, "dash": "dash", "width": 1.5},
        name="perfect agreement",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[point.score for point in points],
        y=[point.mos for point in points],
        error_y={"type": "data", "symmetric": False, "thickness": 1, "color": GREY}
        | {"array": [min(p.interval[1], 5) - p.mos if p.interval else 0 for p in points]}
        | {"arrayminus": [p.mos - max(p.interval[0], 1) if p.interval else 0 for p in points]},
        mode="markers",
        marker={"color": BLUE, "size": 10, "opacity": 0.8, "line": {"color": "white", "width": 1}},
        name="rated image, 95 % interval",
        hovertext=[f"MOS {p.mos:.2f} of {p.n}<br>score {p.score:.2f}" for p in points],
        hoverinfo="text",
    )
    _dress(
        figure,
        "Mean opinion against model score",
        _in_lines(f"Score of {model} (1 to 5)"),
        "Mean opinion score (1 to 5)",
        words_below=False,
    )
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(range=[0.9, 5.1], tickvals=[1, 2, 3, 4, 5], showgrid=True, gridcolor="rgba(138,143,152,0.25)")
    return figure


def scatter(
    x: tuple[str, Sequence[float], Scale | None], y: tuple[str, Sequence[float], Scale | None], names: Sequence[str]
) -> go.Figure:
    """One dot an image. x, y: what is on the axis, its values and its scale, if it has one. names: of the images."""
    figure = go.Figure()
    figure.add_scatter(
        x=x[1],
        y=y[1],
        mode="markers",
        marker={"color": BLUE, "size": 7, "opacity": 0.6},
        name="image",
        hovertext=[
            f"{escape(name)}<br>{escape(x[0])} {a:.2f}<br>{escape(y[0])} {b:.2f}"
            for name, a, b in zip(names, x[1], y[1], strict=True)
        ],
        hoverinfo="text",
    )
    _dress(figure, f"{escape(y[0])} against {escape(x[0])}", _in_lines(x[0]), _in_lines(y[0]), words_below=False)
    figure.update_layout(showlegend=False, margin={"b": 60})
    for update, (_, _, scale) in ((figure.update_xaxes, x), (figure.update_yaxes, y)):
        update(showgrid=True, gridcolor="rgba(138,143,152,0.25)")
        if scale:
            update(range=[scale.low - 0.02 * scale.width, scale.high + 0.02 * scale.width])
    return figure


def _in_lines(label: str) -> str:
    """A label as plotly takes it, broken where a folder's path may be, so that a legend fits a phone."""
    lines = [""]
    for piece in re.findall(r"[^ /+]*[ /+]?", label):
        if len(lines[-1] + piece) > LEGEND_WIDTH:
            lines.append("")
        lines[-1] += piece
    return "<br>".join(map(escape, lines))


def _place(score: float, assessment: Assessment, common: bool) -> float:
    return common_score(score, assessment.scale) if common else score


def _headroom(chances: Sequence[float]) -> float:
    """The top of the probability axis, a little above the highest bar."""
    return max(chances) * 1.12


def _line(figure: go.Figure, x: float, top: float, colour: str, name: str, dash: str = "solid") -> None:
    figure.add_scatter(
        x=[x, x],
        y=[0, top],
        mode="lines",
        line={"color": colour, "width": 3, "dash": dash},
        name=name,
        hoverinfo="name",
    )


def _label(figure: go.Figure, places: Sequence[float], texts: Sequence[str]) -> None:
    """Words below the score axis, each under its interval."""
    for x, text in zip(places, texts, strict=True):
        figure.add_annotation(
            x=x, y=0, xref="x", yref="paper", yanchor="top", yshift=-20, text=text, showarrow=False, font={"size": 12}
        )


def _score_axis(figure: go.Figure, scale: tuple[float, float], edges: Sequence[float], top: float) -> None:
    margin = (scale[1] - scale[0]) * 0.01
    figure.update_xaxes(
        range=[scale[0] - margin, scale[1] + margin], tickvals=list(edges), tickformat=".2~f", showgrid=False
    )
    figure.update_yaxes(range=[0, top], nticks=6, ticksuffix=" ", gridcolor="rgba(138,143,152,0.25)")


def _dress(figure: go.Figure, title: str, x: str, y: str, words_below: bool = True) -> None:
    """Title, axes and legend; `words_below` leaves room for words between the score axis and its title."""
    figure.update_layout(
        title={
            "text": title,
            "x": 0,
            "xanchor": "left",
            "font": {"size": 15},
            "pad": {"l": 4},
            "y": 0.98,
            "yanchor": "top",
        },
        font={"family": FONT, "size": 12.5, "color": GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        height=400,
        margin={"l": 52, "r": 12, "t": 44, "b": 128 if words_below else 100},
        legend={"orientation": "h", "y": -0.37 if words_below else -0.22, "yanchor": "top", "x": 0},
        bargap=0,
        dragmode=False,
        barmode="overlay",
    )
    figure.update_xaxes(title={"text": x, "standoff": 42 if words_below else 10}, zeroline=False, fixedrange=True)
    figure.update_yaxes(title={"text": y, "standoff": 6}, zeroline=False, fixedrange=True)
