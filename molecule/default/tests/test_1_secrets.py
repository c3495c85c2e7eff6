"""Where the secrets of the inventory end up: in files that only their services can read, and nowhere else."""

from __future__ import annotations

from ansible_collections.llmops.monitoring.molecule.shared.rollout import ALERTMANAGER, PROMETHEUS, Box

EXPORTERS = {
    "node": 9100,
    "gpu": 9445,
    "container": 8080,
    "litellm": 9901,
    "vllm": 9902,
    "langfuse": 9903,
    "llmops": 9904,
}
PLACES = "/etc /home /opt /root /srv /tmp /var/log /var/tmp"
FOLDERS = ("/opt/llm-monitor/secrets/", "/opt/llm-monitor/.last-good/secrets/")


def told(box: Box, token: str) -> dict[str, str]:
    """Return all that containers, exporters and their processes show, by where they show it."""
    headers = {"Authorization": f"Bearer {token}"}
    addresses = {name: f"http://127.0.0.1:{port}" for name, port in EXPORTERS.items()}
    addresses |= {"prometheus": PROMETHEUS, "alertmanager": ALERTMANAGER}
    shown = {f"metrics of {name}": box.fetch(f"{url}/metrics", headers) for name, url in addresses.items()}
    shown["prometheus's configuration"] = box.fetch(f"{PROMETHEUS}/api/v1/status/config")
    assert {where: answer.status for where, answer in shown.items() if answer.status != 200} == {}
    services = box.containers()
    return {
        **{where: answer.body for where, answer in shown.items()},
        **{f"log of {name}": box.run("docker logs %s 2>&1", entry["Id"]) for name, entry in services.items()},
        "docker inspect": str(services),
        "docker compose config": box.run("cd /opt/llm-monitor && docker compose config"),
        # Some end while they are read.
        "processes": box.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null | tr '\\0' '\\n'; true"),
    }


def test_secrets_are_in_files_of_their_own(box: Box, planted: dict[str, str]) -> None:
    for secret in planted.values():
        found = box.run(f"grep -rlF --regexp=%s {PLACES}", secret).split()
        assert len(found) >= 2
        assert [path for path in found if not path.startswith(FOLDERS)] == []
    modes = box.run(f"find {' '.join(FOLDERS)} -type f -printf '%m\\n'").split()
    # Prometheus and the exporters each have the token, the event store and its exporter each the reader's password.
    assert len(modes) == 2 * (len(planted) + 2)
    assert set(modes) == {"600"}


def test_secrets_are_told_nowhere(box: Box, planted: dict[str, str]) -> None:
    shown = told(box, planted["exporters_bearer_token"])
    assert [(where, name) for where, text in shown.items() for name, secret in planted.items() if secret in text] == []
