"""Quotas of processors: what the control groups of a container let a process use (Linux, cgroups of version 1 and 2).

A group may run for so many µs of processor time in each period. A process is bound by its own group and by all that
this one is nested in, as far as they can be seen: of a container, those from its own downwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SYSTEM = Path("/")


class Mount(NamedTuple):
    """Where groups are seen: the group `root` of a hierarchy at the directory `point`."""

    version: int
    root: str
    point: str


def quota(system: Path = SYSTEM) -> int | None:
    """The processors that the quotas of this process amount to, rounded up, or None: there is none that can be read.

    Parameters
    ----------
    system : the directory in which proc and the mount points are looked for
    """
    bounds = [bound for folder, version in _groups(system) if (bound := _processors(folder, version)) is not None]
    return max(1, math.ceil(min(bounds))) if bounds else None


def _lines(path: Path) -> list[str]:
    """Those of a file, or none."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _groups(system: Path) -> Iterator[tuple[Path, int]]:
    """The directory of each group that this process is in and that accounts for processors, and its version."""
    paths = dict(_paths(system))
    for mount in _mounts(system):
        path = paths.get(mount.version)
        if path is None:
            continue
        top = system / mount.point.lstrip("/")
        inner = _below(path, mount.root)
        yield from ((folder, mount.version) for folder in (top / inner, *(top / parent for parent in inner.parents)))


def _paths(system: Path) -> Iterator[tuple[int, str]]:
    """The group of this process in the hierarchy of each version: lines as "4:cpu,cpuacct:/user" and "0::/user"."""
    for line in _lines(system / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            yield 2, path
        elif "cpu" in controllers.split(","):
            yield 1, path


def _mounts(system: Path) -> Iterator[Mount]:
    """The hierarchies of control groups that are mounted and account for processors: see proc_pid_mountinfo(5)."""
    for line in _lines(system / "proc/self/mountinfo"):
        mounted, _, what = line.partition(" - ")
        fields, described = mounted.split(), what.split()
        if len(fields) < 5 or not described:
            continue
        kind, options = described[0], described[-1]
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(",")):
            yield Mount(2 if kind == "cgroup2" else 1, _plain(fields[3]), _plain(fields[4]))


def _plain(field: str) -> str:
    r"""A path of mountinfo, where \040 stands for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _below(path: str, root: str) -> Path:
    """A group relative to the one that is mounted; that one itself where the group lies elsewhere, out of sight."""
    inner = Path(path.lstrip("/")), Path(root.lstrip("/"))
    if ".." in inner[0].parts or not inner[0].is_relative_to(inner[1]):
        return Path()
    return inner[0].relative_to(inner[1])


def _processors(folder: Path, version: int) -> float | None:
    """The quota of a group over its period, or None."""
    if version == 2:
        values = " ".join(_lines(folder / "cpu.max")[:1]).split()
    else:
        values = [value for name in ("quota", "period") for value in _lines(folder / f"cpu.cfs_{name}_us")[:1]]
    if len(values) != 2 or not all(value.strip().isdecimal() for value in values) or int(values[1]) == 0:
        return None  # "max", or −1, is none
    return int(values[0]) / int(values[1]) or None
