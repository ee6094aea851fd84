"""The charts of a study, as plotly figures. Pure functions of its report; the page colours text for light and dark, a print is black on
white."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import plotly.graph_objects as go

from annotations.statistics.ratings import Ratings
from annotations.studies.report import Report
from app.figures import BLUE, FONT, GREY, ORANGE

MOST_RATERS, MOST_IMAGES = 100, 300  # rows and columns of the heat strip
MOST_HOURS = 14 * 24
GRID = "rgba(138,143,152,0.25)"


def by_hour(counts: dict[str, int]) -> go.Figure | None:
    """Ratings per hour, and how many there were by then; the last MOST_HOURS hours in which there were any."""
    if not counts:
        return None
    first, last = (datetime.fromisoformat(f"{end}:00") for end in (min(counts), max(counts)))
    first = max(first, last - timedelta(hours=MOST_HOURS))
    hours = [first + timedelta(hours=n) for n in range(int((last - first).total_seconds() // 3600) + 1)]
    each = [counts.get(f"{hour:%Y-%m-%dT%H}", 0) for hour in hours]
    earlier = sum(counts.values()) - sum(each)
    figure = go.Figure(
        go.Bar(x=hours, y=each, marker={"color": BLUE}, name="in this hour", hovertemplate="%{x}: %{y}<extra></extra>")
    )
    total = list(np.cumsum(each) + earlier)
    figure.add_scatter(
        x=hours, y=total, yaxis="y2", mode="lines", line={"color": ORANGE, "width": 2}, name="all so far"
    )
    dress(figure, "Ratings by the hour", "Time (UTC)", "Ratings in an hour")
    figure.update_layout(
        yaxis2={"overlaying": "y", "side": "right", "rangemode": "tozero", "showgrid": False, "title": "Ratings in all"}
    )
    figure.update_layout(margin={"r": 60, "b": 110}, legend={"y": -0.42})
    half = timedelta(minutes=30)
    figure.update_xaxes(range=[first - half, last + 12 * half], tickformat="%H:%M\n%d %b", nticks=8)
    return figure


def mos_histogram(report: Report) -> go.Figure | None:
    """How many images have which MOS."""
    mos = [image.mos for image in report.images if image.mos is not None]
    if not mos:
        return None
    low, high = report.scale
    width = (high - low) / 20
    figure = go.Figure(
        go.Histogram(
            x=mos,
            xbins={"start": low, "end": high + width, "size": width},
            marker={"color": BLUE, "line": {"color": "white", "width": 1}},
            hovertemplate="MOS %{x}: %{y} images<extra></extra>",
        )
    )
    dress(figure, f"Mean opinion scores of {len(mos)} images", f"MOS, {low:g} (worst) to {high:g} (best)", "Images")
    figure.update_xaxes(range=[low - width, high + width])
    figure.update_yaxes(tickformat=",d", nticks=6)
    return figure


def heat_strip(report: Report, ratings: Ratings) -> go.Figure | None:
    """Raters × images: each rating as a colour, images from worst to best, raters from strictest to mildest. Many images share a
    column, which has their mean."""
    raters = [n for n, rater in enumerate(report.by_rater) if rater.used]
    if not raters:
        return None
    raters = sorted(raters, key=lambda n: -report.by_rater[n].used)[:MOST_RATERS]
    raters.sort(key=lambda n: report.by_rater[n].bias or 0)
    mos = np.array([np.nan if image.mos is None else image.mos for image in report.images])
    order = np.argsort(mos, kind="stable")[: int((~np.isnan(mos)).sum())]
    columns = min(len(order), MOST_IMAGES)
    column_of, row_of = np.full(len(mos), -1), np.full(ratings.raters, -1)
    column_of[order] = np.arange(len(order)) * columns // len(order)
    row_of[raters] = np.arange(len(raters))
    column, row = column_of[ratings.image], row_of[ratings.rater]
    inside = (column >= 0) & (row >= 0)
    cell = row[inside] * columns + column[inside]
    with np.errstate(invalid="ignore"):
        sums, n = (np.bincount(cell, weight, len(raters) * columns) for weight in (ratings.value[inside], None))
        table = np.round(sums / n, 2).reshape(len(raters), columns)
    low, high = report.scale
    figure = go.Figure(
        go.Heatmap(
            z=[[None if np.isnan(value) else value for value in line] for line in table.tolist()],
            y=[report.by_rater[n].rater for n in raters],
            zmin=low,
            zmax=high,
            colorscale="Cividis",
            colorbar={"title": "Rating", "thickness": 12},
            hovertemplate="%{y}: %{z}<extra></extra>",
        )
    )
    some = f", the {MOST_RATERS} with most ratings" if len(raters) == MOST_RATERS else ""
    dress(figure, f"Who rated what, and how{some}", "Images, from the lowest MOS to the highest", "")
    figure.update_layout(height=min(max(180 + 16 * len(raters), 260), 1000))
    figure.update_layout(margin={"b": 44})
    figure.update_xaxes(showticklabels=False, showgrid=False)
    figure.update_yaxes(type="category", showgrid=False, automargin=True, dtick=1 if len(raters) <= 60 else 5)
    return figure


def spread(report: Report) -> go.Figure | None:
    """Standard deviation over MOS, with the parabola of the SOS hypothesis."""
    some = [image for image in report.images if image.std is not None]
    if not some:
        return None
    low, high = report.scale
    figure = go.Figure()
    figure.add_scattergl(
        x=[image.mos for image in some],
        y=[image.std for image in some],
        mode="markers",
        marker={"color": BLUE, "size": 6, "opacity": 0.6},
        name="image",
        hovertemplate="MOS %{x:.2f}, std %{y:.2f}<extra></extra>",
    )
    if report.sos is not None:
        mos = np.linspace(low, high, 61)
        curve = np.sqrt(report.sos * (mos - low) * (high - mos))
        figure.add_scatter(
            x=mos, y=curve, mode="lines", line={"color": ORANGE, "width": 2}, name=f"SOS, a = {report.sos:.2f}"
        )
    dress(figure, "How far raters differ", f"MOS, {low:g} (worst) to {high:g} (best)", "Standard deviation")
    figure.update_yaxes(rangemode="tozero")
    return figure


def people_and_model(
    scores: Sequence[float], mos: Sequence[float], halves: Sequence[float], model: str, scale: tuple[float, float]
) -> go.Figure:
    """MOS with the half width of its 95 % interval against a model's score on the study's scale. No name of an image is in it."""
    low, high = scale
    figure = go.Figure()
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": GREY, "dash": "dash"},
        name="perfect agreement",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=list(scores),
        y=list(mos),
        error_y={"type": "data", "array": list(halves), "thickness": 1, "color": GREY},
        mode="markers",
        marker={"color": BLUE, "size": 8, "opacity": 0.75, "line": {"color": "white", "width": 1}},
        name="image, 95 % interval",
        hovertemplate="score %{x:.2f}, MOS %{y:.2f}<extra></extra>",
    )
    dress(figure, "People against the model", f"Score of {model}, on {low:g} to {high:g}", f"MOS, {low:g} to {high:g}")
    margin = (high - low) * 0.03
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(range=[low - margin, high + margin])
    return figure


def dress(figure: go.Figure, title: str, x: str, y: str) -> None:
    """What all charts of a study share: title, axes with their units, legend below."""
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
        height=340,
        margin={"l": 56, "r": 12, "t": 44, "b": 84},
        legend={"orientation": "h", "y": -0.28, "yanchor": "top", "x": 0},
        showlegend=len(figure.data) > 1,
        bargap=0.05,
        dragmode=False,
    )
    figure.update_xaxes(title={"text": x, "standoff": 10}, zeroline=False, fixedrange=True, gridcolor=GRID)
    figure.update_yaxes(title={"text": y, "standoff": 6}, zeroline=False, fixedrange=True, gridcolor=GRID)
