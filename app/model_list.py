"""Which models are ready here, which must be downloaded first, and which do not fit: under the picker, when it is unfolded."""

from collections.abc import Sequence

import gradio as gr

from app import cards
from app.loaded_scorers import words_of
from app.settings import Settings
from model.common.errors import TooLittleMemory
from model.loading.hub import is_hub_id
from model.loading.known import KNOWN

GROUPS = ("Ready", "Downloaded when first used", "Does not fit into this machine’s free memory")


def build(settings: Settings, names: Sequence[str]) -> None:
    """Put the list of these models on the page. Memory is looked at when it is unfolded."""
    with gr.Accordion("Which models are there?", open=False, elem_id="model-list") as folded:
        shown = gr.HTML()
    folded.expand(lambda: listed(settings, names), None, shown, show_progress="hidden", api_visibility="private")


def listed(settings: Settings, names: Sequence[str]) -> str:
    """The models by group, each with its method, size, scale and licence."""
    groups: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name in names:
        groups[group_of(name, settings)].append(name)
    return "".join(
        f"<h4>{group}</h4><dl>{''.join(map(_entry, members))}</dl>" for group, members in groups.items() if members
    )


def group_of(name: str, settings: Settings) -> str:
    """The group of a model; one whose size is not known before it is downloaded is not looked at for memory."""
    from model.common.devices import choose_device
    from model.loading.opening import check_before_download

    ready, download, too_large = GROUPS
    try:
        check_before_download(name, choose_device(settings.device), settings.dtype)
    except TooLittleMemory:
        return too_large
    return ready if is_here(name) else download


def is_here(name: str) -> bool:
    """Whether nothing has to be downloaded for a model: it ships, is a folder, or was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    base = name.partition("+")[0]
    known = KNOWN.get(base)
    if known and known.ships:
        return True
    place = str(known.where) if known else base
    if not is_hub_id(place):
        return True
    repository, _, revision = place.partition("@")
    config = "adapter_config.json" if known and known.base else "config.json"
    return isinstance(try_to_load_from_cache(repository, config, revision=revision or None), str)


def _entry(name: str) -> str:
    return f"<dt>{cards.breakable(name)}</dt><dd>{cards.escape(words_of(name))}</dd>"
