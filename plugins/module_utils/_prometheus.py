# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small client of Prometheus' HTTP API: targets, rules and instant queries.

Facts: https://prometheus.io/docs/prometheus/latest/querying/api/ (2.42 to 3.x).

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.llmops.monitoring.plugins.module_utils._unreachable import unreachable

_T = TypeVar("_T")


class PrometheusError(Exception):
    """Prometheus could not be asked, or refused; the text says what an operator can do.

    Waiting may help against it, unless `final` is true.
    """

    final = False


class FinalError(PrometheusError):
    """An error that waiting won't mend: credentials, a certificate, an address that is none, a malformed query."""

    final = True


@dataclass(frozen=True)
class Target:
    """An active target; `health` is `up`, `down`, or `unknown` before the first scrape."""

    job: str
    instance: str
    health: str
    last_error: str
    scrape_url: str

    def __str__(self) -> str:
        return f"job={self.job} instance={self.instance}"


@dataclass(frozen=True)
class Rule:
    """A loaded alerting or recording rule; `health` is `ok`, `err`, or `unknown` before the first evaluation."""

    name: str
    group: str
    file: str
    type: str
    health: str
    last_error: str


@dataclass(frozen=True)
class Sample:
    """One series of an instant query's result; the value is Prometheus' text, such as `1`, `NaN` or `+Inf`."""

    labels: Mapping[str, str]
    value: str

    def __str__(self) -> str:
        labels = dict(self.labels)
        name = labels.pop("__name__", "")
        inner = ", ".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        return f"{name}{{{inner}}} = {self.value}" if inner or name else self.value


@dataclass(frozen=True)
class Access:
    """How to reach a Prometheus; `options` are those of ansible.module_utils.urls.open_url."""

    url: str
    bearer_token: str | None
    options: Mapping[str, Any]


class PrometheusClient:
    """Asks one Prometheus; every call may raise PrometheusError."""

    def __init__(self, access: Access, timeout: float) -> None:
        parts = urlsplit(access.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FinalError(f"{access.url} is no address of a Prometheus; give one such as http://127.0.0.1:9090.")
        if "@" in parts.netloc:
            raise FinalError("The url carries credentials; give them as username and password, where they stay hidden.")
        self.url = access.url.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if access.bearer_token:
            self._headers["Authorization"] = f"Bearer {access.bearer_token}"
        self._options = {**access.options, "timeout": timeout, "follow_redirects": "none", "use_netrc": False}

    def targets(self) -> list[Target]:
        """Return the active targets."""
        return self._get("targets", {"state": "active"}, _targets)

    def rules(self) -> list[Rule]:
        """Return the loaded rules of every group."""
        return self._get("rules", {}, _rules)

    def query(self, expression: str) -> list[Sample]:
        """Return what an expression gives now; a scalar is one series without labels.

        Raises FinalError when the expression is malformed or gives no instant vector.
        """
        return self._get("query", {"query": expression}, _samples)

    def _get(self, name: str, query: Mapping[str, str], read: Callable[[Any], list[_T]]) -> list[_T]:
        address = f"{self.url}/api/v1/{name}"
        try:
            with open_url(f"{address}?{urlencode(query)}", headers=self._headers, **self._options) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read(), error.headers.get("Location")) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise self._unreachable(error) from error
        try:
            return read(json.loads(content)["data"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise PrometheusError(
                f"What answers at {address} is no Prometheus: it gives other than Prometheus' JSON. "
                "Correct the url; behind a reverse proxy it ends with the path at which Prometheus is served."
            ) from error

    def _refusal(self, status: int, content: bytes, location: str | None) -> PrometheusError:
        if status in (401, 403):
            return FinalError(
                f"Prometheus at {self.url} refuses these credentials (status {status}). "
                "Check username and password, or the bearer token."
            )
        if location and 300 <= status < 400:
            return FinalError(
                f"{self.url} sends on to {location}, which is not followed, so that no credentials go there. "
                "Give the address of Prometheus itself."
            )
        reason = _reason(content)
        if status == 400:
            return FinalError(f"Prometheus at {self.url} refuses the request: {reason}.")
        if status == 404:
            return PrometheusError(
                f"{self.url} has no Prometheus API (status 404). Correct the url; behind a reverse proxy it ends with "
                "the path at which Prometheus is served."
            )
        if status == 503:
            return PrometheusError(
                f"Prometheus at {self.url} is not ready yet ({reason}); it may be replaying its log."
            )
        return PrometheusError(f"Prometheus at {self.url} fails (status {status}): {reason}.")

    def _unreachable(self, error: Exception) -> PrometheusError:
        words, final = unreachable("Prometheus", self.url, error)
        return FinalError(words) if final else PrometheusError(words)


def _targets(data: Any) -> list[Target]:
    return [
        Target(
            job=target["labels"].get("job", ""),
            instance=target["labels"].get("instance", ""),
            health=target["health"],
            last_error=target.get("lastError", ""),
            scrape_url=target.get("scrapeUrl", ""),
        )
        for target in data["activeTargets"]
    ]


def _rules(data: Any) -> list[Rule]:
    return [
        Rule(
            name=rule["name"],
            group=group["name"],
            file=group.get("file", ""),
            type=rule["type"],
            health=rule["health"],
            last_error=rule.get("lastError", ""),
        )
        for group in data["groups"]
        for rule in group["rules"]
    ]


def _samples(data: Any) -> list[Sample]:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return [Sample({}, str(result[1]))]
    if kind != "vector":
        raise FinalError(f"The expression gives a {kind}, but an assertion needs an instant vector or a scalar.")
    return [Sample(series["metric"], str(series["value"][1])) for series in result if "value" in series]


def _reason(content: bytes) -> str:
    text = content.decode("utf-8", errors="replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:200] or "no reason given"
