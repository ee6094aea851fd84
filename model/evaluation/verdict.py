"""The paired comparison of two systems in words. Plain Python."""

NAMES = {"srcc": "SRCC", "plcc": "PLCC"}


def verdict(first: str, second: str, paired: dict) -> str:
    """Which of two systems ranks the images better, in one sentence: by the interval of the difference of their SRCC, as
    model/evaluation/paired.py computes it with `first` as its first system."""
    found, n = paired["srcc"], paired["n"]
    if found["difference"] is None:
        return f"{first} and {second} cannot be compared: a correlation is not defined on these {n} images."
    if not found["interval"]:
        return f"{first} and {second} cannot be compared on {n} images: an interval needs at least 10."
    if found["interval"][0] > 0:
        return f"{first} ranks these {n} images better than {second}: {difference_of(found)}."
    if found["interval"][1] < 0:
        return f"{second} ranks these {n} images better than {first}: {difference_of(found)}."
    return f"{first} and {second} cannot be told apart on these {n} images: {difference_of(found)}."


def difference_of(found: dict, name: str = "SRCC") -> str:
    """A difference of correlations (first minus second) with its interval."""
    low, high = found["interval"]
    return f"{name} differs by {found['difference']:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"
