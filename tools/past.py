"""Gives the demo's Prometheus a past of its simulated server, with what our recording rules make of it: past.py DAYS.

It is given once, as a whole: a Prometheus that knows the server from before its own container was made is left alone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

# Not everybody may use the engine.
DOCKER = ["docker"] if os.access("/var/run/docker.sock", os.W_OK) else ["sudo", "docker"]
# Host and containers of the demo are real, and have no other past than their own.
EXPORTERS = "gpu,vllm,litellm,langfuse"
INSTANCE = "demo"
URL = "http://127.0.0.1:23001"
# Within Prometheus' volume, where its blocks can be moved from at once.
FOLDER = "/prometheus/past"
USER = "65534:65534"
SCRIPT = Path(__file__).with_name("past.sh")

Rule = dict[str, Any]


def levels(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    """Give recording rules in such an order that all come after those that they build on.

    Raises:
        ValueError: When some build on each other. One that builds on its own past does not count as such.
    """
    left = list(rules)
    while left:
        missing = {rule["record"] for rule in left}
        level = [rule for rule in left if not missing & _asked(rule)]
        if not level:
            raise ValueError(f"rules that build on each other: {', '.join(sorted(missing))}")
        yield level
        left = [rule for rule in left if rule not in level]


def _asked(rule: Rule) -> set[str]:
    """Return the names that a rule asks for, but its own."""
    return set(re.findall(r"[\w:]+", rule["expr"])) - {rule["record"]}


class Demo:
    """The demo's Prometheus and mock."""

    def __init__(self) -> None:
        """Find them.

        Raises:
            SystemExit: When they do not run.
        """
        told = json.loads(_docker("inspect", _service("prometheus")))[0]
        self.made = datetime.fromisoformat(re.sub(r"\.\d+", "", told["Created"])).timestamp()
        self.prometheus: str = told["Config"]["Image"]
        self.mock: str = json.loads(_docker("inspect", _service("mock-exporter")))[0]["Config"]["Image"]
        self.volume = next(mount["Name"] for mount in told["Mounts"] if mount["Destination"] == "/prometheus")
        self.container: str = told["Id"]

    def has_a_past(self) -> bool:
        """Tell whether its Prometheus knows the simulated server from before its own container was made."""
        query = f'min_over_time(timestamp(up{{job="gpu"}})[40d:5m]) < {self.made}'
        with urllib.request.urlopen(f"{URL}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as answer:
            return bool(json.load(answer)["data"]["result"])

    def rules(self) -> list[Rule]:
        """Return its recording rules."""
        script = 'for file in /etc/prometheus/rules/*.yml; do echo ---; cat "$file"; done'
        documents = yaml.safe_load_all(_docker("exec", self.container, "sh", "-c", script))
        groups = [group for document in documents if document for group in document["groups"]]
        return [rule for group in groups for rule in group["rules"] or [] if "record" in rule]

    def program(self, image: str, name: str, *arguments: str) -> list[str]:
        """Return the command that runs a program of an image over Prometheus' volume, without a network."""
        volume = f"--volume={self.volume}:/prometheus"
        options = ["--rm", "--interactive", "--network=none", f"--user={USER}", volume, f"--entrypoint={name}"]
        return [*DOCKER, "run", *options, image, *arguments]

    def shell(self, script: str, given: str = "") -> None:
        subprocess.run(self.program(self.prometheus, "sh", "-c", script), check=True, text=True, input=given)


def give(demo: Demo, days: float) -> None:
    """Make the past up to when the demo's Prometheus was made, and give it to it.

    Raises:
        SystemExit: When a part of that fails, which has said why; Prometheus has no past then.
    """
    end = int(demo.made)
    demo.shell(f"rm -rf {FOLDER} && mkdir {FOLDER}")
    demo.shell(f"cat > {FOLDER}/past.sh", SCRIPT.read_text(encoding="utf-8"))
    for number, rules in enumerate(levels(demo.rules()), 1):
        text = yaml.safe_dump({"groups": [{"name": f"level-{number}", "rules": rules}]})
        demo.shell(f"cat > {FOLDER}/rules-{number}.yml", text)
    until = f"{datetime.fromtimestamp(end).astimezone():%Y-%m-%dT%H:%M:%S%z}"
    options = [f"--days={days}", f"--until={until}", f"--exporters={EXPORTERS}", f"--instance={INSTANCE}"]
    writing = demo.program(demo.mock, "llm-monitor-mock", "backfill", f"--output={FOLDER}/written", *options)
    loading = demo.program(demo.prometheus, "sh", f"{FOLDER}/past.sh", FOLDER, str(end - int(days * 86400)), str(end))
    with subprocess.Popen(writing, stdout=subprocess.PIPE) as written:
        loaded = subprocess.run(loading, stdin=written.stdout, check=False)
    if written.returncode or loaded.returncode:
        demo.shell(f"rm -rf {FOLDER}")
        sys.exit("The past could not be made; the reason is above.")
    demo.shell(f"mv {FOLDER}/data/??????????????????????????  /prometheus/ && rm -rf {FOLDER}")


def _docker(*arguments: str) -> str:
    return subprocess.run([*DOCKER, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def _service(name: str) -> str:
    """Return the id of the container of a service of the demo.

    Raises:
        SystemExit: When none runs.
    """
    label = "label=com.docker.compose"
    found = _docker(
        "ps", "--quiet", f"--filter={label}.project=llm-monitor", f"--filter={label}.service={name}"
    ).split()
    if not found:
        sys.exit(f"No container of {name} runs here; `make demo` starts one.")
    return found[0]


def main(days: float) -> None:
    demo = Demo()
    if demo.has_a_past():
        return
    print(
        f"Prometheus gets {days:g} days of the simulated server's past. All of the above can be used meanwhile; Ctrl-C "
        "leaves it without a past.",
        flush=True,
    )
    begun = time.monotonic()
    give(demo, days)
    print(f"The past was made in {time.monotonic() - begun:.0f} s; Prometheus has it within a minute.")


if __name__ == "__main__":
    main(float(sys.argv[1]))
