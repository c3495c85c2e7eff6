# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dockerd makes of its daemon.json: which settings there are, which a reload takes up, which flags clash.

Sources: moby's daemon/config/config.go, daemon/reload.go, daemon/reload_unix.go and cmd/dockerd/daemon.go from
20.10 to 29, and https://docs.docker.com/reference/cli/dockerd/#configuration-reload-behavior ; that a reload ignores
a key that has gone, but takes up an empty list, was measured on 20.10.24.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_BOOLEANS = """
    allow-direct-routing cri-containerd debug experimental icc init ip-forward ip-forward-no-drop ip-masq ip6tables
    iptables ipv6 live-restore no-new-privileges raw-logs rootless selinux-enabled tls tlsverify userland-proxy
"""
_NUMBERS = """
    cpu-rt-period cpu-rt-runtime max-concurrent-downloads max-concurrent-uploads max-download-attempts mtu
    network-control-plane-mtu network-diagnostic-port oom-score-adjust shutdown-timeout swarm-raft-election-tick
    swarm-raft-heartbeat-tick
"""
_TEXTS = """
    api-cors-header bip bip6 bridge bridge-accept-fwmark cgroup-parent cluster-advertise cluster-store containerd
    containerd-namespace containerd-plugin-namespace data-root default-cgroupns-mode default-gateway
    default-gateway-v6 default-ipc-mode default-runtime deprecated-key-path exec-root firewall-backend fixed-cidr
    fixed-cidr-v6 group host-gateway-ip init-path ip log-driver log-format log-level metrics-addr pidfile
    seccomp-profile storage-driver swarm-default-advertise-addr tlscacert tlscert tlskey userland-proxy-path
    userns-remap
"""
_LISTS = """
    allow-nondistributable-artifacts authorization-plugins cdi-spec-dirs dns dns-opts dns-search exec-opts
    host-gateway-ips hosts insecure-registries labels node-generic-resources registry-mirrors storage-opts
"""
_OBJECTS = "builder default-network-opts default-ulimits runtimes"

KINDS: dict[str, str] = {
    **dict.fromkeys(_BOOLEANS.split(), "true or false"),
    **dict.fromkeys(_NUMBERS.split(), "a whole number"),
    **dict.fromkeys(_TEXTS.split(), "a string"),
    **dict.fromkeys(_LISTS.split(), "a list of strings"),
    **dict.fromkeys(_OBJECTS.split(), "an object"),
    "cluster-store-opts": "an object of strings",
    "default-address-pools": "a list of objects",
    "default-shm-size": "a string or a whole number",
    "features": "an object of true or false",
    "log-opts": "an object of strings",
    "proxies": "an object of strings",
}

# The flag of a key that is not called like the key.
_FLAGS = {
    "authorization-plugins": "authorization-plugin",
    "cdi-spec-dirs": "cdi-spec-dir",
    "cluster-store-opts": "cluster-store-opt",
    "containerd-plugin-namespace": "containerd-plugins-namespace",
    "default-address-pools": "default-address-pool",
    "default-network-opts": "default-network-opt",
    "default-ulimits": "default-ulimit",
    "dns-opts": "dns-opt",
    "exec-opts": "exec-opt",
    "host-gateway-ips": "host-gateway-ip",
    "hosts": "host",
    "insecure-registries": "insecure-registry",
    "labels": "label",
    "log-opts": "log-opt",
    "node-generic-resources": "node-generic-resource",
    "proxies": "http-proxy",
    "registry-mirrors": "registry-mirror",
    "runtimes": "add-runtime",
    "storage-opts": "storage-opt",
}
_SHORT_FLAGS = {
    "b": "bridge",
    "D": "debug",
    "G": "group",
    "H": "host",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
}
# dockerd --help doesn't show a flag for these, though the engine knows them.
_NOT_IN_HELP = frozenset(
    {
        "builder",
        "cluster-advertise",
        "cluster-store",
        "cluster-store-opts",
        "deprecated-key-path",
        "features",
        "network-diagnostic-port",
        "swarm-raft-election-tick",
        "swarm-raft-heartbeat-tick",
    }
)
# dockerd takes these from the flag and the file together.
_NEVER_CLASH = frozenset({"builder", "features", "runtimes"})

