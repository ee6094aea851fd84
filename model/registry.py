"""From the name of a model to the folder that holds it.

SPEC is a name that ships with the repository, a folder, or either with an adapter: `nano`, `nano-qalign`, `path/to/model`,
`nano+my-adapter`, `nano+path/to/adapter`.
"""

from dataclasses import dataclass
from pathlib import Path

from model.errors import ModelLoadError

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = {"nano": WEIGHTS / "nano", "nano-qalign": WEIGHTS / "nano-qalign"}


@dataclass(frozen=True)
class Spec:
    """Where a scorer's base lies, and the adapter on top of it, if any."""

    name: str
    base: Path
    adapter: Path | None


def resolve(spec: str, adapters: Path | None = None) -> Spec:
    """Find what SPEC names; adapters given by name are looked for in the folder `adapters`.

    Raises ModelLoadError, naming what is missing and what there is.
    """
    base_name, plus, adapter_name = spec.partition("+")
    base = SHIPPED.get(base_name, Path(base_name))
    if not (base / "config.json").is_file():
        known = ", ".join(SHIPPED)
        what = f"the folder {base} has no config.json" if base.is_dir() else f"there is no model '{base_name}'"
        raise ModelLoadError(f"{what}: give one of {known} or a folder that save_pretrained wrote.")
    if not plus:
        return Spec(spec, base, None)
    adapter = find_adapter(adapter_name, adapters)
    return Spec(spec, base, adapter)


def find_adapter(name: str, adapters: Path | None) -> Path:
    """The folder of an adapter given by name or path. Raises ModelLoadError when there is none."""
    places = [Path(name), *([adapters / name] if adapters else [])]
    for place in places:
        if name and (place / "adapter_config.json").is_file():
            return place
    looked = " or ".join(str(place) for place in places)
    raise ModelLoadError(
        f"there is no adapter '{name}': looked for {looked}. Make one by python -m model.finetune --out {name or 'NAME'}."
    )
