"""From the name of a model to the folders that hold it; `python -m model.registry` lists the names.

SPEC is a name, a folder or a hub id (owner/model, owner/model@revision), or one of these with an adapter: `nano`, `one-align`,
`path/to/model`, `nano+my-adapter`, `nano+path/to/adapter`, `path/to/mplug-owl2+path/to/qscorer-lora`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.backbones.adapter_card import CONFIG, CORRECTION
from model.backbones.mplug_owl2.prompts import TASKS
from model.backbones.spec import QUALITY, Spec
from model.common.errors import ModelLoadError
from model.common.memory import WORKING
from model.common.scale import Scale
from model.loading.hub import download, is_hub_id

WEIGHTS = Path(__file__).parents[1] / "weights"
BYTES_PER_NUMBER = {"bfloat16": 2, "float32": 4}
OWL2_BASE = "MAGAer13/mplug-owl2-llama2-7b"
LLAMA2 = "Llama 2 Community Licence (backbone); method's code for research only"
ONE_ALIGN_SETS = "KonIQ-10k, SPAQ, KADID-10k, AVA, LSVQ"


@dataclass(frozen=True)
class Known:
    """A named model. where: a folder of this repository or a hub id; of an adapter if `base` is set. parameters: in millions.
    readout: a preset of model/backbones/vlm/settings.py. tasks: those that it was trained for."""

    where: Path | str
    method: str
    parameters: float
    scale: Scale
    trained_on: str
    licence: str
    base: str | None = None
    readout: str | None = None
    tasks: tuple[str, ...] = (QUALITY,)

    @property
    def ships(self) -> bool:
        return isinstance(self.where, Path)

    def weights(self, dtype: str) -> float:
        """Size of the weights in bytes."""
        return self.parameters * 1e6 * BYTES_PER_NUMBER[dtype]

    @property
    def words(self) -> str:
        """One line: method, size, required memory (for a small model the size of its weights), scale, training data, licence."""
        low, high = self.scale
        if self.parameters >= 100:
            needed = {dtype: f"{WORKING * self.weights(dtype) / 1e9:.2g} GB" for dtype in BYTES_PER_NUMBER}
            size = (
                f"{self.parameters / 1000:.1f} billion parameters, needs {needed['float32']} of memory "
                f"({needed['bfloat16']} with --dtype bfloat16)"
            )
        else:
            size = f"{self.parameters:.1f} million parameters, {self.weights('float32') / 1e6:.0f} MB of weights"
        return (
            f"{self.method}, {size}, scores {low:g} to {high:g}, trained on {self.trained_on}. Licence: {self.licence}."
        )


def realign(name: str, parameters: float) -> Known:
    return Known(
        f"q-future/Q-ReAlign-{name}",
        "Q-ReAlign",
        parameters,
        Scale(0, 1),
        ONE_ALIGN_SETS,
        "Apache-2.0",
        readout="q-realign",
    )


KNOWN = {
    "nano": Known(WEIGHTS / "nano", "Q-Scorer", 5.9, Scale(1, 5), "BIQ2021, AGIQA-3K", "Apache-2.0"),
    "nano-qalign": Known(WEIGHTS / "nano-qalign", "Q-Align", 5.9, Scale(1, 5), "BIQ2021, AGIQA-3K", "Apache-2.0"),
    "qscorer": Known("2kxx/Qscorer_lora_5_1", "Q-Scorer", 8208, Scale(0, 5), "KonIQ-10k", LLAMA2, base=OWL2_BASE),
    "qscorer-merged": Known("2kxx/Qscorer_merged", "Q-Scorer", 8208, Scale(0, 5), "KonIQ-10k", LLAMA2),
    "one-align": Known("q-future/one-align", "Q-Align", 8198, Scale(1, 5), ONE_ALIGN_SETS, LLAMA2, tasks=TASKS),
    "deqa-score": Known(
        "zhiyuanyou/DeQA-Score-Mix3", "DeQA-Score", 8198, Scale(1, 5), "KonIQ-10k, SPAQ, KADID-10k", LLAMA2
    ),
    "q-realign-mini": realign("Mini-0.8B", 800),
    "q-realign-lite": realign("Lite-4B", 4000),
    "q-realign-pro": realign("Pro-9B", 9000),
}
SHIPPED = {name: known.where for name, known in KNOWN.items() if known.ships}


def resolve(spec: str, adapters: Path | None = None, fetch: Callable[[str], Path] = download) -> Spec:
    """The folders of a SPEC, downloaded from the hub if necessary. adapters: the folder of adapters given by name. fetch: from a hub id
    to its folder.

    Raises ModelLoadError, naming what is missing and what is available.
    """
    base_name, plus, adapter_name = spec.partition("+")
    if not base_name or (plus and not adapter_name):
        raise ModelLoadError(
            f"'{spec}' is not a valid model: use MODEL or MODEL+ADAPTER, where MODEL is one of {', '.join(KNOWN)}."
        )
    known = KNOWN.get(base_name)
    if known and known.base:
        if plus:
            raise ModelLoadError(f"{base_name} is itself an adapter and cannot take another: omit '+{adapter_name}'.")
        return Spec(spec, find_model(known.base, fetch), find_model(str(known.where), fetch))
    base = find_model(str(known.where) if known else base_name, fetch)
    adapter = find_adapter(adapter_name, adapters, fetch) if plus else None
    return Spec(spec, base, adapter, known.readout if known else None)


def check_spec(spec: str, adapters: Path | None = None) -> None:
    """Raises ModelLoadError when SPEC names no model. Hub ids are not checked, and nothing is downloaded."""
    resolve(spec, adapters, fetch=Path)


def find_model(name: str, fetch: Callable[[str], Path] = download) -> Path:
    """The folder for a path or a hub id. Raises ModelLoadError when there is none."""
    folder = Path(name)
    if any(_holds(folder, settings) for settings in ("config.json", "adapter_config.json")):
        return folder
    if is_hub_id(name):
        return fetch(name)
    what = f"the folder {folder} has no config.json" if folder.is_dir() else f"there is no model '{name}'"
    raise ModelLoadError(f"{what}: use one of {', '.join(KNOWN)}, the folder of a model, or a hub id (owner/model).")


def _holds(folder: Path, name: str) -> bool:
    """Whether a folder has this file. Raises ModelLoadError if the folder is not readable or its name is invalid."""
    try:
        return (folder / name).is_file()
    except OSError as error:
        raise ModelLoadError(
            f"'{str(folder)[:80]}' cannot be opened as a model ({error.strerror}): use a name, a readable folder, or a hub id."
        ) from error


def find_adapter(name: str, adapters: Path | None, fetch: Callable[[str], Path] = download) -> Path:
    """The folder of an adapter given by name, path or hub id. Raises ModelLoadError when there is none."""
    places = [Path(name), *([adapters / name] if adapters else [])]
    for place in places:
        if any(_holds(place, file) for file in (CONFIG, CORRECTION)):
            return place
    if is_hub_id(name):
        return fetch(name)
    if any(_holds(place, "config.json") for place in places):
        raise ModelLoadError(f"{name} is a complete model, not an adapter: use it alone.")
    looked = " or ".join(dict.fromkeys(map(str, places)))
    raise ModelLoadError(
        f"there is no adapter '{name}' (searched: {looked}): set QSCORER_DATA to use another data folder, or train it by "
        f"python -m model.finetune --out {name or 'NAME'}."
    )
