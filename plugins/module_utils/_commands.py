# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command that may hang or print without end; AnsibleModule.run_command waits for such ones forever.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

_CHUNK = 65536
# How long a killed process may take to go; one that waits in the kernel for a driver never does.
_KILL_SECONDS = 2.0


class CommandTimeout(Exception):
    """The command did not end in time and was killed."""


class TooMuchOutput(Exception):
    """The command printed more than it may and was killed."""


def run(
    command: Sequence[str], timeout: float, max_bytes: int, environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Return a command's exit code, output and errors, both as UTF-8 with what is none replaced.

    `max_bytes` limits both outputs together; `environment` is added to the one of this process.
    Raises CommandTimeout after `timeout` seconds, TooMuchOutput, and OSError when the command can't be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        out, err = _outputs(process, time.monotonic() + timeout, max_bytes)
    except subprocess.TimeoutExpired:
        raise CommandTimeout from None
    finally:
        _end(process)
    return process.returncode, out.decode("utf-8", errors="replace"), err.decode("utf-8", errors="replace")


def _outputs(process: subprocess.Popen[bytes], deadline: float, max_bytes: int) -> tuple[bytes, bytes]:
    pipes = (process.stdout, process.stderr)
    parts: dict[object, list[bytes]] = {pipe: [] for pipe in pipes}
    count = 0
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready and time.monotonic() >= deadline:
                raise CommandTimeout
            for key, _events in ready:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                count += len(chunk)
                if count > max_bytes:
                    raise TooMuchOutput
                parts[key.fileobj].append(chunk)
    process.wait(max(0.0, deadline - time.monotonic()))
    return b"".join(parts[process.stdout]), b"".join(parts[process.stderr])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that still runs, and whatever it has started."""
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_SECONDS)
