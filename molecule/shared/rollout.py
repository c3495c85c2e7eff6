"""What the tests of all scenarios use: the hosts, the engines in them, and rollouts that are run again."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import testinfra

PROJECT = Path(__file__).resolve().parents[2]
PROMETHEUS = "http://127.0.0.1:23001"
ALERTMANAGER = "http://127.0.0.1:23003"
EXPORTER = "http://127.0.0.1:9100"
GPU_EXPORTER = "http://127.0.0.1:9445"

# Prints status and body of an answer; a bare host has Python, but no curl.
FETCH = """
import json, sys, urllib.error, urllib.request
url, headers, body = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3].encode() or None
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=5)
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    print(json.dumps([0, str(error)]))
    sys.exit()
print(json.dumps([answer.status, answer.read().decode()]))
"""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; status 0 says that there was none, and the body why."""

    status: int
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class Box:
    """A nested host, with the engine in it."""

    def __init__(self, container: str) -> None:
        self.os = testinfra.get_host(f"docker://{container}")

    def run(self, command: str, *arguments: str) -> str:
        """Return what a command printed, which must have succeeded."""
        output: str = self.os.check_output(command, *arguments)
        return output

    def fetch(self, url: str, headers: dict[str, str] | None = None, body: str = "") -> Answer:
        """Ask for a URL from inside the host."""
        said = self.run("python3 -c %s %s %s %s", FETCH, url, json.dumps(headers or {}), body)
        return Answer(*json.loads(said))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of a PromQL expression."""
        answer = self.fetch(f"{PROMETHEUS}/api/v1/query?{urlencode({'query': expression})}")
        assert answer.status == 200, answer.body
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def value(self, expression: str) -> float:
        """Return the value of a PromQL expression that must have exactly one, if not while a scrape is late."""
        result: list[dict[str, Any]] = []

        def is_one() -> bool:
            result[:] = self.query(expression)
            return len(result) == 1

        assert eventually(is_one), f"{expression}: {result}"
        return float(result[0]["value"][1])

    def targets(self) -> set[tuple[str, str, str]]:
        """Return job, instance and health of each of Prometheus' targets."""
        active = self.fetch(f"{PROMETHEUS}/api/v1/targets?state=active").json()["data"]["activeTargets"]
        return {(target["labels"]["job"], target["labels"]["instance"], target["health"]) for target in active}

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what the engine knows of every container, by the name of its service."""
        ids = self.run("docker ps --all --quiet").split()
        if not ids:
            return {}
        inspected = json.loads(self.run("docker inspect " + " ".join(ids)))
        return {entry["Config"]["Labels"]["com.docker.compose.service"]: entry for entry in inspected}

    def started(self) -> dict[str, str]:
        """Return since when each service's container runs: another time is another start."""
        return {service: entry["State"]["StartedAt"] for service, entry in self.containers().items()}

    def engine(self) -> str:
        """Return the process id of the engine."""
        return self.run("pgrep --exact dockerd")

    def volumes(self) -> set[str]:
        """Return the names of the engine's volumes, read from its disk: it need not run."""
        return set(self.run("ls /var/lib/docker/volumes").split()) - {"backingFsBlockDev", "metadata.db"}


@dataclass(frozen=True)
class Play:
    """A run of a playbook."""

    code: int
    output: str
    recap: dict[str, Any]


class Rollout:
    """Runs the collection's playbooks on a scenario's hosts."""

    def __init__(self, scenario: Path, log: Path) -> None:
        self.inventory = scenario / "inventory"
        self.log = log

    def __call__(self, playbook: str, *options: str, inventory: Path | None = None, **variables: object) -> Play:
        """Run a playbook with variables that count above all others."""
        command = ["ansible-playbook", f"--inventory={inventory or self.inventory}", *options, f"playbooks/{playbook}"]
        done = subprocess.run(
            [*command, "--extra-vars", json.dumps(variables)],
            cwd=PROJECT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n##### {playbook} {json.dumps(variables)}\n{done.stdout}")
        return Play(done.returncode, done.stdout, recaps()[-1])

    def succeeds(self, playbook: str, *options: str, inventory: Path | None = None, **variables: object) -> Play:
        """Run a playbook that must succeed."""
        play = self(playbook, *options, inventory=inventory, **variables)
        assert play.code == 0, play.output
        return play

    def fails(self, playbook: str, *options: str, inventory: Path | None = None, **variables: object) -> str:
        """Run a playbook that must fail; return what it said, with the breaks of long lines taken out."""
        play = self(playbook, *options, inventory=inventory, **variables)
        assert play.code != 0, play.output
        return " ".join(play.output.split())


def recaps() -> list[dict[str, Any]]:
    """Return the recaps of all runs of playbooks since the hosts were made, the oldest first."""
    lines = Path(os.environ["LLM_MONITOR_MOLECULE_RECAPS"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Tell whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
