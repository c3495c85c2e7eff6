"""Gives the demo's Prometheus a past of its simulated server: past.py DAYS.

It is given once, as a whole, and ends where what Prometheus has seen itself begins. What its recording rules would have
made of it is recorded by a second Prometheus, which runs over nothing but that past.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from ansible_collections.llmops.monitoring.tools import recorded

# Not everybody may use the engine.
DOCKER = ["docker"] if os.access("/var/run/docker.sock", os.W_OK) else ["sudo", "docker"]
# Host and containers of the demo are real, and have no other past than their own.
EXPORTERS = "gpu,vllm,litellm,langfuse,llmops"
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
# What a second Prometheus has left there besides blocks is its own.
GIVE = f"rm -rf {FOLDER}/blocks/*.tmp* && mv {FOLDER}/blocks/01* /prometheus/ && rm -rf {FOLDER} && touch {MARK}"
# One block, if it is of a time that LARGEST_BLOCK_SECONDS divides.
LOAD_RECORDED = f"""
cd {FOLDER} && cat > recorded.om &&
promtool tsdb create-blocks-from --max-block-duration=72h openmetrics --quiet recorded.om blocks >&2 &&
rm recorded.om
"""
# As long as Prometheus' own get with a retention of thirty days: two hours three times tripled.
LARGEST_BLOCK_SECONDS = 54 * 3600
CONTAINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g", "--tmpfs=/tmp"]
PASSING = ("--rm", "--interactive", "--network=none")
_AGAIN = "the reason is above. `make demo` tries again."
WRITER, LOADER, RECORDER = (f"llm-monitor-past-{name}" for name in ("writer", "loader", "recorder"))
READY_SECONDS = 120


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

    def rules(self) -> list[recorded.Rule]:
        """Return its recording rules."""
        with urllib.request.urlopen(f"{URL}/api/v1/rules?type=record", timeout=60) as answer:
            groups = json.load(answer)["data"]["groups"]
        return [
            {"record": rule["name"], "expr": rule["query"], "labels": rule.get("labels", {})}
            for group in groups
            for rule in group["rules"]
        ]

    @contextmanager
    def recorder(self) -> Iterator[str]:
        """Run a second Prometheus over the past alone, and give its address once it is ready.

        Raises:
            PastError: When it does not become ready, with what it has said.
        """
        flags = ["--config.file=/dev/null", f"--storage.tsdb.path={FOLDER}/blocks", "--storage.tsdb.retention.time=10y"]
        options = ["--detach", "--publish=127.0.0.1::9090"]
        command = self.program(self.prometheus, "prometheus", *flags, called=RECORDER, options=options)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        url = f"http://{_docker('port', RECORDER, '9090').split()[0]}"
        end = time.monotonic() + READY_SECONDS
        while not _ready(url):
            if time.monotonic() > end or not _docker("ps", "--quiet", f"--filter=name={RECORDER}").split():
                said = subprocess.run([*DOCKER, "logs", RECORDER], check=False, capture_output=True, text=True).stderr
                raise PastError(f"the Prometheus that records is not ready: {said[-2000:]}")
            time.sleep(0.1)
        yield url
        # It may be compacting, and a block of which it has written a part would be lost.
        _docker("stop", "--time=60", RECORDER)
        _docker("rm", RECORDER)

    def shell(self, script: str) -> None:
        """Run a script in Prometheus' image, over its volume."""
        subprocess.run(self._sh(script), check=True, stdin=subprocess.DEVNULL)

    def program(
        self, image: str, name: str, *arguments: str, called: str = "", options: Sequence[str] = PASSING
    ) -> list[str]:
        """Return the command that runs a program of an image over Prometheus' volume, as who owns that."""
        over = [
            f"--volume={self.volume}:/prometheus",
            f"--entrypoint={name}",
            *([f"--name={called}"] if called else []),
        ]
        return [*DOCKER, "run", *options, "--user=65534:65534", *CONTAINED, *over, image, *arguments]

    def _sh(self, script: str) -> list[str]:
        return self.program(self.prometheus, "sh", "-c", script)


def give(demo: Demo, days: float, end: float) -> None:
    """Make the past up to a Unix time, and give it to the demo's Prometheus.

    Raises:
        PastError: When a part of that fails; Prometheus has no past then.
    """
    demo.shell(EMPTY)
    try:
        write(demo, days, end)
        record(demo, days, end)
    except BaseException:
        # The containers do not end with their clients.
        subprocess.run([*DOCKER, "rm", "--force", WRITER, LOADER, RECORDER], check=False, capture_output=True)
        demo.shell(f"rm -rf {FOLDER}")
        raise
    # A part of it would be taken for all of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    demo.shell(GIVE)


def write(demo: Demo, days: float, end: float) -> None:
    """Make blocks of what the simulated server's exporters have told up to a Unix time.

    Raises:
        PastError: When a part of that fails, which has said why.
    """
    until = f"{datetime.fromtimestamp(end).astimezone():%Y-%m-%dT%H:%M:%S%z}"
    options = [f"--days={days}", f"--until={until}", f"--exporters={EXPORTERS}", f"--instance={INSTANCE}"]
    writing = ["backfill", f"--output={FOLDER}/written", *options]
    written = demo.program(demo.mock, "llm-monitor-mock", *writing, called=WRITER)
    loaded = demo.program(demo.prometheus, "sh", "-c", LOAD, called=LOADER)
    with subprocess.Popen(written, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as writer:
        try:
            loading = subprocess.run(loaded, stdin=writer.stdout, check=False)
        except BaseException:
            writer.terminate()
            raise
        if loading.returncode:
            writer.terminate()
    if loading.returncode or writer.returncode:
        raise PastError(_AGAIN)


def record(demo: Demo, days: float, end: float) -> None:
    """Make blocks of what the demo's recording rules would have made of those that there are.

    Raises:
        PastError: When a part of that fails.
    """
    levels = list(recorded.levels(demo.rules()))
    for number, level in enumerate(levels, 1):
        print(f"Its recording rules: {number} of {len(levels)} steps", flush=True)
        # Each finds the blocks that are there when it starts.
        with demo.recorder() as url:
            for first, last in _parts(end - days * 86400, end):
                ask = partial(recorded.values, url, begin=first, end=last)
                text = "".join(recorded.openmetrics(level, ask))
                loaded = [*DOCKER, "exec", "--interactive", RECORDER, "sh", "-c", LOAD_RECORDED]
                if subprocess.run(loaded, input=text, text=True, check=False).returncode:
                    raise PastError(_AGAIN)


def _parts(begin: float, end: float) -> Iterator[tuple[int, int]]:
    """Give the first and last step of each part of a time, Unix times."""
    first = -int(-begin // recorded.STEP) * recorded.STEP
    while first <= end:
        after = (first // LARGEST_BLOCK_SECONDS + 1) * LARGEST_BLOCK_SECONDS
        yield first, min(after - recorded.STEP, int(end // recorded.STEP) * recorded.STEP)
        first = after


def _docker(*arguments: str) -> str:
    return subprocess.run([*DOCKER, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
            return True
    except OSError:
        return False


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
    if demo.has_a_past():
        print("Prometheus has a past already; after `make demo-down` it gets another one.")
        return
    end = demo.begin()
    if end < time.time() - RETENTION_SECONDS:
        return
    print(
        f"Prometheus gets {days:g} {'day' if days == 1 else 'days'} of the simulated server's past. All of the above "
        "can be used meanwhile; Ctrl-C leaves it without a past.",
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
    except (PastError, recorded.RefusedError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Prometheus gets no past of the simulated server: {error}")
