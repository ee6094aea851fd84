"""How torch's threads wait, and how many there are: set in the environment before torch is imported, since OpenMP reads it once.

`model/__init__.py` calls `set_up`, so that it holds for the page, every command, `import model` and the tests. What the user has set
stays. A program that imports torch before `model` keeps torch's own defaults.

* Waiting is passive. By default a thread that has finished its share spins for milliseconds until the others have finished theirs, some
  200 times an image. Where another process has taken the core that one of them runs on, that is most of the time.
  Waking a thread that sleeps costs some 30 µs each time: less than a third of an idle machine's speed, for single images.
* As many threads as OpenMP chooses (the cores on which the process may run), but at most what a container's CPU quota allows.

One request at a time keeps memory low and gives whoever comes first the shortest wait. On two idle cores two at once scored 1.04 to 1.7
times as many images a second, each taking 1.2 to 1.9 times as long; with one core taken, 0.97 to 1.2 times as many (docs/performance.md).
Decoding runs on one thread, so let it overlap.
"""

import math
import os
from pathlib import Path

WAITING = (
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "KMP_BLOCKTIME",
)  # each says how long to spin: the standard, GCC's, and LLVM's and Intel's
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def set_up() -> None:
    """Set what the user has not set."""
    if not any(name in os.environ for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    quota = cpu_quota()
    if quota < usable_cores() and not any(name in os.environ for name in COUNTS):
        os.environ["OMP_NUM_THREADS"] = str(max(1, math.ceil(quota)))


def usable_cores() -> int:
    """The cores on which this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(groups: Path = GROUPS, own_group: Path = OWN_GROUP) -> float:
    """The cores' worth of time that Linux control groups leave this process, as Docker's --cpus sets it; infinite without a limit."""
    try:
        lines = own_group.read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:  # hierarchy:controllers:path, with no controllers named in version 2
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = groups / controllers
        folder = top / path.lstrip("/")
        # A container sees its own group at the top, and the path that it has outside.
        quotas += [_quota_of(group) for group in {top, folder, *folder.parents} if group.is_relative_to(top)]
    return min(quotas)


def _quota_of(group: Path) -> float:
    """Of one group, by the file of version 2 or the two of version 1; infinite where neither sets a limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            limit, period = " ".join((group / name).read_text() for name in names).split()
        except (OSError, ValueError):  # the file is absent, or of another form
            continue
        if limit.isdecimal():  # "max" and -1 mean no limit
            return int(limit) / int(period)
    return math.inf
