"""Gives the demo's Prometheus a past of its simulated server: past.py DAYS.

It is given once, as a whole, and ends where what Prometheus has seen itself begins. Samples only: what recording rules
make of them begins with the demo.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from datetime import datetime
from typing import Any

# Not everybody may use the engine.
DOCKER = ["docker"] if os.access("/var/run/docker.sock", os.W_OK) else ["sudo", "docker"]
# Host and containers of the demo are real, and have no other past than their own.
EXPORTERS = "gpu,vllm,litellm,langfuse"
INSTANCE = "demo"
URL = "http://127.0.0.1:23001"
# After as long Prometheus removes what it has seen.
RETENTION_SECONDS = 30 * 86400
# Within Prometheus' volume, so that its blocks can be moved at once.
FOLDER = "/prometheus/past"
MARK = "/prometheus/past-is-there"
EMPTY = f"rm -rf {FOLDER} && mkdir -p {FOLDER}/blocks"
# Loaded and removed while the next is written: as text, 30 days are more than 7 GB.
LOAD = f"""
while read -r file; do
  promtool tsdb create-blocks-from openmetrics --quiet "$file" {FOLDER}/blocks >&2 || exit
  rm "$file"
done
"""
GIVE = f"mv {FOLDER}/blocks/* /prometheus/ && rm -rf {FOLDER} && touch {MARK}"
CONTAINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g", "--tmpfs=/tmp"]
_AGAIN = "the reason is above. `make demo` tries again."
WRITER, LOADER = "llm-monitor-past-writer", "llm-monitor-past-loader"


class PastError(Exception):
    """Why there can be no past."""


class Demo:
    """The demo's Prometheus and mock."""

    def __init__(self) -> None:
        """Find them.

        Raises:
            PastError: When they do not run.
        """
        told = _container("prometheus")
        self.prometheus: str = told["Config"]["Image"]
        self.mock: str = _container("mock-exporter")["Config"]["Image"]
        self.made = datetime.fromisoformat(re.sub(r"\.\d+", "", told["Created"])).timestamp()
        volumes = [
            mount["Name"] for mount in told["Mounts"] if mount["Destination"] == "/prometheus" and "Name" in mount
        ]
        if not volumes:
            raise PastError("Prometheus has no volume at /prometheus.")
        self.volume: str = volumes[0]

    def has_a_past(self) -> bool:
        """Tell whether it was given one."""
        return subprocess.run(self._sh(f"test -e {MARK}"), check=False, stdin=subprocess.DEVNULL).returncode == 0

    def begin(self) -> float:
        """Return the time before which its Prometheus has seen nothing of the simulated server, Unix time."""
        query = 'min(min_over_time(timestamp(up{job="gpu"})[40d:5m]))'
        url = f"{URL}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            found = json.load(answer)["data"]["result"]
        return min([self.made, *(float(one["value"][1]) - 300 for one in found)])

    def shell(self, script: str) -> None:
        """Run a script in Prometheus' image, over its volume."""
        subprocess.run(self._sh(script), check=True, stdin=subprocess.DEVNULL)

    def program(self, image: str, name: str, *arguments: str, called: str = "") -> list[str]:
        """Return the command that runs a program of an image over Prometheus' volume, as who owns that."""
        options = ["--rm", "--interactive", "--network=none", "--user=65534:65534", *CONTAINED]
        options += [f"--volume={self.volume}:/prometheus", f"--entrypoint={name}"]
        return [*DOCKER, "run", *options, *([f"--name={called}"] if called else []), image, *arguments]

    def _sh(self, script: str) -> list[str]:
        return self.program(self.prometheus, "sh", "-c", script)


def give(demo: Demo, days: float, end: float) -> None:
    """Make the past up to a Unix time, and give it to the demo's Prometheus.

    Raises:
        PastError: When a part of that fails, which has said why; Prometheus has no past then.
    """
    until = f"{datetime.fromtimestamp(end).astimezone():%Y-%m-%dT%H:%M:%S%z}"
    options = [f"--days={days}", f"--until={until}", f"--exporters={EXPORTERS}", f"--instance={INSTANCE}"]
    writing = ["backfill", f"--output={FOLDER}/written", *options]
    demo.shell(EMPTY)
    written = demo.program(demo.mock, "llm-monitor-mock", *writing, called=WRITER)
    loaded = demo.program(demo.prometheus, "sh", "-c", LOAD, called=LOADER)
    try:
        with subprocess.Popen(written, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as writer:
            try:
                with subprocess.Popen(loaded, stdin=writer.stdout) as loader:
                    loader.wait()
                if loader.returncode:
                    raise PastError(_AGAIN)
            except BaseException:
                # The containers do not end with their clients.
                subprocess.run([*DOCKER, "rm", "--force", WRITER, LOADER], check=False, capture_output=True)
                raise
        if writer.returncode:
            raise PastError(_AGAIN)
    except BaseException:
        demo.shell(f"rm -rf {FOLDER}")
        raise
    # A part of it would be taken for all of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    demo.shell(GIVE)


def _docker(*arguments: str) -> str:
    return subprocess.run([*DOCKER, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def _container(service: str) -> dict[str, Any]:
    """Return what the engine tells of the container of a service of the demo.

    Raises:
        PastError: When none runs.
    """
    label = "label=com.docker.compose"
    filters = [f"--filter={label}.project=llm-monitor", f"--filter={label}.service={service}"]
    found = _docker("ps", "--quiet", *filters).split()
    if not found:
        raise PastError(f"No container of {service} runs here; `make demo` starts one.")
    told: dict[str, Any] = json.loads(_docker("inspect", found[0]))[0]
    return told


def main(days: float) -> None:
    demo = Demo()
    end = demo.begin()
    if demo.has_a_past() or end < time.time() - RETENTION_SECONDS:
        return
    print(
        f"Prometheus gets {days:g} days of the simulated server's past. All of the above can be used meanwhile; Ctrl-C "
        "leaves it without a past.",
        flush=True,
    )
    begun = time.monotonic()
    give(demo, days, end)
    print(f"The past was made in {time.monotonic() - begun:.0f} s; Prometheus has it within a minute or two.")


if __name__ == "__main__":
    try:
        main(float(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("There is no past; `make demo` makes one.")
    except (PastError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Prometheus gets no past of the simulated server: {error}")
