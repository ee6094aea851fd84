"""The results of a study as HTML: what came of its ratings, its raters, its images, and the ratings that are left out."""

from collections import Counter
from collections.abc import Callable, Sequence
from html import escape

from annotations.studies.report import Report
from app import cards

MOST_ROWS = 500  # of a table on the page; files have all
ALL, ACCEPTED, REFUSED, SHORT = "all", "accepted", "not accepted", "short of ratings"


def facts(report: Report | None, fresh: bool) -> str:
    """The figures of the whole study."""
    if report is None:
        return cards.empty("The ratings are being evaluated. The results appear here.")
    waits = "" if fresh else cards.notice("More ratings have come since; they are being evaluated.")
    if not report.ratings:
        return waits + cards.empty("Nobody has rated an image yet. Open the study, and send raters the link.")
    low, high = report.scale
    rated = sum(image.n > 0 for image in report.images)
    short = len(short_images(report))
    shown = [
        ("Ratings", f"{report.ratings}, used {report.used}"),
        ("Raters", f"{report.raters}, accepted {report.accepted}"),
        ("Images rated", f"{rated} of {len(report.images)}"),
        ("Short of used ratings", f"{short} images"),
        ("Krippendorff’s α", figure(report.alpha)),
        ("ICC, one rater", figure(report.components and report.components.icc_one)),
        ("ICC, mean of all", figure(report.components and report.components.icc_mean)),
        ("SRCC of halves", _halves(report)),
        ("Repeats", _repeats(report)),
        ("SOS parameter", figure(report.sos)),
        ("Typical std", figure(report.std)),
        (f"Raters for ±{(high - low) / 16:g}", "–" if report.needed is None else str(report.needed)),
    ]
    said = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in shown)
    return f'{waits}<dl class="facts">{said}</dl>{_left_out(report)}'


def short_images(report: Report) -> list:
    """The images that have too few ratings that are used."""
    return [image for image in report.images if image.n < report.per_image]


def raters_table(report: Report, find: str, which: str) -> str:
    """A row for each rater whose name holds a text; a press on the name chooses it."""
    rows = [
        one
        for one in report.by_rater
        if find.lower() in one.rater.lower() and which in (ALL, REFUSED if one.refused else ACCEPTED)
    ]
    heads = ["Rater", "Ratings", "Used", "Bias", "Inconsistency", "α without", "Gold", "Traps", "Median time"]

    def cells(one) -> list[tuple[str, object]]:
        seconds = "–" if one.seconds is None else f"{one.seconds:.1f} s"
        why = f'<div class="worse">{escape(one.refused)}</div>' if one.refused else ""
        why += f'<div class="small">{escape(one.habits)}</div>' if one.habits else ""
        name = f'<button type="button" data-key="{escape(one.rater)}">{escape(one.rater)}</button>{why}'
        figures = [(figure(value), value) for value in (one.bias, one.inconsistency, one.alpha_without)]
        counts = [(str(count), count) for count in (one.ratings, one.used)]
        return [
            (name, one.rater.lower()),
            *counts,
            *figures,
            (one.gold, one.gold),
            (one.traps, one.traps),
            (seconds, one.seconds),
        ]

    said = f"{len(rows)} of {len(report.by_rater)} raters. α without: Krippendorff’s α of the others, {figure(report.alpha)} with all."
    return _table(said, heads, rows, cells, "No rater is like that.")


def images_table(report: Report, find: str, which: str) -> str:
    """A row for each image whose name holds a text, those with the fewest ratings first."""
    chosen = report.images if which == ALL else short_images(report)
    rows = sorted((one for one in chosen if find.lower() in one.name.lower()), key=lambda one: one.n)
    heads = ["Image", "Ratings", "MOS", "95 % interval", "Std", "Recovered MOS"]

    def cells(one) -> list[tuple[str, object]]:
        inside = "–" if one.low is None else f"{one.low:.2f} to {one.high:.2f}"
        figures = [
            (figure(one.mos), one.mos),
            (inside, one.low),
            (figure(one.std), one.std),
            (figure(one.recovered), one.recovered),
        ]
        return [(escape(one.name), one.name.lower()), (f"{one.n} of {report.per_image}", one.n), *figures]

    said = f"{len(rows)} of {len(report.images)} images; only ratings that are used count."
    return _table(said, heads, rows, cells, "No image is like that.")


def left_out_table(report: Report, find: str) -> str:
    """A row for each rating that is not used; a press on its id chooses it."""
    names = {image.sha256: image.name for image in report.images}
    rows = [
        one
        for one in report.left_out
        if find.lower() in f"{one.rater} {names.get(one.image, '')} {one.left_out}".lower()
    ]
    heads = ["Rating", "Rater", "Image", "Value", "Why it is not used"]

    def cells(one) -> list[tuple[str, object]]:
        key = escape(f"{one.rating} {one.rater}")
        chosen = f'<button type="button" data-key="{key}">{one.rating}</button>'
        name = names.get(one.image, one.image[:12])
        texts = [(escape(text), text.lower()) for text in (one.rater, name)]
        return [(chosen, one.rating), *texts, (f"{one.value:g}", one.value), (escape(one.left_out), one.left_out)]

    return _table(
        f"{len(rows)} of {len(report.left_out)} ratings that are not used.", heads, rows, cells, "All ratings are used."
    )


def _table(said: str, heads: Sequence[str], rows: Sequence, cells: Callable, nothing: str) -> str:
    if not rows:
        return cards.empty(nothing)
    if len(rows) > MOST_ROWS:
        said += f" The first {MOST_ROWS} are shown; the file has all."
    shown = [cells(row) for row in rows[:MOST_ROWS]]
    kinds = ["text" if isinstance(value, str) else "number" for _, value in shown[0]]
    head = "".join(
        f'<th scope="col" data-kind="{kind}" aria-sort="none"><button type="button">{title}</button></th>'
        for title, kind in zip(heads, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td class="name" data-value="{escape(str(_sorted(value)))}">{html}</td>' for html, value in row)
        + "</tr>"
        for row in shown
    )
    return cards.table(said, head, body, "sortable")


def _sorted(value: object) -> object:
    return -1e9 if value is None else value


def figure(value: float | None) -> str:
    """A figure, or a dash where there are too few ratings for it."""
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _halves(report: Report) -> str:
    of = report.halves
    return "–" if of is None else f"{of.srcc:.2f} ({of.interval[0]:.2f} to {of.interval[1]:.2f})"


def _repeats(report: Report) -> str:
    of = report.retest
    return "–" if of is None else f"{of.n}, r = {figure(of.correlation)}"


def _left_out(report: Report) -> str:
    if not report.left_out:
        return ""
    reasons = Counter(one.left_out for one in report.left_out).most_common()
    said = "; ".join(f"{count}: {escape(str(reason))}" for reason, count in reasons)
    return f'<p class="small">Not used: {said}.</p>'
