"""The scorers in use: loaded when first needed, kept, and chosen by each visitor for themselves."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.scorer import Scorer

QALIGN = "nano-qalign"
KEPT = 4  # loaded scorers; each takes as much memory as its weights


class Scorers:
    """Hands out scorers by SPEC. Safe for threads; two requests for one SPEC load it once."""

    def __init__(self, adapters: Path, device: str = "auto") -> None:
        self._adapters, self._device = adapters, device
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple, Scorer] = OrderedDict()

    def get(self, spec: str) -> "Scorer":
        """The scorer that SPEC names; an adapter that was trained again since is loaded anew. Raises ModelError."""
        from model.scorer import load_scorer  # torch: seconds that the page need not wait for when it opens

        with self._lock:
            key = (spec, self._trained_at(spec))
            if key not in self._loaded:
                self._loaded[key] = load_scorer(spec, device=self._device, adapters=self._adapters)
                while len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def warm(self, spec: str) -> threading.Thread:
        """Load SPEC in the background and score a blank picture, so that the first visitor does not wait for it."""

        def work() -> None:
            from PIL import Image

            from model.errors import ModelError

            try:
                self.get(spec).assess([Image.new("RGB", (640, 480), "grey")])
            except ModelError as error:
                print(f"error: {error}", flush=True)  # who scores a picture is told on the page

        thread = threading.Thread(target=work, name="warm", daemon=True)
        thread.start()
        return thread

    def _trained_at(self, spec: str) -> float:
        adapter = spec.partition("+")[2]
        weights = self._adapters / adapter / "adapter_model.safetensors"
        return weights.stat().st_mtime if adapter and weights.is_file() else 0.0


def method(readout: str) -> str:
    """The published method behind a readout, as people know it."""
    return {"score_token": "Q-Scorer", "level": "Q-Align"}.get(readout, readout)
