"""Number and wait policy of torch's threads, set in the environment before torch is imported: OpenMP reads it once.

`model/__init__.py` calls `set_up`, so this applies to the page, all commands, `import model` and the tests. Variables that the user set
are kept. A program that imports torch before `model` keeps torch's defaults.

* Wait policy: passive. By default a thread that finished its part spins for milliseconds until the others finish, about 200 times per
  image; where another process occupies a core, that is most of the time. Waking a sleeping thread costs about 30 µs, which on an idle
  machine makes single images less than a third slower.
* Number: OpenMP's choice (the cores that the process may use), but at most the container's CPU quota.

Scoring one request at a time keeps memory low and the first caller's wait short. On two idle cores, two at once scored 1.04 to 1.7
times as many images per second, each taking 1.2 to 1.9 times as long; with one core busy, 0.97 to 1.2 times as many
(docs/performance.md). Decoding runs on one thread and may overlap.
"""

import math
import os
from pathlib import Path

WAITING = (
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "KMP_BLOCKTIME",
)  # how long to spin, for: the standard; GCC; LLVM and Intel
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def set_up() -> None:
    """Set the variables that the user has not set."""
    if not any(name in os.environ for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    quota = cpu_quota()
    if quota < usable_cores() and not any(name in os.environ for name in COUNTS):
        os.environ["OMP_NUM_THREADS"] = str(max(1, math.ceil(quota)))


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(groups: Path = GROUPS, own_group: Path = OWN_GROUP) -> float:
    """This process's CPU quota in cores by Linux control groups (Docker's --cpus); infinite without a limit."""
    try:
        lines = own_group.read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:  # hierarchy:controllers:path; version 2 names no controllers
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = groups / controllers
        folder = top / path.lstrip("/")
        # A container sees its own group at the top, but the path as it is on the host.
        quotas += [_quota_of(group) for group in {top, folder, *folder.parents} if group.is_relative_to(top)]
    return min(quotas)


def _quota_of(group: Path) -> float:
    """One group's quota in cores, from the file of version 2 or the two files of version 1; infinite without a limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            limit, period = " ".join((group / name).read_text() for name in names).split()
        except (OSError, ValueError):  # the file is absent, or of another form
            continue
        if limit.isdecimal():  # "max" and -1 mean no limit
            return int(limit) / int(period)
    return math.inf
