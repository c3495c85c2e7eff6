import pytest

from llm_monitor.base.docker.client import docker_address


@pytest.mark.parametrize("address", ["", "/run/docker.sock", "http://docker-proxy:2375"])
def test_addresses_of_docker(address: str) -> None:
    assert docker_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "docker.sock",
        "unix:///run/docker.sock",
        "https://x:1",
        "http://x",
        "http://x:y",
        "http://x:65536",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="neither a socket"):
        docker_address(address)
