"""The Adapt tab: what people's ratings say about the model, how to fine-tune it on them, and which adapter to use."""

import shlex
from collections.abc import Collection, Sequence
from html import escape
from pathlib import Path

import gradio as gr

from annotations import Annotations, Counts, ImageProblem, ImageSummary
from app import cards, figures, outdated_result, promotion_panel
from app.errors import says_errors
from app.figures import Point
from app.loaded_scorers import Scorers
from app.model_picker import in_use, put_into_use
from app.rated_scores import RatedScores, SoFar
from app.session import Session
from app.settings import Settings
from app.shown_names import short, with_breaks
from app.who import Who
from model.backbones.adapter_card import AdapterCard, BrokenAdapter
from model.common.errors import ModelError
from model.finetune import CHANCE, FEW
from model.loading.known import SHIPPED, check_spec, resolve
from model.loading.opening import check_adaptable
from model.scoring.assessment import Failure

LOOK_AGAIN = 1.0  # seconds, while rated images are being scored
RUN_THIS = "<p>Run this where the page runs.{goes_on} It takes blind ratings; <code>--include-revealed</code> takes the others too.</p>"
FIGURES = ("plcc", "srcc", "rmse")
RUNG_WORDS = {"recalibrate": "recalibrated", "head": "corrected", "lora": "LoRA"}


class AdaptTab:
    """What the tab shows, from the ratings, the scorers and the folder of adapters."""

    def __init__(self, settings: Settings, scorers: Scorers, annotations: Annotations) -> None:
        self.settings, self.scorers, self.annotations = settings, scorers, annotations
        self._scores = RatedScores()

    def show(self, include_revealed: bool, visitor: Session, owner: bool = True) -> list:
        """Counts, chart and its words, and whether to look again soon: the chart is drawn when all rated images are scored. Raises
        AnnotationError."""
        spec, summaries = visitor.spec, self.annotations.summaries(include_revealed)
        points, to_come = [], 0
        try:
            so_far = self.so_far(summaries, spec)
        except ModelError as error:
            said = cards.refusal(str(error))
        else:
            to_come = so_far.to_come
            points = [] if to_come else self.points(summaries, so_far.scores, spec)
            said = progress_in_words(len(summaries), to_come) if to_come else points_in_words(points, spec)
            said += left_out_in_words(so_far.failed)
        visitor.drawn["adapt"] = spec
        return [
            counts_card(self.annotations.counts(), include_revealed)
            + (unshown_card(self.annotations.problems()) if owner else ""),  # names of files are nobody else's business
            gr.Plot(figures.opinions_against_scores(points, short(spec)) if points else None, visible=bool(points)),
            said,
            gr.Timer(active=to_come > 0),
            *outdated_result.notice("adapt", visitor),
        ]

    def adapters(self, visitor: Session) -> list:
        """The adapters' table and the choice among those that can be used now; what is in use is chosen."""
        cards_of = self.adapter_cards()
        specs = [self.settings.model, *visitor.used, visitor.spec]
        usable = {card.name: spec for card in cards_of if (spec := self.usable_spec(card, specs))}
        return [
            adapters_table(cards_of, usable),
            gr.Radio(choices=choices(cards_of, specs, usable), value=visitor.spec),
        ]

    def so_far(self, summaries: list[ImageSummary], spec: str) -> SoFar:
        """The scores of rated images by SPEC that there are; the others are computed from now on. Raises ModelError."""
        if not summaries:  # a model need not be loaded for that
            return SoFar({}, 0, 0)
        return self._scores.of(self.scorers.get(spec), {s.sha256: s.path for s in summaries})

    def points(self, summaries: list[ImageSummary], scores: dict[str, float], spec: str) -> list[Point]:
        """Each rated image that is among the `scores` (by sha256, on 1..5), with its MOS."""
        learnt = self.trained_on(spec)
        points = [
            Point(s.opinion.mos, scores[s.sha256], s.opinion.n, s.opinion.interval, s.sha256 in learnt)
            for s in summaries
            if s.sha256 in scores
        ]
        return sorted(points, key=lambda point: (point.score, point.mos))  # their order tells no image either

    def trained_on(self, spec: str) -> frozenset[str]:
        """The SHA-256 of the images that the adapter of SPEC was trained on, where it says so."""
        from model.backbones.adapter_card import read_card

        try:
            found = resolve(spec, self.settings.adapters)
            return frozenset(read_card(found.adapter).trained_on if found.adapter else ())
        except ModelError:  # an adapter without our card keeps no such list
            return frozenset()

    def how_to_tune(self, spec: str) -> list:
        """The command that continues SPEC, and what to know about it; no command where SPEC cannot be fine-tuned."""
        if said := self.why_not_tuned(spec):
            return [gr.Code(visible=False), cards.notice(said)]
        goes_on = f" It continues {escape(short(spec))}." if "+" in spec else ""
        return [gr.Code(command(self.settings, spec), visible=True), RUN_THIS.format(goes_on=goes_on)]

    def why_not_tuned(self, spec: str) -> str:
        """Why `python -m model.finetune` would refuse SPEC; nothing when it takes it."""
        try:
            check_adaptable(resolve(spec, self.settings.adapters))
        except ModelError as error:
            return str(error)
        return ""

    def adapter_cards(self) -> list[AdapterCard | BrokenAdapter]:
        from model.backbones.adapter_card import list_adapters

        return list_adapters(self.settings.adapters)

    def usable_spec(self, card: AdapterCard | BrokenAdapter, specs: list[str]) -> str:
        """The SPEC of an adapter, "" for one that is broken or whose base is not found. Its card names a base that was a folder without
        the way there: that of one of `specs` is taken."""
        if isinstance(card, BrokenAdapter):
            return ""
        bases = [spec.partition("+")[0] for spec in specs]
        known = [base for base in bases if base == card.base or Path(base).name == card.base]
        spec = f"{known[0] if known else card.base}+{card.name}"
        try:
            self.settings.check_offered(spec)
            check_spec(spec, self.settings.adapters)
        except ModelError:  # the table says what to do
            return ""
        return spec


