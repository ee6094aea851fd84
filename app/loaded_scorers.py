"""The scorers in use: loaded when first needed, kept, and chosen by each visitor for themselves."""

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from app import zero_gpu
from app.environment import say
from app.known_scores import KnownScores
from app.model_work import ModelWork
from model.backbones.spec import QUALITY
from model.common.errors import ModelError
from model.loading.hub import is_hub_id
from model.loading.known import KNOWN, SHIPPED, resolve

if TYPE_CHECKING:
    from model.common.progress import Progress
    from model.scoring.scorer import Scorer

QALIGN = "nano-qalign"
KEPT = 4  # loaded scorers; each takes as much memory as its weights
WEIGHTS = (".safetensors", ".bin", ".json")


class Scorers:
    """Hands out scorers by SPEC. Safe for threads; two requests for one SPEC load it once, and others do not wait for it."""

    def __init__(
        self,
        adapters: Path,
        device: str = "auto",
        dtype: str = "auto",
        check: Callable[[str], None] = lambda spec: None,
    ) -> None:
        """dtype: what models are loaded as that do not ship here. check: raises ModelError for a SPEC that may not be used."""
        self._check = check
        self._adapters, self._device, self._dtype = adapters, device, dtype
        self._lock = threading.Lock()
        self._on_zero_gpu = zero_gpu.ZERO_GPU and device != "cpu"
        self.work, self.known = ModelWork(at_once=self._on_zero_gpu), KnownScores()
        self._fixed: dict[str, Scorer] = {}
        self._configured: tuple[str, ...] = ()
        # A lock stays here while a request holds or awaits it.
        self._loading: WeakValueDictionary[tuple, threading.Lock] = WeakValueDictionary()
        self._loaded: OrderedDict[tuple, Scorer] = OrderedDict()

    def get(self, spec: str, progress: "Progress | None" = None) -> "Scorer":
        """The scorer that SPEC names, which takes turns with all others; one whose files have changed since is loaded anew.
        progress: see model/common/progress.py. Raises ModelError."""
        self._check(spec)
        if spec in self._fixed:
            return self._fixed[spec]
        key = (spec, files_of(spec, self._adapters))
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            with self._lock:
                known = self._loaded.get(key)
            scorer = known or self._load(spec, progress)
            scorer.turn = self.work.run
            with self._lock:
                for other in [other for other in self._loaded if other[0] == spec and other != key]:
                    del self._loaded[other]
                self._loaded[key] = scorer
                self._loaded.move_to_end(key)
                while len(self._loaded) > max(KEPT, len(self._configured)):
                    self._loaded.popitem(last=False)
        return scorer

    def tasks(self, spec: str) -> tuple[str, ...]:
        """What SPEC can be asked. A folder is loaded for it; what would have to be fetched is only asked for quality until it is here."""
        base = spec.partition("+")[0]
        if base in KNOWN:
            return KNOWN[base].tasks
        scorer = self._without_fetching(spec)
        return scorer.tasks if scorer else (QUALITY,)

    def words(self, spec: str) -> str:
        """One line for people on SPEC. A folder is loaded for it; nothing is said of what would have to be fetched."""
        if known := words_of(spec):
            return known
        scorer = self._without_fetching(spec)
        if not scorer:
            return ""
        low, high = scorer.scale
        size, unit = (1e9, "GB") if weights(scorer) >= 1e9 else (1e6, "MB")
        return f"{method(scorer)}, {weights(scorer) / size:.1f} {unit} of weights, scores {low:g} to {high:g}."

    def _without_fetching(self, spec: str) -> "Scorer | None":
        """The scorer that SPEC names, unless it would have to be fetched or cannot be loaded."""
        with self._lock:
            loaded = any(name == spec for name, _ in self._loaded)
        try:
            return self.get(spec) if loaded or not is_hub_id(spec.partition("+")[0]) else None
        except ModelError:  # whoever scores with it is told
            return None

    def _load(self, spec: str, progress: "Progress | None") -> "Scorer":
        """Load SPEC; where memory is too little for it beside the others and enough without them, let these go first."""
        from model.common.errors import TooLittleMemory
        from model.scoring.scorer import load_scorer

        dtype = "auto" if spec.partition("+")[0] in SHIPPED else self._dtype
        chosen = (spec, self._device, dtype, self._adapters)
        try:
            return load_scorer(*chosen, progress=progress)
        except TooLittleMemory as error:
            if not self._let_go(error.lacking):
                raise
        return load_scorer(*chosen, progress=progress)

    def _let_go(self, lacking: float) -> bool:
        """Forget the loaded scorers and free their memory; False, and they stay, where that is less than `lacking` bytes."""
        import torch

        with self._lock:
            if sum(map(weights, self._loaded.values())) < lacking:
                return False
            self._loaded.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return True

    def load(self, specs: Sequence[str]) -> None:
        """Load these now or, where models compute in this process, in the background (`warm`). On ZeroGPU nothing else can be used then:
        a model is put on its GPU before the process in which it computes begins, and by the main thread. Raises ModelError there."""
        self._configured = tuple(specs)
        if not self._on_zero_gpu:
            self.warm(*specs)
            return
        loaded = {spec: self.get(spec) for spec in specs}
        for spec, scorer in loaded.items():
            zero_gpu.keep(spec, scorer)
        self._fixed = loaded

    def warm(self, *specs: str) -> threading.Thread:
        """Load these in the background and score a blank image with each, so that the first visitor does not wait for it."""

        def work() -> None:
            from PIL import Image

            for spec in specs:
                try:
                    self.get(spec).assess([Image.new("RGB", (640, 480), "grey")])
                except ModelError as error:
                    say(f"error: {error}")  # who scores an image is told on the page

        thread = threading.Thread(target=work, name="warm", daemon=True)
        thread.start()
        return thread


def files_of(spec: str, adapters: Path) -> tuple:
    """What tells the files of SPEC from others under the same names: of each its time of change and its size. Nothing of a hub id, which
    names its files by their content. Raises ModelLoadError for a SPEC that names nothing."""
    found = resolve(spec, adapters, fetch=Path)
    folders = [folder for folder in (found.base, found.adapter) if folder and folder.is_dir()]
    files = sorted(path for folder in folders for path in folder.iterdir() if path.suffix in WEIGHTS)
    return tuple((path, (known := path.stat()).st_mtime_ns, known.st_size) for path in files)


def words_of(spec: str) -> str:
    """One line for people on a model that has a name here, else ""."""
    known = KNOWN.get(spec.partition("+")[0])
    return known.words if known else ""


def weights(scorer: "Scorer") -> int:
    """The bytes that a loaded scorer's weights take."""
    return sum(tensor.nbytes for tensor in scorer.backbone.model.state_dict().values())


def method(scorer: "Scorer") -> str:
    """The published method behind a scorer, as people know it."""
    known = KNOWN.get(scorer.name.partition("+")[0])
    return known.method if known else {"score_token": "Q-Scorer", "level": "Q-Align"}[scorer.readout]
