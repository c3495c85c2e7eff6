"""Which containers are vLLM servers, and under which addresses one may be reached from here."""

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llm_monitor.base.docker.cgroups import container_ids
from llm_monitor.base.docker.containers import Container
from llm_monitor.base.errors import SourceError
from llm_monitor.base.files import read_text
from llm_monitor.vllm.server.command import NO_COMMAND, Command, port, read

LABEL = "llm-monitor.vllm"
PORT_LABEL = "llm-monitor.port"
_USUAL_PORT = 8000
_RUNNING = "running"
_SHORT_ID = 12
_ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - nothing is bound to it here
_LOOPBACK = ("127.", "::1")


class Endpoint(NamedTuple):
    """A server that is named in the settings.

    Attributes:
        name: Its name, the value of the label `container`.
        url: Its address, without a path at the end.
    """

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Server:
    """A vLLM server.

    Attributes:
        name: The value of the label `container`: the container's name, or the endpoint's.
        addresses: Where it may answer, the likeliest first.
        container: Its container, None when it runs elsewhere.
        command: What the container's command tells.
        unreachable: Why it has no address, where it has none.
    """

    name: str
    addresses: tuple[str, ...]
    container: Container | None = None
    command: Command = NO_COMMAND
    unreachable: str = ""

    @property
    def running(self) -> bool:
        """Whether it is worth asking: a container that is stopped or paused does not answer."""
        return self.container is None or self.container.state == _RUNNING

    @property
    def incarnation(self) -> tuple[str, float | None]:
        """What changes with each start of its container."""
        return (self.container.id, self.container.started) if self.container else ("", None)


class Discovery:
    """Finds vLLM servers among containers."""

    def __init__(self, endpoints: Sequence[Endpoint], image: re.Pattern[str], gateway: str) -> None:
        """Find `endpoints` too, and containers whose image's name matches `image`.

        `gateway` is the name under which the host is reached from within a container.
        """
        self._endpoints = endpoints
        self._image = image
        self._gateway = gateway

    def servers(self, containers: Sequence[Container]) -> list[Server]:
        """Return the vLLM servers of the settings and among `containers`, by name.

        An endpoint with a container's name says where that container answers.
        """
        me = _myself(containers)
        found = {}
        for container in containers:
            command = read(container.command)
            if container is not me and self._serves(container, command):
                found[container.name] = self._server(container, command, me, containers)
        for name, url in self._endpoints:
            known = found.get(name)
            found[name] = (
                Server(name, (url,), known.container, known.command)
                if known
                else Server(name, (url,))
            )
        return [found[name] for name in sorted(found)]

    def _serves(self, container: Container, command: Command) -> bool:
        label = container.labels.get(LABEL, "").strip().lower()
        if label in ("true", "false"):
            return label == "true"
        return bool(self._image.search(container.image)) or command.serves

    def _server(
        self,
        container: Container,
        command: Command,
        me: Container | None,
        containers: Sequence[Container],
    ) -> Server:
        where = _network_owner(container, containers)
        here = _network_owner(me, containers) if me else None
        if here is not None and here.host_network:
            here = None
        number = port(container.labels.get(PORT_LABEL, "").strip()) or command.port or _USUAL_PORT
        addresses = tuple(dict.fromkeys(self._addresses(where, here, number)))
        unreachable = ""
        if not addresses:
            theirs = ", ".join(sorted(where.networks)) or "none"
            ours = ", ".join(sorted(here.networks)) if here else "that of the host"
            unreachable = (
                f"no way to port {number}: its networks are {theirs}; this exporter's, {ours}; and"
                " the port is not published"
            )
        return Server(container.name, addresses, container, command, unreachable)

    def _addresses(self, where: Container, here: Container | None, number: int) -> Iterator[str]:
        """Give the addresses of `number` at `where`, seen from `here`, None for the host itself."""
        for network, address in where.networks.items():
            if here is None or network in here.networks:
                yield _url(address, number)
        for address, published in where.ports.get(number, ()):
            if address in _ANY:
                yield _url("127.0.0.1" if here is None else self._gateway, published)
            elif here is None or not address.startswith(_LOOPBACK):
                # The gateway's address is not the one that it is published on.
                yield _url(address, published)
        if where.host_network:
            yield _url("127.0.0.1" if here is None else self._gateway, number)


def _network_owner(container: Container, containers: Sequence[Container]) -> Container:
    """Return the container whose network `container` uses: most often its own."""
    owners = (one for one in containers if one.id == container.network_of)
    return next(owners, container)


def _myself(containers: Sequence[Container]) -> Container | None:
    """Return the container in which this process runs, None on the host itself.

    A container's host name is the start of its id, and its control groups may show the whole.
    """
    hostname = socket.gethostname()
    try:
        inner = container_ids(read_text("/proc/self/cgroup"))
    except SourceError:
        inner = []
    for container in containers:
        named = len(hostname) >= _SHORT_ID and container.id.startswith(hostname)
        if named or container.id in inner:
            return container
    return None


def _url(host: str, number: int) -> str:
    return f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"