def choices(
    adapter_cards: list[AdapterCard | BrokenAdapter], specs: list[str], usable: dict[str, str]
) -> list[tuple[str, str]]:
    """What can be put into use: `specs`, the bases of these, and the `usable` adapters (SPEC by name)."""
    bases = [spec.partition("+")[0] for spec in specs]
    labels = {spec: short(spec) + (", as shipped" if spec in SHIPPED else "") for spec in [*bases, *specs]}
    labels |= {
        usable[card.name]: f"{card.base}+{card.name}" + (" (not shown to be better)" if card.better is False else "")
        for card in adapter_cards
        if card.name in usable
    }
    return [(label, spec) for spec, label in labels.items()]


def command(settings: Settings, spec: str) -> str:
    """The command that fine-tunes SPEC on the ratings of this page."""
    return f"python -m model.finetune --data-dir {shlex.quote(str(settings.data_dir))} --model {shlex.quote(spec)} --out NAME"


def counts_card(counts: Counts, include_revealed: bool) -> str:
    """How many ratings there are and which of them count here."""
    which = "blind ratings and those given after seeing a score" if include_revealed else "blind ratings only"
    facts = [("Ratings", counts.ratings), ("Blind", counts.blind), ("After the score", counts.revealed)]
    facts += [("Images", counts.images), ("Raters", counts.raters)]
    shown = "".join(f"<div><dt>{name}</dt><dd>{number}</dd></div>" for name, number in facts)
    return f'<dl class="facts counts">{shown}</dl><p class="small">The chart counts {which}.</p>'


def progress_in_words(images: int, to_come: int) -> str:
    """How many rated images are scored."""
    return cards.empty(
        f"Scoring the rated images: {images - to_come} of {images} done. The chart appears when all are."
    )


def unshown_card(problems: Sequence[ImageProblem]) -> str:
    """The images that raters were not shown, and why: for the owner, who can put the files right."""
    failures = [Failure(problem.name or f"{problem.sha256[:12]}…", problem.sentence) for problem in problems]
    return cards.problems(failures, "shown to raters")


def left_out_in_words(failed: int) -> str:
    """That some rated images are not in the chart."""
    images = "1 rated image is" if failed == 1 else f"{failed} rated images are"
    return cards.notice(f"{images} left out: the file cannot be read or scored.") if failed else ""


def points_in_words(points: list[Point], spec: str) -> str:
    """The text alternative of the scatter plot."""
    if not points:
        return cards.empty("No ratings to show yet: rate some images on the Rate tab.")
    name = short(spec)
    gap = sum(point.score - point.mos for point in points) / len(points)
    apart = sum(abs(point.score - point.mos) for point in points) / len(points)
    side = "above" if gap > 0 else "below"
    said = (
        f"{len(points)} rated images. {escape(name)} scores them {abs(gap):.2f} {side} the mean opinion score on average, "
        f"and is {apart:.2f} away from it in either direction. Mean opinion scores run from {min(p.mos for p in points):.1f} to "
        f"{max(p.mos for p in points):.1f}, scores from {min(p.score for p in points):.1f} to {max(p.score for p in points):.1f}."
    )
    learnt = sum(point.learnt for point in points)
    if "+" in spec:
        said += f" {escape(name)} was trained on {learnt} of these {len(points)} images"
        said += ": on them it agrees more than it would on new ones." if learnt else "."
    return f'<p class="small" id="adapt-chart-words">{said}</p>'


def adapters_table(adapter_cards: list[AdapterCard | BrokenAdapter], usable: Collection[str]) -> str:
    """The adapters with what they were trained on and how they did on the ratings held out; what is broken with its sentence, and what is
    not among the names of the `usable` with what it needs."""
    if not adapter_cards:
        return cards.empty("No adapters yet. The command above makes one; then press Refresh.")
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Adapter", *map(str.upper, FIGURES)))
    rows = "".join(_adapter_row(card, card.name in usable) for card in adapter_cards)
    few = any(getattr(card, "held_out", FEW) < FEW for card in adapter_cards)
    caution = f" {CHANCE}" if few else ""
    caption = f"Figures on images that were left out, before → after fine-tuning; RMSE in points of the scale.{caution}"
    return cards.table(caption, head, rows, "adapters")


