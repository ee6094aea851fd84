"""Fields of a YAML file, each read with its line: what is wrong is one sentence that names file, line and field."""

import math
from pathlib import Path
from typing import NoReturn

import yaml

from annotations.errors import AnnotationError


class Fields:
    """The fields of one mapping of a YAML file; `known` are all that it may have.

    Every method raises AnnotationError for a field of another type, a lacking one without default, and one out of range.
    """

    def __init__(self, file: str, node: yaml.Node, known: tuple[str, ...]) -> None:
        self.file, self.line = file, node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            self.refuse(self.line, f"fields are expected here, such as `{known[0]}: ...`")
        self._nodes: dict[str, yaml.Node] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value not in known:
                self.refuse(line, f"there is no field {key.value!r} here: use {', '.join(known)}")
            if key.value in self._nodes:
                self.refuse(line, f"{key.value} is given twice: remove one")
            self._nodes[key.value] = value

    def refuse(self, line: int, what: str) -> NoReturn:
        raise AnnotationError(f"{self.file}, line {line}: {what}.")

    def wrong(self, name: str, what: str) -> NoReturn:
        """A field is refused, at its line or at that of the mapping which lacks it."""
        node = self._nodes.get(name)
        self.refuse(node.start_mark.line + 1 if node else self.line, f"{name} {what}")

    def text(self, name: str, default: str | None = None, longest: int = 5000) -> str:
        value = self._value(name, default)
        if not isinstance(value, str) or not value.strip() and default is None or len(value) > longest:
            self.wrong(name, f"must be text of at most {longest} characters, not {self._said(name)}")
        return value.strip()

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self._value(name, default)
        if value not in choices:
            self.wrong(name, f"must be one of {', '.join(choices)}, not {self._said(name)}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._value(name, default)
        if not isinstance(value, bool):
            self.wrong(name, f"must be true or false, not {self._said(name)}")
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.wrong(name, f"must be a whole number from {low} to {high}, not {self._said(name)}")
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        value = self._value(name, default)
        if not is_number(value) or not low <= value <= high:
            self.wrong(name, f"must be a number from {low:g} to {high:g}, not {self._said(name)}")
        return float(value)

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """One text or a list of them."""
        value = self._value(name, default)
        several = [value] if isinstance(value, str) else value
        if not isinstance(several, (list, tuple)) or not all(
            isinstance(item, str) and item.strip() for item in several
        ):
            self.wrong(name, f"must be text or a list of texts, not {self._said(name)}")
        return tuple(item.strip() for item in several)

    def span(self, name: str, low: float, high: float) -> tuple[float, float]:
        """One number, or a list of the lowest and the highest."""
        value = self._value(name, None)
        ends = value if isinstance(value, list) else [value, value]
        if len(ends) != 2 or not all(map(is_number, ends)) or not low <= ends[0] <= ends[1] <= high:
            self.wrong(
                name, f"must be a number from {low:g} to {high:g} or a list of two in order, not {self._said(name)}"
            )
        return float(ends[0]), float(ends[1])

    def each(self, name: str, known: tuple[str, ...]) -> list["Fields"]:
        """The mappings of a list of them; none where the field is lacking."""
        node = self._nodes.get(name)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(name, f"must be a list whose items start with `- {known[0]}: ...`")
        return [Fields(self.file, item, known) for item in node.value]

    def _value(self, name: str, default: object) -> object:
        node = self._nodes.get(name)
        if node is not None:
            try:
                return yaml.SafeLoader("").construct_document(node)
            except (yaml.YAMLError, ValueError, TypeError):
                self.wrong(name, "has a value that cannot be read")
        if default is None:
            self.wrong(name, "is lacking")
        return default

    def _said(self, name: str) -> str:
        node = self._nodes[name]
        return repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or fields"


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_fields(text: str, file: str | Path, known: tuple[str, ...]) -> Fields:
    """The fields of a whole YAML file; raises AnnotationError for what is not YAML."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise AnnotationError(f"{file}{where}: this is not YAML ({said}).") from error
    if node is None:
        raise AnnotationError(f"{file} is empty: it needs at least {known[0]}.")
    return Fields(str(file), node, known)
