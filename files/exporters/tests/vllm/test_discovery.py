import re
import socket
from pathlib import Path

import pytest
import yaml

from exporter_testing.docker_api import inspection
from llm_monitor.base.docker.containers import Container, parse
from llm_monitor.vllm import exporter
from llm_monitor.vllm.server.discovery import Discovery, Endpoint, Server

DEFAULTS = yaml.safe_load(Path(exporter.__file__).with_name("settings.yaml").read_text())["vllm"]
IMAGE = re.compile(DEFAULTS["image"])
ME = "e0" * 32
HOST_NETWORK = {"NetworkMode": "host"}
ANY = "0.0.0.0"  # noqa: S104 - where a port is published


def container(name: str = "c", identifier: str = "1f" * 32, **changes: object) -> Container:
    return parse(inspection(identifier, name, **changes))


def found(*containers: Container, endpoints: tuple[Endpoint, ...] = ()) -> dict[str, Server]:
    servers = Discovery(endpoints, IMAGE, "gateway").servers(containers)
    return {server.name: server for server in servers}


@pytest.mark.parametrize(
    ("image", "command", "labels", "is_one"),
    [
        ("vllm/vllm-openai:v0.32", [], {}, True),
        ("registry:5000/team/my-vllm@sha256:00", [], {}, True),
        ("vllm", [], {}, True),
        ("vllm/other:v1", [], {}, False),
        ("tools:vllm", [], {}, False),
        ("other", ["vllm", "serve", "m"], {}, True),
        ("other", ["python", "-m", "vllm.entrypoints.openai.api_server"], {}, True),
        ("other", ["sh", "-c", "vllm serve m"], {}, True),
        ("other", ["sleep"], {}, False),
        ("other", ["sleep"], {"llm-monitor.vllm": "true"}, True),
        ("other", ["sleep"], {"llm-monitor.vllm": " True "}, True),
        ("other", ["sleep"], {"llm-monitor.vllm": "yes"}, False),
        ("vllm", ["vllm", "serve", "m"], {"llm-monitor.vllm": "false"}, False),
    ],
)
def test_how_a_container_is_found(
    image: str, command: list[str], labels: dict[str, str], is_one: bool
) -> None:
    one = container(Config={"Image": image, "Cmd": command, "Labels": labels})
    assert bool(found(one)) is is_one


@pytest.mark.parametrize(
    ("command", "labels", "port"),
    [
        (["vllm", "serve", "m"], {}, 8000),
        (["vllm", "serve", "m", "--port", "9000"], {}, 9000),
        (["vllm", "serve", "m", "--port", "9000"], {"llm-monitor.port": "9001"}, 9001),
        (["vllm", "serve", "m"], {"llm-monitor.port": "nonsense"}, 8000),
        (["--model", "m", "--port", "9002"], {}, 9002),
    ],
)
def test_at_which_port(command: list[str], labels: dict[str, str], port: int) -> None:
    one = container(Config={"Cmd": command, "Labels": labels})
    assert found(one)["c"].addresses == (f"http://172.17.0.2:{port}",)


def networks(**addresses: str) -> dict[str, object]:
    return {
        "Networks": {name: {"IPAddress": address} for name, address in addresses.items()},
        "Ports": {},
    }


