"""Gives the demo's Prometheus a past of its simulated server: past.py DAYS.

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
from datetime import datetime

# Not everybody may use the engine.
DOCKER = ["docker"] if os.access("/var/run/docker.sock", os.W_OK) else ["sudo", "docker"]
# Host and containers of the demo are real, and have no other past than their own.
EXPORTERS = "gpu,vllm,litellm,langfuse"
INSTANCE = "demo"
URL = "http://127.0.0.1:23001"
USER = "65534:65534"
# Within Prometheus' volume, so that its blocks can be moved at once.
FOLDER = "/prometheus/past"
EMPTY = f"rm -rf {FOLDER} && mkdir -p {FOLDER}/blocks"
# Loaded and removed while the next is written: as text, 30 days are more than 7 GB.
LOAD = f"""
while read -r file; do
  promtool tsdb create-blocks-from openmetrics --quiet "$file" {FOLDER}/blocks >&2 || exit
  rm "$file"
done
"""
GIVE = f"mv {FOLDER}/blocks/* /prometheus/ && rm -rf {FOLDER}"


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

    def has_a_past(self) -> bool:
        """Tell whether its Prometheus knows the simulated server from before its own container was made."""
        query = f'min_over_time(timestamp(up{{job="gpu"}})[40d:5m]) < {self.made}'
        with urllib.request.urlopen(f"{URL}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as answer:
            return bool(json.load(answer)["data"]["result"])

    def program(self, image: str, name: str, *arguments: str) -> list[str]:
        """Return the command that runs a program of an image over Prometheus' volume, without a network."""
        volume = f"--volume={self.volume}:/prometheus"
        options = ["--rm", "--interactive", "--network=none", f"--user={USER}", volume, f"--entrypoint={name}"]
        return [*DOCKER, "run", *options, image, *arguments]

    def shell(self, script: str) -> None:
        """Run a script in Prometheus' image, over its volume."""
        subprocess.run(self.program(self.prometheus, "sh", "-c", script), check=True, stdin=subprocess.DEVNULL)


def give(demo: Demo, days: float) -> None:
    """Make the past up to when the demo's Prometheus was made, and give it to it.

    Raises:
        SystemExit: When a part of that fails, which has said why; Prometheus has no past then.
    """
    until = f"{datetime.fromtimestamp(demo.made).astimezone():%Y-%m-%dT%H:%M:%S%z}"
    options = [f"--days={days}", f"--until={until}", f"--exporters={EXPORTERS}", f"--instance={INSTANCE}"]
    writing = demo.program(demo.mock, "llm-monitor-mock", "backfill", f"--output={FOLDER}/written", *options)
    loading = demo.program(demo.prometheus, "sh", "-c", LOAD)
    demo.shell(EMPTY)
    with subprocess.Popen(writing, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as written:
        loaded = subprocess.run(loading, stdin=written.stdout, check=False)
    if written.returncode or loaded.returncode:
        demo.shell(f"rm -rf {FOLDER}")
        sys.exit("The past could not be made; the reason is above. `make demo` tries again.")
    demo.shell(GIVE)


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
    try:
        give(demo, days)
    except KeyboardInterrupt:
        sys.exit("There is no past; `make demo` makes one.")
    print(f"The past was made in {time.monotonic() - begun:.0f} s; Prometheus has it within a minute or two.")


if __name__ == "__main__":
    main(float(sys.argv[1]))
