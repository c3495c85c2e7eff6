"""What a container is, from the engine's inspection of it.

Read from `GET /containers/{id}/json` as Docker 20.10 to 29 and Podman's compatible API answer it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm_monitor.base.files import Garbled, printable

RUNNING = frozenset({"running", "paused"})
# How Podman calls what Docker calls otherwise.
_STATES = {
    "configured": "created",
    "initialized": "created",
    "stopping": "running",
    "stopped": "exited",
}
_KNOWN_STATES = frozenset({*RUNNING, "created", "restarting", "removing", "exited", "dead"})
_HEALTHS = frozenset({"starting", "healthy", "unhealthy"})
_CDI_KIND = "nvidia.com/gpu="
_VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES="
_USUAL_PERIOD_MICROSECONDS = 100_000
_SHARED_NETWORK = "container:"

Inspected = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """One wish for GPUs (HostConfig.DeviceRequests).

    Attributes:
        driver: Who fulfils it, such as `nvidia` or `cdi`; often empty.
        count: How many GPUs, -1 for all, 0 when `devices` names them.
        devices: Indexes, UUIDs, or CDI names such as `nvidia.com/gpu=0`.
    """

    driver: str
    count: int
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A container, running or not. Text can always be encoded, and holds no environment.

    Attributes:
        id: Its id, 64 hexadecimal digits.
        name: Its name, without the slash in front.
        image: The image as it was configured, such as `vllm/vllm-openai:v0.32`.
        image_id: The image's id.
        labels: Its labels.
        command: Entrypoint and command. It may hold secrets.
        created: When it was created, Unix time in seconds.
        started: When it was last started; None when never.
        finished: When it last ended; None when never.
        state: created, running, paused, restarting, removing, exited or dead.
        health: starting, healthy or unhealthy; None without a health check.
        exit_code: Of its last run; None while it runs and when it never ran.
        oom_killed: Whether its last run was ended for want of memory.
        restarts: How often the engine has restarted it.
        pid: The process id on the host, 0 when it doesn't run.
        networks: Its IP address by network, those only in which it has one.
        ports: Published TCP ports: by the container's own, host address and host port.
        exposed: TCP ports that the image or its user declares.
        host_network: Whether it uses the host's network.
        network_of: The container whose network it shares, as the engine names it (its id); else
            empty.
        memory_limit: In bytes, 0 for none.
        cpu_quota_cores: How many cores it may use; None for all.
        gpu_requests: What it asked for in GPUs.
        visible_devices: Its NVIDIA_VISIBLE_DEVICES; None when not set.
    """

    id: str
    name: str
    image: str
    image_id: str
    labels: Mapping[str, str]
    command: tuple[str, ...]
    created: float | None
    started: float | None
    finished: float | None
    state: str
    health: str | None
    exit_code: int | None
    oom_killed: bool
    restarts: int
    pid: int
    networks: Mapping[str, str]
    ports: Mapping[int, tuple[tuple[str, int], ...]]
    exposed: tuple[int, ...]
    host_network: bool
    network_of: str
    memory_limit: int
    cpu_quota_cores: float | None
    gpu_requests: tuple[GpuRequest, ...]
    visible_devices: str | None


def parse(inspected: Inspected) -> Container:
    """Return the container of an inspection; what an engine does not tell gets its empty value.

    Raises:
        SourceError: When it is no inspection of a container.
    """
    with Garbled("the inspection of a container"):
        return _parse(_object(inspected, "it"))


def _parse(inspected: Inspected) -> Container:
    config = _part(inspected, "Config")
    host = _part(inspected, "HostConfig")
    network = _part(inspected, "NetworkSettings")
    state = _part(inspected, "State")
    status = _status(state)
    started = _moment(state.get("StartedAt"))
    mode = _text(host.get("NetworkMode"))
    return Container(
        id=_text(inspected["Id"]),
        name=_text(inspected["Name"]).removeprefix("/"),
        image=_text(config.get("Image") or inspected.get("ImageName")),
        image_id=_text(inspected.get("Image")),
        labels={_text(key): _text(text) for key, text in _part(config, "Labels").items()},
        command=_command(inspected, config),
        created=_moment(inspected.get("Created")),
        started=started,
        finished=_moment(state.get("FinishedAt")),
        state=status,
        health=_health(state),
        exit_code=None if started is None or status in RUNNING else _number(state, "ExitCode"),
        oom_killed=state.get("OOMKilled") is True,
        restarts=_number(inspected, "RestartCount"),
        pid=_number(state, "Pid"),
        networks=_networks(network, mode),
        ports=_published(_part(network, "Ports")),
        exposed=tuple(sorted(_tcp(_part(config, "ExposedPorts")).values())),
        host_network=mode == "host",
        network_of=mode.removeprefix(_SHARED_NETWORK) if mode.startswith(_SHARED_NETWORK) else "",
        memory_limit=_number(host, "Memory"),
        cpu_quota_cores=_cores(host),
        gpu_requests=tuple(_gpu_requests(host)),
        visible_devices=_visible_devices(config.get("Env") or ()),
    )