def published(*places: tuple[str, str]) -> dict[str, object]:
    return {"8000/tcp": [{"HostIp": host, "HostPort": port} for host, port in places]}


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process seem to run in the container of id `ME`."""
    monkeypatch.setattr(socket, "gethostname", lambda: ME[:12])


def test_on_the_host_any_network_will_do() -> None:
    one = container(NetworkSettings=networks(a="10.0.0.2", b="10.1.0.2"))
    assert found(one)["c"].addresses == ("http://10.0.0.2:8000", "http://10.1.0.2:8000")
    v6 = container(NetworkSettings=networks(a="fd00::2"))
    assert found(v6)["c"].addresses == ("http://[fd00::2]:8000",)


def test_on_the_host_a_published_port_comes_next() -> None:
    one = container(
        NetworkSettings={
            **networks(a="10.0.0.2"),
            "Ports": published((ANY, "18000"), ("::", "18000"), ("10.9.0.1", "18001")),
        }
    )
    assert found(one)["c"].addresses == (
        "http://10.0.0.2:8000",
        "http://127.0.0.1:18000",
        "http://10.9.0.1:18001",
    )


def test_on_the_host_its_own_network_is_its_own() -> None:
    one = container(HostConfig=HOST_NETWORK, NetworkSettings={"Networks": {"host": {}}})
    assert found(one)["c"].addresses == ("http://127.0.0.1:8000",)


@pytest.mark.usefixtures("inside")
def test_in_a_container_only_shared_networks_will_do() -> None:
    me = container("me", ME, NetworkSettings=networks(b="10.1.0.9"))
    both = container(NetworkSettings=networks(a="10.0.0.2", b="10.1.0.2"))
    other = container("other", "2f" * 32, NetworkSettings=networks(a="10.0.0.3"))
    servers = found(me, both, other)
    assert servers["c"].addresses == ("http://10.1.0.2:8000",)
    assert servers["other"].addresses == ()
    assert servers["other"].unreachable == (
        "no way to port 8000: its networks are a; this exporter's, b; and the port is not published"
    )
    assert "me" not in servers


@pytest.mark.usefixtures("inside")
def test_in_a_container_the_host_is_reached_by_its_name() -> None:
    me = container("me", ME, NetworkSettings=networks(b="10.1.0.9"))
    open_port = {**networks(a="10.0.0.2"), "Ports": published((ANY, "18000"))}
    closed = {**networks(a="10.0.0.2"), "Ports": published(("127.0.0.1", "18000"))}
    single = {**networks(a="10.0.0.2"), "Ports": published(("10.9.0.1", "18000"))}
    servers = found(
        me,
        container("open", "2f" * 32, NetworkSettings=open_port),
        container("single", "5f" * 32, NetworkSettings=single),
        container("closed", "3f" * 32, NetworkSettings=closed),
        container("host", "4f" * 32, HostConfig=HOST_NETWORK, NetworkSettings=networks()),
    )
    assert servers["open"].addresses == ("http://gateway:18000",)
    assert servers["single"].addresses == ("http://10.9.0.1:18000",)
    assert servers["closed"].addresses == ()
    assert servers["host"].addresses == ("http://gateway:8000",)


@pytest.mark.usefixtures("inside")
def test_a_container_with_the_host_s_network_sees_what_the_host_sees() -> None:
    me = container("me", ME, HostConfig=HOST_NETWORK, NetworkSettings=networks())
    one = container(NetworkSettings=networks(a="10.0.0.2"))
    assert found(me, one)["c"].addresses == ("http://10.0.0.2:8000",)


def test_another_container_s_network_is_as_good_as_one_s_own() -> None:
    owner = container(
        "owner",
        "2f" * 32,
        Config={"Image": "other", "Cmd": []},
        NetworkSettings=networks(a="10.0.0.7"),
    )
    one = container(HostConfig={"NetworkMode": f"container:{owner.id}"}, NetworkSettings=networks())
    assert found(owner, one)["c"].addresses == ("http://10.0.0.7:8000",)


def test_what_runs_is_worth_asking_and_what_does_not_is_not() -> None:
    for state in ("created", "paused", "restarting", "exited", "dead"):
        assert not found(container(State={"Status": state, "Running": False}))["c"].running
    assert found(container())["c"].running


def test_a_named_endpoint_may_say_where_a_container_answers() -> None:
    endpoints = (Endpoint("c", "https://c.example"), Endpoint("z", "http://z:1"))
    servers = found(container(), endpoints=endpoints)
    assert servers["c"].addresses == ("https://c.example",)
    assert servers["c"].container is not None
    assert (servers["z"].addresses, servers["z"].container) == (("http://z:1",), None)
    assert servers["z"].running
