"""Inspections of every engine become the same container."""

import copy
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter_testing.inspections import DOCKER_20_10, DOCKER_26, DOCKER_29, ID, IMAGE_ID, PODMAN
from llm_monitor.base.docker.containers import Container, GpuRequest, parse
from llm_monitor.base.errors import SourceError

EIGHT = datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp()
STOPPED = Container(
    id=ID,
    name="vllm-llama",
    image="vllm/vllm-openai:v0.32",
    image_id=IMAGE_ID,
    labels={"com.docker.compose.project": "llm"},
    command=("/bin/sh", "-c", "serve"),
    created=pytest.approx(EIGHT + 0.123456),
    started=EIGHT + 1,
    finished=EIGHT + 3600.5,
    state="exited",
    health=None,
    exit_code=137,
    oom_killed=True,
    restarts=3,
    pid=0,
    networks={},
    ports={},
    exposed=(8000,),
    host_network=False,
    network_of="",
    memory_limit=1 << 30,
    cpu_quota_cores=1.5,
    gpu_requests=(GpuRequest("", 0, ("0", "GPU-fa4e")),),
    visible_devices="all",
)


def test_docker_20_10() -> None:
    assert parse(DOCKER_20_10) == STOPPED


def test_docker_26() -> None:
    assert parse(DOCKER_26) == replace(
        STOPPED,
        state="running",
        health="unhealthy",
        exit_code=None,
        oom_killed=False,
        pid=4242,
        networks={"llm_default": "172.18.0.5", "v6": "fd00::5"},
        ports={8000: (("127.0.0.1", 18000), ("::1", 18000))},
        cpu_quota_cores=2.5,
        gpu_requests=(),
    )


def test_docker_29_with_the_containerd_image_store() -> None:
    assert parse(DOCKER_29) == replace(
        STOPPED,
        image="vllm:local",
        labels={},
        command=("vllm", "serve", "meta/llama"),
        created=pytest.approx(EIGHT + 0.1),
        started=None,
        finished=None,
        state="created",
        exit_code=None,
        oom_killed=False,
        restarts=0,
        exposed=(),
        host_network=True,
        memory_limit=0,
        cpu_quota_cores=None,
        gpu_requests=(GpuRequest("cdi", 0, ("nvidia.com/gpu=1",)),),
        visible_devices=None,
    )


def test_podman() -> None:
    assert parse(PODMAN) == replace(
        STOPPED,
        image="docker.io/vllm/vllm-openai:v0.32",
        labels={},
        command=("/entry", "serve"),
        finished=EIGHT + 3600,
        health="healthy",
        exit_code=1,
        oom_killed=False,
        restarts=0,
        networks={"container:" + "6a" * 32: "10.88.0.7"},
        exposed=(),
        network_of="6a" * 32,
        memory_limit=0,
        cpu_quota_cores=None,
        gpu_requests=(GpuRequest("cdi", 0, ("nvidia.com/gpu=0",)),),
        visible_devices="void",
    )


@pytest.mark.parametrize(
    ("state", "expected", "exit_code"),
    [
        ({"Status": "paused", "Running": True}, "paused", None),
        ({"Status": "restarting", "Running": True, "ExitCode": 3}, "restarting", 3),
        ({"Status": "dead", "ExitCode": 2}, "dead", 2),
        ({"Status": "stopping"}, "running", None),
        ({"Status": "initialized", "StartedAt": "0001-01-01T00:00:00Z"}, "created", None),
        ({"Status": "unheard of", "Running": True}, "running", None),
        ({"Status": "unheard of", "Running": False, "ExitCode": 0}, "exited", 0),
    ],
)
def test_states(state: dict[str, Any], expected: str, exit_code: int | None) -> None:
    told = parse({**DOCKER_20_10, "State": {**DOCKER_20_10["State"], **state}})
    assert (told.state, told.exit_code) == (expected, exit_code)


def test_text_can_be_encoded_and_the_environment_is_not_kept() -> None:
    odd = copy.deepcopy(DOCKER_20_10)
    odd["Name"] = '/half \ud800 "quoted"\n'
    odd["Config"]["Labels"] = {"a\udfff": "b\ud800"}
    told = parse(odd)
    assert told.name == 'half \\ud800 "quoted"\n'
    assert told.labels == {"a\\udfff": "b\\ud800"}
    repr(told).encode()
    assert "secret" not in repr(asdict(told))


def test_a_range_of_exposed_ports_costs_nothing_but_itself() -> None:
    ports = {"8000-8010/tcp": {}, "9000/tcp": {}}
    assert parse({**DOCKER_20_10, "Config": {"ExposedPorts": ports}}).exposed == (9000,)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {"Id": ID},
        {**DOCKER_20_10, "State": "running"},
        {**DOCKER_20_10, "Created": "yesterday"},
        {**DOCKER_20_10, "Config": {"ExposedPorts": {"x/tcp": {}}}},
        {**DOCKER_20_10, "HostConfig": {"Memory": float("inf")}},
        {**DOCKER_20_10, "HostConfig": {"DeviceRequests": ["all"]}},
        {**DOCKER_20_10, "NetworkSettings": {"Ports": {"80/tcp": [{"HostPort": "80"}]}}},
    ],
)
def test_what_is_no_inspection_is_an_error_of_the_source(wrong: Any) -> None:
    with pytest.raises(SourceError, match="inspection of a container"):
        parse(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_whatever_stands_in_one_place_raises_nothing_else(data: st.DataObject) -> None:
    whole = copy.deepcopy(data.draw(st.sampled_from([DOCKER_20_10, DOCKER_26, DOCKER_29, PODMAN])))
    section = data.draw(st.sampled_from(sorted(whole)))
    if isinstance(whole[section], dict) and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(whole[section])))
        whole[section][key] = data.draw(JSON)
    else:
        whole[section] = data.draw(JSON)
    try:
        repr(parse(whole)).encode()
    except SourceError:
        return
