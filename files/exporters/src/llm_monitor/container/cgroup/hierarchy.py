"""Where the control groups of containers are.

Engines name them after the container's id, below a folder that depends on the engine, on its cgroup
driver and on `--cgroup-parent`: /docker/ID, /system.slice/docker-ID.scope, /NAME/ID.
"""

import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from llm_monitor.base.docker.cgroups import container_ids
from llm_monitor.base.errors import SourceError, SourceMissingError
from llm_monitor.base.files import read_text, source_error

# Where they usually are, tried before a search: Docker's two drivers, then Podman's.
_USUAL = (
    "/docker/{}",
    "/system.slice/docker-{}.scope",
    "/machine.slice/libpod-{}.scope",
    "/libpod_parent/libpod-{}",
)
# Podman's own process beside each container, in a group of its own.
_MONITOR = "libpod-conmon-"
_DEEPEST = 12
# A whole tree is not searched in every scrape for a container that has no group in it.
_MISSED_SECONDS = 60.0
_SHARED = ("cpu", "memory", "io")


class Hierarchy:
    """One tree of control groups, and where in it the containers are.

    Attributes:
        root: Its mount point.
        unified: Whether it is of version 2.
        paths: Where containers are, or were, by their ids; each begins with a slash.
    """

    def __init__(self, root: str, *, unified: bool) -> None:
        """Look below `root`."""
        self.root = root
        self.unified = unified
        self.paths: dict[str, str] = {}
        self._missed: set[tuple[str, int]] = set()
        self._missed_at = float("-inf")

    def locate(self, known: Collection[str], running: Mapping[str, int]) -> None:
        """Find the groups of `running` containers, process ids by ids; forget all but `known`.

        A container keeps its path for life. One that has no group, such as one of another host's
        engine, is not searched for again for a minute, unless it has another process.
        """
        paths = {one: path for one, path in self.paths.items() if one in known}
        wanted = {one for one in running if one not in paths}
        if wanted and time.monotonic() - self._missed_at >= _MISSED_SECONDS:
            # All at once, so that they share one search.
            self._missed = set()
        wanted -= {one for one, pid in self._missed if running.get(one) == pid}
        if wanted:
            paths |= self._guess(wanted, paths)
            if left := wanted - paths.keys():
                paths |= self._search(left)
            missed = {one for one in self._missed if one[0] in known}
            if not missed:
                self._missed_at = time.monotonic()
            self._missed = missed | {(one, running[one]) for one in wanted - paths.keys()}
        self.paths = paths

    def folder(self, container: str) -> str:
        """Return the folder of a container's control group.

        Raises:
            SourceMissingError: When it has none here.
        """
        try:
            return self.root + self.paths[container]
        except KeyError:
            message = f"{self.root}: no control group of container {container}"
            raise SourceMissingError(message) from None

    def _guess(self, wanted: Collection[str], paths: Mapping[str, str]) -> dict[str, str]:
        """Return the paths of those that are beside others, or where containers usually are."""
        learnt = {path.replace(one, "{}") for one, path in paths.items()}
        return {
            one: path
            for one in wanted
            for place in (*_USUAL, *learnt)
            if os.path.isdir(self.root + (path := place.replace("{}", one)))
        }

    def _search(self, wanted: Collection[str]) -> dict[str, str]:
        """Return the paths of `wanted` from the whole tree.

        Nothing below a container is looked at: it may name its own groups as it likes. A folder
        that can't be read is left out: in the next search it may be.
        """
        found: dict[str, str] = {}
        level = [""]
        for _ in range(_DEEPEST):
            level = [f"{path}/{name}" for path in level for name in self._folders(path)]
            for path in level:
                name = path.rpartition("/")[2]
                for one in () if _MONITOR in name else container_ids(name):
                    if one in wanted:
                        found.setdefault(one, path)
            inside = set(found.values())
            level = [path for path in level if path not in inside]
            if not level or len(found) == len(wanted):
                break
        return found

    def _folders(self, path: str) -> list[str]:
        try:
            return folders(self.root + path)
        except SourceError:
            return []


def hierarchies(root: str) -> dict[str, Hierarchy]:
    """Return the trees below `root` by controller: cpu, cpuacct, memory and io.

    With version 2 all are the same tree. In a hybrid layout version 1 has what is mounted, and
    the rest is left to the tree of version 2 in `unified`.

    Raises:
        SourceMissingError: When there is no tree of control groups.
    """
    if os.path.exists(f"{root}/cgroup.controllers"):
        return dict.fromkeys(("cpu", "cpuacct", "memory", "io"), Hierarchy(root, unified=True))
    found = {
        name: Hierarchy(f"{root}/{folder}", unified=False)
        for name, folder in (
            ("cpu", "cpu"),
            ("cpuacct", "cpuacct"),
            ("memory", "memory"),
            ("io", "blkio"),
        )
        if os.path.isdir(f"{root}/{folder}")
    }
    unified = Hierarchy(f"{root}/unified", unified=True)
    for name in _controllers(unified.root):
        found.setdefault(name, unified)
    if "cpuacct" not in found and "cpu" in found and found["cpu"].unified:
        found["cpuacct"] = found["cpu"]
    if not found:
        message = f"{root}: no control groups; is the host's /sys/fs/cgroup mounted there?"
        raise SourceMissingError(message)
    return found


def _controllers(root: str) -> list[str]:
    try:
        return [name for name in read_text(f"{root}/cgroup.controllers").split() if name in _SHARED]
    except SourceMissingError:
        return []


def processes(group: str) -> int:
    """Return how many processes the group at the folder `group` has (cgroup.procs).

    Where it keeps all of them in groups of its own making, these are counted.

    Raises:
        SourceMissingError: When there is no such group.
        SourceError: When it can't be read.
    """
    count = len(read_text(f"{group}/cgroup.procs").split())
    level = [] if count else [group]
    for _ in range(_DEEPEST):
        level = [f"{path}/{name}" for path in level for name in folders(path)]
        for path in level:
            with suppress(SourceMissingError):
                count += len(read_text(f"{path}/cgroup.procs").split())
    return count


def folders(path: str) -> list[str]:
    """Return the names of the folders in a folder, none when it has gone or may not be read.

    Raises:
        SourceError: When reading it fails otherwise.
    """
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        problem = source_error(path, error)
        if isinstance(problem, SourceMissingError):
            return []
        raise problem from error
