"""The engine's configuration as data."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._daemon_config import (
    HIDDEN,
    ConfigError,
    changed_keys,
    masked,
    merge,
    parse,
    remove,
    render,
    secrets,
)


@pytest.mark.parametrize(
    ("content", "config"),
    [
        (b"", {}),
        (b" \n", {}),
        (b"{}", {}),
        (b'\xef\xbb\xbf{"debug": true}', {"debug": True}),
        ('{"labels": ["ort=Köln"]}'.encode(), {"labels": ["ort=Köln"]}),
    ],
)
def test_a_configuration_is_read(content: bytes, config: dict[str, Any]) -> None:
    assert parse(content) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n  "debug": true,\n}', "line 3, column 1: "),
        (b'{\n  "debug": true\n  "ip": "::"\n}', "line 3, column 3: "),
        (b"debug: true", "line 1, column 1: "),
        (b'{"debug": true} {}', "line 1, column 17: Extra data"),
        (b"\n\n  []", "line 3, column 3: it holds a list instead of an object"),
        (b'"x"', "line 1, column 1: it holds a string instead of an object"),
        (b"null", "line 1, column 1: it holds null instead of an object"),
        (b"true", "line 1, column 1: it holds a boolean instead of an object"),
        (b"7", "line 1, column 1: it holds a number instead of an object"),
        (b'{"mtu": NaN}', "NaN is not JSON"),
        (b'{"a": \xff}', r"it is not UTF-8 text \(byte 6\)"),
        (b'{"dns": ["1.1.1.1"], "mtu": 1, "dns": []}', "dns comes more than once"),
        (b'{"log-opts": {"max-size": "1m", "max-size": "2m"}}', "max-size comes more than once"),
    ],
)
def test_what_is_no_configuration_says_where(content: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(content)


def test_a_rendered_configuration_reads_back_the_same() -> None:
    config = {"z": 1, "a": {"ü": [True, None]}}
    assert parse(render(config).encode()) == config
    assert render(config).startswith('{\n  "z": 1,')


@pytest.mark.parametrize(
    ("config", "settings", "merged"),
    [
        pytest.param({"debug": True}, {"mtu": 1400}, {"debug": True, "mtu": 1400}, id="a new key"),
        pytest.param({"mtu": 1500}, {"mtu": 1400}, {"mtu": 1400}, id="a new value"),
        pytest.param(
            {"log-opts": {"a": "1", "b": "2"}},
            {"log-opts": {"b": "3"}},
            {"log-opts": {"a": "1", "b": "3"}},
            id="an object",
        ),
        pytest.param(
            {"runtimes": {"nvidia": {"path": "old", "args": ["-x"]}, "kata": {"path": "k"}}},
            {"runtimes": {"nvidia": {"path": "new"}}},
            {"runtimes": {"nvidia": {"path": "new", "args": ["-x"]}, "kata": {"path": "k"}}},
            id="an object in an object",
        ),
        pytest.param({"log-opts": "x"}, {"log-opts": {"a": "1"}}, {"log-opts": {"a": "1"}}, id="an object for a text"),
        pytest.param(
            {"dns": ["2.2.2.2", "1.1.1.1"]},
            {"dns": ["1.1.1.1", "9.9.9.9"]},
            {"dns": ["2.2.2.2", "1.1.1.1", "9.9.9.9"]},
            id="a set-like list",
        ),
        pytest.param({"dns": ["2", "1"]}, {"dns": ["1"]}, {"dns": ["2", "1"]}, id="a set-like list with nothing new"),
        pytest.param(
            {"dns": ["1", "1"]}, {"dns": ["1"]}, {"dns": ["1", "1"]}, id="a set-like list that repeats itself"
        ),
        pytest.param(
            {"registry-mirrors": ["https://m/"]},
            {"registry-mirrors": ["https://m"]},
            {"registry-mirrors": ["https://m/"]},
            id="a mirror with and without a slash",
        ),
        pytest.param(
            {"labels": ["site=a", "rack=7"]},
            {"labels": ["site=b", "gpu=h200"]},
            {"labels": ["site=b", "rack=7", "gpu=h200"]},
            id="labels by name",
        ),
        pytest.param(
            {"exec-opts": ["native.cgroupdriver=cgroupfs", "native.cgroupdriver=systemd"]},
            {"exec-opts": ["native.cgroupdriver=systemd"]},
            {"exec-opts": ["native.cgroupdriver=systemd"]},
            id="an option that was there twice",
        ),
        pytest.param(
            {"default-address-pools": [{"base": "10.1.0.0/16", "size": 24}]},
            {"default-address-pools": [{"base": "10.2.0.0/16", "size": 24}]},
            {"default-address-pools": [{"base": "10.2.0.0/16", "size": 24}]},
            id="any other list",
        ),
        pytest.param(
            {"builder": {"dns": ["a"]}},
            {"builder": {"dns": ["b"]}},
            {"builder": {"dns": ["b"]}},
            id="a list of that name deeper down",
        ),
    ],
)
def test_settings_are_merged(config: Any, settings: Any, merged: Any) -> None:
    assert merge(config, settings) == merged
    assert merge(merged, settings) == merged


def test_lists_can_be_replaced_instead() -> None:
    config = {"dns": ["1.1.1.1"], "labels": ["a=b"], "debug": True}
    assert merge(config, {"dns": ["9.9.9.9"], "labels": ["c=d"]}, unite=False) == {
        "dns": ["9.9.9.9"],
        "labels": ["c=d"],
        "debug": True,
    }


@pytest.mark.parametrize("settings", [{"debug": None}, {"log-opts": {"max-size": None}}])
def test_null_is_refused_with_the_way_to_remove(settings: Any) -> None:
    with pytest.raises(ConfigError, match=r"(debug|log-opts.max-size) is null; to remove it, name it in `absent`"):
        merge({"debug": True}, settings)


REGISTRIES = ["r.example:5000", "s"]
FULL: dict[str, Any] = {"debug": True, "log-opts": {"a": "1", "b.c": "2"}, "insecure-registries": REGISTRIES}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("debug", {"log-opts": {"a": "1", "b.c": "2"}, "insecure-registries": REGISTRIES}),
        ("log-opts", {"debug": True, "insecure-registries": REGISTRIES}),
        ("log-opts.a", {**FULL, "log-opts": {"b.c": "2"}}),
        ("log-opts.b.c", {**FULL, "log-opts": {"a": "1"}}),
        ("insecure-registries.r.example:5000", {**FULL, "insecure-registries": ["s"]}),
        ("nothing", FULL),
        ("debug.deeper", FULL),
        ("log-opts.b", FULL),
        ("insecure-registries.t", FULL),
        ("log", FULL),
    ],
)
def test_what_a_dotted_path_names_is_removed(path: str, left: Any) -> None:
    assert remove(FULL, [path]) == left
    assert remove(left, [path]) == left


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ({}, {}, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"debug": True}, {"debug": 1}, ["debug"]),
        ({"dns": ["a", "b"]}, {"dns": ["b", "a"]}, ["dns"]),
        ({"x": {"a": "1", "b": "2"}}, {"x": {"a": "2", "c": "3"}}, ["x.a", "x.b", "x.c"]),
        ({"log-opts": {"a": "1"}}, {}, ["log-opts"]),
        ({"log-opts": {}}, {"log-opts": []}, ["log-opts"]),
    ],
)
def test_changed_keys_are_what_json_tells_apart(before: Any, after: Any, keys: list[str]) -> None:
    assert changed_keys(before, after) == keys


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"log-opts": {"splunk-token": "t0k"}}, {"log-opts": {"splunk-token": HIDDEN}}),
        ({"auth": {"a": "b", "c": ["d"]}}, {"auth": {"a": HIDDEN, "c": [HIDDEN]}}),
        ({"proxies": {"http-proxy": "http://u:p@h:3128"}}, {"proxies": {"http-proxy": f"http://{HIDDEN}@h:3128"}}),
        ({"proxies": {"http-proxy": "http://u:p@ss@h/x"}}, {"proxies": {"http-proxy": f"http://{HIDDEN}@h/x"}}),
        ({"proxies": {"http-proxy": "user:p@w@proxy:3128"}}, {"proxies": {"http-proxy": f"{HIDDEN}@proxy:3128"}}),
        ({"proxies": {"http-proxy": "user:pw@[::1]:3128"}}, {"proxies": {"http-proxy": f"{HIDDEN}@[::1]:3128"}}),
        ({"init-image": "init:1@sha256:0e12f4"}, {"init-image": "init:1@sha256:0e12f4"}),
        ({"registry-mirrors": ["https://u:p@m"]}, {"registry-mirrors": [f"https://{HIDDEN}@m"]}),
        ({"authorization-plugins": ["opa"], "tlskey": "/k"}, {"authorization-plugins": ["opa"], "tlskey": "/k"}),
        ({"proxies": {"http-proxy": "http://h:3128/a@b"}}, {"proxies": {"http-proxy": "http://h:3128/a@b"}}),
    ],
)
def test_secrets_are_hidden_and_nothing_else(config: Any, shown: Any) -> None:
    assert masked(config) == shown


def test_a_hidden_value_that_changes_says_so() -> None:
    before = {"log-opts": {"splunk-token": "old", "gelf-token": "same"}, "proxies": {"http-proxy": "http://u:p@h"}}
    after = {"log-opts": {"splunk-token": "new", "gelf-token": "same"}, "proxies": {"http-proxy": "http://u:q@h"}}
    assert masked(after, before) == {
        "log-opts": {"splunk-token": f"{HIDDEN} (changed)", "gelf-token": HIDDEN},
        "proxies": {"http-proxy": f"http://{HIDDEN}@h (changed)"},
    }


def test_secrets_are_found_for_the_log_filter() -> None:
    config = {
        "log-opts": {"splunk-token": "t0k", "max-file": "3", "other-token": ""},
        "proxies": {"http-proxy": "http://user:pa55@h:3128"},
        "auth": ["x"],
        "mtu": 1500,
    }
    assert secrets(config) == {"t0k", "user:pa55", "pa55", "x"}
    assert secrets({"a": "http://u:p@ss@h/", "b": "me:pw@h:1"}) == {"u:p@ss", "p@ss", "me:pw", "pw"}
