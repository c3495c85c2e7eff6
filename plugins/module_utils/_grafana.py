# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small client of Grafana's HTTP API, and what an operator can do when Grafana refuses.

Facts: https://grafana.com/docs/grafana/latest/developers/http_api/ (12 and 13).

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.llmops.monitoring.plugins.module_utils._unreachable import unreachable

# What a module of ours asks for is a few megabytes at most: a panel's series, a list of dashboards.
LARGEST_ANSWER = 64 * 1024 * 1024
_SHOWN = 300

# The options by which modules reach a Grafana.
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "url": {"type": "str", "required": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "api_token": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "use_proxy": {"type": "bool", "default": False},
}
RULES: Mapping[str, Any] = {
    "required_together": [("username", "password")],
    "required_one_of": [("username", "api_token")],
    "mutually_exclusive": [("username", "api_token")],
}


class GrafanaError(Exception):
    """Grafana could not be asked, or refused; the text says what an operator can do.

    `status` is HTTP's, or None when there was no answer; `body` is the JSON that came with a refusal. Waiting may help,
    unless `final` is true.
    """

    final = False

    def __init__(self, message: str, status: int | None = None, body: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class FinalError(GrafanaError):
    """An error that waiting won't mend: credentials, rights, a certificate, an address that is none."""

    final = True


class _TooLong(Exception):
    """An answer has more bytes than are read."""


class GrafanaClient:
    """Asks one Grafana; every call may raise GrafanaError."""

    def __init__(self, params: Mapping[str, Any], timeout: float) -> None:
        parts = urlsplit(params["url"])
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
            raise FinalError(f"{params['url']} is no address of a Grafana; give one such as http://127.0.0.1:3000.")
        if "@" in parts.netloc:
            raise FinalError("The url carries credentials; give them as username and password, where they stay hidden.")
        self.url = params["url"].rstrip("/")
        self._headers = {"Accept": "application/json"}
        self._options: dict[str, Any] = {name: params[name] for name in ("validate_certs", "ca_path", "use_proxy")}
        self._options.update(timeout=timeout, follow_redirects="none", use_netrc=False)
        if params.get("api_token"):
            self._headers["Authorization"] = f"Bearer {params['api_token']}"
        else:
            self._options.update(
                url_username=params["username"], url_password=params["password"], force_basic_auth=True
            )

    def get(self, *path: str | int, **query: Any) -> Any:
        """Return what Grafana has at a path below /api, whose parts are quoted."""
        return self.ask("GET", path, query=query)

    def ask(
        self,
        method: str,
        path: tuple[str | int, ...],
        body: Any = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the JSON that Grafana answers with."""
        address = "/".join([self.url, "api", *(quote(str(part), safe="") for part in path)])
        full = f"{address}?{urlencode(query, doseq=True)}" if query else address
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        try:
            with open_url(full, method=method, data=data, headers=headers, **self._options) as response:
                content = _whole(response)
        except urllib.error.HTTPError as error:
            raise self._refusal(address, error) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise self._unreachable(error) from error
        except _TooLong as error:
            raise GrafanaError(
                f"{address} answers with more than {LARGEST_ANSWER >> 20} MiB, which is not read."
            ) from error
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise GrafanaError(
                f"What answers at {address} is no Grafana: it gives other than JSON. Correct the url; behind a reverse "
                "proxy it ends with the path at which Grafana is served."
            ) from error

    def _refusal(self, address: str, error: urllib.error.HTTPError) -> GrafanaError:
        with error:
            content, location = _content_of(error), error.headers.get("Location")
        status, body = error.code, _json_or_none(content)
        reason = _reason(body, content)
        if status == 401:
            return FinalError(
                f"Grafana at {self.url} refuses these credentials (status 401: {reason}). Check username and password, "
                "or the token; after several refusals Grafana refuses the right password too, for five minutes.",
                status,
                body,
            )
        if status == 403:
            return FinalError(
                f"{address} is refused to this user (status 403: {reason}). Take an account with more rights.",
                status,
                body,
            )
        if location and 300 <= status < 400:
            return FinalError(
                f"{address} sends on to {location}, which is not followed, so that no credentials go there. Give the "
                "address of Grafana itself; where grafana.ini has root_url with a path, the url ends with it.",
                status,
            )
        return GrafanaError(f"Grafana at {address} fails (status {status}): {reason}.", status, body)

    def _unreachable(self, error: Exception) -> GrafanaError:
        words, final = unreachable("Grafana", self.url, error)
        return FinalError(words) if final else GrafanaError(words)


def _has_port(parts: SplitResult) -> bool:
    """Tell whether an address has a port that can be one, or none."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _whole(response: Any) -> bytes:
    """Return all of an answer; _TooLong for one that is too long, IncompleteRead for one that ends early."""
    content: bytes = response.read(LARGEST_ANSWER + 1)
    if len(content) > LARGEST_ANSWER:
        raise _TooLong
    # Told how much to read, it does not tell by itself that there was less than announced.
    if getattr(response, "length", None):
        raise http.client.IncompleteRead(content)
    return content


def _content_of(error: urllib.error.HTTPError) -> bytes:
    """Return what came with a refusal; a body that ends early still says something."""
    try:
        return error.read(LARGEST_ANSWER)
    except http.client.IncompleteRead as cut:
        return cut.partial
    except (http.client.HTTPException, OSError):
        return b""


def _json_or_none(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _reason(body: Any, content: bytes) -> str:
    message = body.get("message") if isinstance(body, dict) else None
    text = str(message) if message else content.decode("utf-8", errors="replace").strip()
    return text[:_SHOWN].rstrip(".") or "no reason given"