# A reload takes up a new value of these, but goes on with the old one when the key has gone.
_RELOADED_WHEN_SET = frozenset(
    {
        "allow-nondistributable-artifacts",
        "debug",
        "default-cgroupns-mode",
        "default-ipc-mode",
        "default-runtime",
        "default-shm-size",
        "insecure-registries",
        "labels",
        "live-restore",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)
# A reload puts these back to their default when the key has gone.
_RELOADED_ALWAYS = frozenset(
    {
        "authorization-plugins",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "network-diagnostic-port",
    }
)
# Every feature is reloaded, but the others (containerd-snapshotter, cdi, …) are only looked at when the engine starts.
_LIVE_FEATURES = frozenset({"features.buildkit"})


def needing_restart(changed: Iterable[str], after: Mapping[str, Any]) -> list[str]:
    """Return those of the changed dotted keys that a running engine takes up only when it is restarted."""
    return [path for path in changed if not _reloads(path, after)]


def _reloads(path: str, after: Mapping[str, Any]) -> bool:
    key = path.split(".", 1)[0]
    return key in _RELOADED_ALWAYS or (key in _RELOADED_WHEN_SET and key in after) or path in _LIVE_FEATURES


def structure_errors(config: Mapping[str, Any], keys: Iterable[str], dockerd_help: str | None) -> list[str]:
    """Return what dockerd would refuse among the named top-level keys, one sentence each.

    `dockerd_help` is the output of `dockerd --help`, which tells the settings that this engine knows;
    without it, those of all engines from 20.10 to 29 are taken as known.
    """
    errors = []
    for key in sorted(set(keys) & set(config)):
        if not _known(key, dockerd_help):
            which = "no engine from 20.10 to 29 knows" if dockerd_help is None else "this host's dockerd does not know"
            errors.append(f"{key} is a setting that {which}, and an unknown one keeps the engine from starting")
        elif key in KINDS:
            errors.extend(_kind_errors(key, config[key], KINDS[key]))
    return errors


def _known(key: str, dockerd_help: str | None) -> bool:
    if dockerd_help is None or key in _NOT_IN_HELP:
        return key in KINDS
    return re.search(rf"--{re.escape(_FLAGS.get(key, key))}\s", dockerd_help) is not None


def _kind_errors(path: str, value: Any, kind: str) -> list[str]:
    if kind.startswith("an object of ") and isinstance(value, Mapping):
        inner = "a string" if kind.endswith("strings") else "true or false"
        return [error for name, entry in value.items() for error in _kind_errors(f"{path}.{name}", entry, inner)]
    number = isinstance(value, int) and not isinstance(value, bool)
    fits = {
        "true or false": isinstance(value, bool),
        "a whole number": number,
        "a string": isinstance(value, str),
        "a string or a whole number": isinstance(value, str) or number,
        "a list of strings": isinstance(value, list) and all(isinstance(entry, str) for entry in value),
        "a list of objects": isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value),
        "an object": isinstance(value, Mapping),
    }
    return [] if fits.get(kind, False) else [f"{path} must be {kind}, but is {json.dumps(value)}"]


def clashing_flags(keys: Iterable[str], arguments: Sequence[str]) -> list[str]:
    """Return those of the top-level keys that dockerd was given as flags too, with which it refuses to start."""
    given = set()
    for argument in arguments:
        if argument.startswith("--"):
            given.add(argument[2:].split("=", 1)[0])
        elif argument.startswith("-") and len(argument) > 1:
            given.add(_SHORT_FLAGS.get(argument[1], ""))
    return sorted(key for key in set(keys) - _NEVER_CLASH if _FLAGS.get(key, key) in given)


def running_arguments(pidfile: str, proc: str = "/proc") -> list[str]:
    """Return the arguments of the dockerd whose process id is in `pidfile`; none when it does not run."""
    try:
        pid = int(Path(pidfile).read_text(encoding="ascii"))
        command = Path(proc, str(pid), "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except (OSError, ValueError):
        return []
    words = [os.fsdecode(word) for word in command]
    return words[1:] if os.path.basename(words[0]) == "dockerd" else []
