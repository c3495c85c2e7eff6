# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this host reaches an image registry, on the way that the Docker engine would take.

Facts: https://distribution.github.io/distribution/spec/api/#api-version-check,
https://docs.docker.com/reference/cli/dockerd/#insecure-registries, and …/#proxy-configuration.
Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import base64
import glob
import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

DOCKER_HUB = "docker.io"
_DOCKER_HUB_HOST = "registry-1.docker.io"
# 401 asks for a login, which is for the pull to bring.
_REACHED = (200, 401)


@dataclass(frozen=True)
class Way:
    """How the engine reaches registries: proxies by scheme (and `no`), and those that may lack a valid certificate."""

    proxies: Mapping[str, str] = field(default_factory=dict)
    insecure: Sequence[str] = ()
    certificates: str = "/etc/docker/certs.d"


def way_of_engine(info: Mapping[str, Any] | None, insecure: Sequence[str] = ()) -> Way:
    """Return the way of an engine that answered with its state, else the one that this process' environment names."""
    if info is None:
        return Way(getproxies(), insecure)
    named = {"http": info.get("HttpProxy"), "https": info.get("HttpsProxy"), "no": info.get("NoProxy")}
    config = info.get("RegistryConfig") or {}
    indexes = config.get("IndexConfigs") or {}
    marked = [name for name, index in indexes.items() if not index.get("Secure", True)]
    networks = config.get("InsecureRegistryCIDRs") or []
    return Way({scheme: proxy for scheme, proxy in named.items() if proxy}, [*insecure, *marked, *networks])


def problem(registry: str, way: Way, timeout: float) -> str | None:
    """Return why a registry, given as host[:port][/path], can't be reached; None when it can."""
    host = registry.split("/", 1)[0]
    target = _DOCKER_HUB_HOST if host in (DOCKER_HUB, "index.docker.io") else host
    insecure = _is_insecure(host, way.insecure)
    try:
        return _status_problem(_ask(target, _context(host, way, insecure), way, timeout))
    except ssl.SSLCertVerificationError as error:
        return (
            f"its certificate is not trusted here ({error.verify_message}); "
            f"put its authority's certificate at {way.certificates}/{host}/ca.crt"
        )
    except ssl.SSLError as error:
        return _without_tls(target, way, timeout, insecure, error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Without TLS it may listen on the other port only.
        return _without_tls(target, way, timeout, insecure, error) if insecure else _words(error)


def _without_tls(target: str, way: Way, timeout: float, insecure: bool, reason: Exception) -> str | None:
    """Ask a registry in plain HTTP, and say what that means where the engine would not do so."""
    try:
        answer = _status_problem(_ask(target, None, way, timeout))
    except (OSError, http.client.HTTPException, ValueError):
        return _words(reason)
    if answer is None and not insecure:
        return (
            "it speaks plain HTTP, which the engine refuses unless docker_daemon_settings names it "
            f"in insecure-registries: [{target}]"
        )
    return answer


def _ask(target: str, context: ssl.SSLContext | None, way: Way, timeout: float) -> int:
    """Return the status that a registry answers its version check with."""
    scheme = "http" if context is None else "https"
    default_port = 80 if context is None else 443
    parts = urlsplit(f"//{target}")
    if not parts.hostname:
        raise ValueError(f"{target!r} names no host")
    proxy = way.proxies.get(scheme)
    through = None if not proxy or _is_in(parts.hostname, way.proxies.get("no", "").split(",")) else _proxy(proxy)
    host, port = through[:2] if through else (parts.hostname, parts.port or default_port)
    connection: http.client.HTTPConnection
    if context is None:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    if through:
        connection.set_tunnel(parts.hostname, parts.port or default_port, through[2])
    try:
        connection.request("GET", "/v2/", headers={"User-Agent": "llm-monitor"})
        return connection.getresponse().status
    finally:
        connection.close()


def _proxy(url: str) -> tuple[str, int, dict[str, str]]:
    """Return host, port and headers of a proxy that an engine names as http://user:password@host:port."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    if not parts.hostname:
        raise ValueError("the engine's proxy setting names no host")
    headers = {}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return parts.hostname, parts.port or 80, headers


def _context(host: str, way: Way, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for path in glob.glob(os.path.join(glob.escape(way.certificates), glob.escape(host), "*.crt")):
        context.load_verify_locations(path)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_insecure(host: str, names: Sequence[str]) -> bool:
    """Tell whether an engine accepts a registry without a valid certificate; every loopback one it does."""
    bare = urlsplit(f"//{host}").hostname or ""
    return host in names or _is_in(bare, [*names, "localhost", "127.0.0.0/8", "::1/128"])


def _is_in(host: str, names: Sequence[str]) -> bool:
    """Tell whether a host is one of some names, in one of some domains (`.example.com`), or in one of some networks."""
    for name in (name.strip() for name in names):
        if name and (name in ("*", host) or host.endswith(f".{name.lstrip('.')}")):
            return True
        try:
            if "/" in name and ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            # The host is a name, or what looks like a network is a path.
            continue
    return False


def _status_problem(status: int) -> str | None:
    return None if status in _REACHED else f"it answers /v2/ with status {status}, so it is no image registry"


def _words(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "it did not answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
