# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What services say of their last reload, in their own metrics.

Prometheus (cmd/prometheus/main.go, reloadConfig) and Alertmanager (config/coordinator.go, Reload) set
<service>_config_last_reload_successful to 1 or 0 at the end of each reload, and after a successful one
<service>_config_last_reload_success_timestamp_seconds to the clock's nanoseconds. Alloy does the same with
alloy_config_last_load_successful and alloy_config_last_load_success_timestamp_seconds.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible.module_utils.urls import open_url

REQUEST_TIMEOUT = 5.0
INTERVAL = 0.2
# What the families of a service start with that does not name them as the others do.
_OTHER_NAMES = {"alloy": "alloy_config_last_load"}


class NotYet(Exception):
    """A service has not told that it took its configuration; waiting may help."""


class Refused(Exception):
    """A service did not take its configuration; waiting won't help."""


@dataclass(frozen=True)
class Reload:
    """Whether the last reload was taken, and the Unix time of the last one that was, in seconds."""

    successful: bool
    success_time: float


def last_reload(service: str, url: str) -> Reload:
    """Return how a service's last reload went, from the metrics at an address; NotYet when it can't be read."""
    try:
        with open_url(
            url, use_proxy=False, timeout=REQUEST_TIMEOUT, follow_redirects="none", use_netrc=False
        ) as response:
            text = response.read().decode("utf-8", errors="replace")
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise NotYet(f"{url} can't be read: {_reason(error)}") from error
    successful, success_time = (
        _value(f"{families_of(service)}_{what}", text, url) for what in ("successful", "success_timestamp_seconds")
    )
    return Reload(successful == 1, success_time)


def families_of(service: str) -> str:
    """Return what the names of the metrics start with by which a service tells of its last reload."""
    return _OTHER_NAMES.get(service, f"{service}_config_last_reload")


class Reloads:
    """Looks at services' metrics before and after they are told to reload, until all have answered or time is up."""

    def __init__(self, urls: Mapping[str, str], timeout: float) -> None:
        self.urls = urls
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._before: dict[str, Reload] = {}

    def remember(self) -> list[str]:
        """Keep how each service's last reload went; return why some don't tell."""
        return self._ask(self._before.__setitem__)

    def problems(self) -> list[str]:
        """Wait until every service has reloaded since `remember`; return why some did not."""
        return self._ask(self._judge)

    def _judge(self, service: str, now: Reload) -> None:
        before = self._before[service]
        # Another time, not a later one: the clock may have been set back.
        anew = now.success_time != before.success_time
        if anew and now.successful:
            return
        # One that had failed before may not have begun yet, or have failed again. One that started anew has not read
        # anything yet.
        if before.successful and not now.successful and not anew:
            raise Refused(f"{service} refused it: {families_of(service)}_successful is 0 ({self.urls[service]}).")
        raise NotYet(
            f"{self.urls[service]} shows no successful reload since then, and "
            f"{families_of(service)}_successful {now.successful:d}"
        )

    def _ask(self, judge: Callable[[str, Reload], None]) -> list[str]:
        """Look at each service until the judge is content with it, refuses it, or time is up; return what is wrong."""
        pending = dict(self.urls)
        problems = []
        while True:
            late = time.monotonic() >= self._deadline
            for service, url in list(pending.items()):
                try:
                    judge(service, last_reload(service, url))
                except NotYet as error:
                    if not late:
                        continue
                    problems.append(f"{service} did not tell within {self._timeout:g} s that it took it: {error}.")
                except Refused as error:
                    problems.append(str(error))
                del pending[service]
            if not pending:
                return problems
            time.sleep(INTERVAL)


def _value(family: str, text: str, url: str) -> float:
    match = re.search(rf"^{re.escape(family)}(?:{{.*}})? (\S+)", text, re.MULTILINE)
    try:
        return float(match.group(1) if match else "")
    except ValueError as error:
        raise NotYet(f"{url} has no {family}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"status {error.code}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
