"""A report as lines of text."""

from collections import Counter

from annotations.studies.report import Report


def in_words(report: Report) -> str:
    """The summary that the command prints: a figure a line, and what is left out by its reason."""
    low, high = report.scale
    lines = [
        f"{report.study}: {report.question}",
        f"ratings of test images   {report.ratings}, used {report.used}",
        f"raters                   {report.raters}, accepted {report.accepted}",
        f"images with ratings      {sum(image.n > 0 for image in report.images)} of {len(report.images)}",
        f"typical std              {_figure(report.std)} on the scale {low:g} to {high:g}",
        f"raters for an interval   {_figure(report.needed)} (of the MOS, 95 %, {(high - low) / 8:g} wide)",
        f"SOS parameter            {_figure(report.sos)}",
        f"Krippendorff's alpha     {_figure(report.alpha)}",
    ]
    if report.components:
        of = report.components
        lines += [
            f"variance                 images {of.images:.3f}, raters {of.raters:.3f}, rest {of.left:.3f}",
            f"intraclass correlation   one rater {of.icc_one:.3f}, mean of all {of.icc_mean:.3f}",
        ]
    if report.halves:
        inside = "{:.3f} to {:.3f}".format(*report.halves.interval)
        lines.append(f"SRCC of half the raters  {report.halves.srcc:.3f} ({inside} in {report.halves.splits} splits)")
    if report.retest:
        of = report.retest
        lines.append(
            f"repeats                  {of.n}, correlation {_figure(of.correlation)}, rms difference {of.rms:.3f}"
        )
    lines += [f"refused: {one.rater}: {one.refused}" for one in report.by_rater if one.refused]
    lines += [f"flagged: {one.rater}: {one.habits}" for one in report.by_rater if one.habits]
    reasons = Counter(one.left_out for one in report.left_out)
    return "\n".join([*lines, *(f"left out: {count}: {reason}" for reason, count in reasons.most_common())])


def _figure(value: float | None) -> str:
    return "too few ratings" if value is None else f"{value:d}" if isinstance(value, int) else f"{value:.3f}"