def _part(of: Inspected, key: str) -> Inspected:
    """Return a part that may be missing or null.

    Raises:
        TypeError: When it is something else.
    """
    return _object(of.get(key), key)


def _object(value: object, what: str) -> Inspected:
    if value is not None and not isinstance(value, Mapping):
        message = f"{what} is no object"
        raise TypeError(message)
    return value or {}


def _text(value: object) -> str:
    return printable(str(value)) if value is not None else ""


def _number(of: Inspected, key: str) -> int:
    number = of.get(key) or 0
    if not isinstance(number, int):
        message = f"{key} is no integer"
        raise TypeError(message)
    return number


def _status(state: Inspected) -> str:
    told = _text(state.get("Status")).lower()
    status = _STATES.get(told, told)
    if status in _KNOWN_STATES:
        return status
    return "running" if state.get("Running") is True else "exited"


def _health(state: Inspected) -> str | None:
    # Podman before 4 calls it otherwise.
    health = _part(state, "Health") or _part(state, "Healthcheck")
    status = _text(health.get("Status"))
    return status if status in _HEALTHS else None


def _moment(written: object) -> float | None:
    """Return the Unix time of an RFC 3339 time; the year 1 stands for never."""
    if not written:
        return None
    moment = datetime.fromisoformat(str(written))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() if moment.year > 1 else None


def _command(inspected: Inspected, config: Inspected) -> tuple[str, ...]:
    words = [*_words(config.get("Entrypoint")), *_words(config.get("Cmd"))]
    return tuple(words or [*_words(inspected.get("Path")), *_words(inspected.get("Args"))])


def _words(value: object) -> list[str]:
    # Podman before 5 gives an entrypoint as one text.
    if isinstance(value, list):
        return [_text(word) for word in value]
    return [_text(value)] if value else []


def _networks(network: Inspected, mode: str) -> dict[str, str]:
    found = {}
    for name, one in _part(network, "Networks").items():
        endpoint = _object(one, "a network")
        if address := endpoint.get("IPAddress") or endpoint.get("GlobalIPv6Address"):
            found[_text(name)] = _text(address)
    # Podman before 4 tells a default network's address here only.
    if not found and (address := network.get("IPAddress")):
        found[mode] = _text(address)
    return found


def _tcp(ports: Iterable[str]) -> dict[str, int]:
    """Return the numbers of those ports that are TCP's, such as 8000 for `8000/tcp`."""
    split = {port: str(port).partition("/") for port in ports}
    # Some builders leave ranges such as 8000-8010/tcp in an image.
    return {
        port: int(number)
        for port, (number, _, kind) in split.items()
        if kind in ("tcp", "") and "-" not in number
    }


def _published(ports: Inspected) -> dict[int, tuple[tuple[str, int], ...]]:
    found = {}
    for port, number in _tcp(ports).items():
        if places := ports[port]:
            found[number] = tuple(
                (_text(place["HostIp"]), int(place["HostPort"])) for place in places
            )
    return found


def _cores(host: Inspected) -> float | None:
    if nanos := _number(host, "NanoCpus"):
        return nanos / 1e9
    quota = _number(host, "CpuQuota")
    period = _number(host, "CpuPeriod") or _USUAL_PERIOD_MICROSECONDS
    return quota / period if quota > 0 else None


def _gpu_requests(host: Inspected) -> Iterable[GpuRequest]:
    for one in host.get("DeviceRequests") or ():
        request = _object(one, "a device request")
        devices = tuple(_text(device) for device in request.get("DeviceIDs") or ())
        driver = _text(request.get("Driver"))
        capabilities = [word for group in request.get("Capabilities") or () for word in group]
        by_cdi = any(device.startswith(_CDI_KIND) for device in devices)
        if driver == "nvidia" or "gpu" in capabilities or by_cdi:
            yield GpuRequest(driver, _number(request, "Count"), devices)
    # Podman keeps a CDI name among the devices.
    mapped = (_object(device, "a device") for device in host.get("Devices") or ())
    paths = [_text(device.get("PathOnHost")) for device in mapped]
    if named := tuple(path for path in paths if path.startswith(_CDI_KIND)):
        yield GpuRequest("cdi", 0, named)


def _visible_devices(environment: Iterable[object]) -> str | None:
    for entry in environment:
        if (text := _text(entry)).startswith(_VISIBLE_DEVICES):
            return text.removeprefix(_VISIBLE_DEVICES)
    return None