def _adapter_row(card: AdapterCard | BrokenAdapter, usable: bool) -> str:
    if isinstance(card, BrokenAdapter):
        return f'<tr><th scope="row">{escape(card.name)}</th><td colspan="3">{escape(card.error)}</td></tr>'
    shown = [
        f"{_figure(card.before.get(key))}&nbsp;→ <strong>{_figure(card.after.get(key))}</strong>" for key in FIGURES
    ]
    low, high = card.scale
    shown[-1] += f'<div class="small">of {low:g}–{high:g}</div>'
    measured = "cross-validated" if card.cross_validated else f"{card.held_out} held out"
    said = f"on {with_breaks(card.base)}, {RUNG_WORDS[card.rung]}, {card.trained} images, {measured}"
    said = f'<div class="small">{said}</div>'
    if not usable:
        said += f'<div class="worse">To use it, give the folder {with_breaks(card.base)} as the model first.</div>'
    if card.verdict:
        said += f'<div class="{"small" if card.better else "worse"}">{with_breaks(card.verdict)}</div>'
    return f'<tr><th scope="row">{escape(card.name)}{said}</th>{"".join(f"<td>{cell}</td>" for cell in shown)}</tr>'


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def build(session: gr.State, bench: AdaptTab, who: Who, tab: gr.Tab, header: gr.HTML, picker: gr.Dropdown) -> None:
    """Put the tab on the page; it fills when it is opened. `header` and `picker` say everywhere which scorer is in use."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=5, min_width=320):
            gr.HTML("<h3>What people say</h3>")
            counts = gr.HTML()
            revealed = gr.Checkbox(label="Include ratings given after seeing the score", elem_id="adapt-revealed")
            notice, again = outdated_result.build("adapt", "Draw again", session, header)
            chart = gr.Plot(visible=False, show_label=False, elem_id="adapt-chart", elem_classes="chart")
            words = gr.HTML(elem_id="adapt-words")
            look_again = gr.Timer(LOOK_AGAIN, active=False)
        with gr.Column(scale=5, min_width=320):
            gr.HTML("<h3>Fine-tune on it</h3>")
            how = gr.HTML(elem_id="adapt-how")
            to_run = gr.Code(
                "" if bench.settings.public else command(bench.settings, bench.settings.model),
                language="shell",
                show_label=False,
                interactive=False,
                lines=1,
                wrap_lines=True,
                elem_id="adapt-command",
            )
            gr.HTML("<h3>Adapters</h3>")
            table = gr.HTML(elem_id="adapt-table")
            choice = gr.Radio(
                choices([], [bench.settings.model], {}),
                value=bench.settings.model,
                label="Scorer in use",
                info="For you, on this page, at once. Others keep theirs.",
                elem_id="adapt-choice",
            )
            refresh = gr.Button("Refresh", size="sm", elem_id="adapt-refresh")
            everyone, of_everyone = promotion_panel.build(session, bench.settings, bench.scorers, who, header, picker)

    @says_errors
    def show(include_revealed: bool, visitor: Session, request: gr.Request):
        return bench.show(include_revealed, visitor, who.is_owner(request))

    def how_to_tune(visitor: Session, request: gr.Request):
        if not who.is_owner(request):
            return [gr.Code(visible=False), cards.notice("Whoever owns this page fine-tunes its models.")]
        return bench.how_to_tune(visitor.spec)

    def use(spec: str, visitor: Session, progress=gr.Progress()) -> list:
        put_into_use(spec, visitor, bench.scorers, progress)
        return [in_use(visitor.spec, bench.scorers.words(visitor.spec)), visitor.spec, gr.Dropdown(value=visitor.spec)]

    private = {"api_visibility": "private"}
    shown = [counts, chart, words, look_again, *notice]
    opinions = {"fn": show, "inputs": [revealed, session], "outputs": shown, **private}
    look_again.tick(**opinions, show_progress="hidden")
    for event in (tab.select, refresh.click):
        event(says_errors(bench.adapters), session, [table, choice], show_progress="hidden", **private)
        event(**opinions, show_progress_on=[chart, counts])
        event(everyone, None, of_everyone, show_progress="hidden", **private)
    for event in (tab.select, header.change):
        event(how_to_tune, session, [to_run, how], show_progress="hidden", **private)
    for event in (revealed.input, again.click):
        event(**opinions, show_progress_on=[chart, counts])
    used = choice.input(use, [choice, session], [header, choice, picker], show_progress="hidden", **private)
    used.then(**opinions, show_progress_on=[chart])
    header.change(says_errors(bench.adapters), session, [table, choice], show_progress="hidden", **private)
