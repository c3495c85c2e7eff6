"""The network interfaces of containers, as their first processes see them."""

import re

from llm_monitor.base.errors import SourceMissingError
from llm_monitor.base.files import Garbled, printable, read_text
from llm_monitor.container.cgroup.numbers import number
from llm_monitor.container.facts import Interface, Traffic

_HEADER = re.compile(r"Inter-\|.*\n *face \|bytes .*\n")
_TRANSMIT = 8


def interfaces(proc: str, pid: int, container: str, exclude: re.Pattern[str]) -> list[Interface]:
    """Return the interfaces of `container`, of which `pid` is a process, but those to `exclude`.

    The source is /proc/PID/net/dev. Whoever else got that number since is told by /proc/PID/cgroup.

    Raises:
        SourceMissingError: When the process has ended.
        SourceError: When what it has can't be understood.
    """
    path = f"{proc}/{pid}/net/dev"
    text = read_text(path)
    # After the reading, so that what was read was this container's.
    if not _belongs(read_text(f"{proc}/{pid}/cgroup"), container):
        message = f"{path}: it is no process of container {container} any more"
        raise SourceMissingError(message)
    with Garbled(path):
        header = _HEADER.match(text)
        if header is None:
            message = "no table of network devices"
            raise ValueError(message)
        rows = [line.rpartition(":") for line in text[header.end() :].splitlines()]
        named = ((printable(name.strip()), rest.split()) for name, _, rest in rows)
        return [_interface(name, words) for name, words in named if not exclude.fullmatch(name)]


def _belongs(groups: str, container: str) -> bool:
    """Return whether a process with these control groups is one of `container`.

    A container in a cgroup namespace of its own sees its own groups as `/`.
    """
    return container in groups or all(line.endswith(":/") for line in groups.splitlines())


def _interface(name: str, words: list[str]) -> Interface:
    received = Traffic(*(number(word) for word in words[:4]))
    transmitted = Traffic(*(number(word) for word in words[_TRANSMIT : _TRANSMIT + 4]))
    return Interface(name, received, transmitted)
