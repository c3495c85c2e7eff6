# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Grafana's settings as text: read back as gopkg.in/ini.v1 reads them, with no secret in them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmops.monitoring.plugins.filter.grafana_config import grafana_config
from ansible_collections.llmops.monitoring.plugins.plugin_utils import _grafana_ini, _grafana_rules
from hypothesis import given
from hypothesis import strategies as st


def read_back(text: str) -> dict[str, dict[str, str]]:
    """Read settings as ini.v1 does: triple quotes or backticks hold anything, else `#` and `;` end a value."""
    found: dict[str, dict[str, str]] = {}
    for line in filter(None, text.split("\n")):
        if line.startswith("["):
            section = found.setdefault(line[1:-1], {})
            continue
        name, _mark, value = line.partition("=")
        value = value.strip(" ")
        for quote in ('"""', "`"):
            if value.startswith(quote):
                value = value[len(quote) : value.rindex(quote)]
                break
        else:
            assert not set("#;") & set(value)
        section[name.strip()] = value
    return found


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (True, "a = true"),
        (False, "a = false"),
        (7, "a = 7"),
        (0.5, "a = 0.5"),
        (None, "a ="),
        ("", "a ="),
        ("Editor, Viewer", "a = Editor, Viewer"),
        ("https://id.example/auth", "a = https://id.example/auth"),
        ("a;b", 'a = """a;b"""'),
        ("contains(g[*], 'x') && 'Admin'", 'a = """contains(g[*], \'x\') && \'Admin\'"""'),
        ('say "hi"', 'a = `say "hi"`'),
        ("$__env{HOSTNAME}", "a = $__env{HOSTNAME}"),
    ],
)
def test_values_are_written_as_grafana_reads_them(value: Any, line: str) -> None:
    text, files = _grafana_ini.rendered({"s": {"a": value}}, "/run/secrets")
    assert text == f"[s]\n{line}"
    assert files == {}


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="`\u2028\u2029\x85"), min_size=1))
def test_any_line_of_text_comes_back_as_it_was(value: str) -> None:
    text, files = _grafana_ini.rendered({"s": {"title": value}}, "/run/secrets")
    if not files:
        assert read_back(text)["s"]["title"].strip() == value.strip()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_secret", "abc"),
        ("password", 12345678),
        ("admin_password", "abc"),
        ("secret_key", "abc"),
        ("access_key", "abc"),
        ("bind_password", "abc"),
        ("apikey", "abc"),
        ("token", "a#b;c"),
        # What base64 begins with may look like a path.
        ("client_secret", "/6Zx0Ysw0rdfish+k="),
        ("url", "postgres://grafana:abc@db/grafana"),
        ("connstr", "addr=redis:6379,password=abc"),
    ],
)
def test_secrets_go_to_files(name: str, value: Any) -> None:
    config = grafana_config({"auth.ldap": {name: value}})
    assert config["text"] == f"[auth.ldap]\n{name} = $__file{{/run/secrets/auth.ldap-{name}}}"
    assert config["files"] == {f"auth.ldap-{name}": str(value)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("use_refresh_token", True),
        ("tls_client_key", "/etc/grafana/key.pem"),
        ("client_secret", "$__file{/run/secrets/own}"),
        ("client_secret", ""),
        ("token_url", "https://id.example/token"),
        ("token_rotation_interval_minutes", 10),
        ("auto_assign_org_role", "Viewer"),
    ],
)
def test_what_is_no_secret_stays(name: str, value: Any) -> None:
    assert grafana_config({"auth": {name: value}})["files"] == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth": ["enabled"]}, "auth: must be a mapping"),
        ({"auth]\n[x": {}}, "must be the name of a section"),
        ({"auth": {"a\nb": 1}}, "must be a setting's name"),
        ({"auth": {"a": ["x"]}}, "auth.a: must be text, a number, true or false"),
        ({"auth": {"a": "x\n[security]\nadmin_user = me"}}, "auth.a: must be one line"),
        ({"auth": {"a": '`"""'}}, "which Grafana can't read together"),
    ],
)
def test_what_cannot_be_written_down_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match="These are no settings of Grafana"):
        grafana_config(settings)
    (problem,) = _grafana_ini.problems(settings)
    assert words in problem
    assert "admin_user" not in problem


@pytest.mark.parametrize(
    ("section", "name", "value", "words"),
    [
        ("security", "admin_password", "abc", "set grafana_admin_password"),
        ("server", "http_port", 3000, "set grafana_port"),
        ("server", "root_url", "http://x/", "set grafana_external_url"),
        ("paths", "data", "/data", "the container's folders are fixed"),
        ("auth.basic", "enabled", False, "rollouts and verify.yml log in by it"),
        ("auth.basic", "enabled", "no", "rollouts and verify.yml log in by it"),
    ],
)
def test_what_has_a_variable_of_its_own_is_refused(section: str, name: str, value: Any, words: str) -> None:
    (problem,) = _grafana_ini.problems({section: {name: value}})
    assert problem.startswith(f"grafana_ini.{section}.{name} ")
    assert words in problem
    assert "abc" not in problem


# ------------------------------------------------------------ between settings

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nsw0rdfish\n-----END PRIVATE KEY-----\n"
USUAL = {
    "grafana_listen_address": "127.0.0.1",
    "grafana_external_url": "http://127.0.0.1:23000/",
    "grafana_certificate": "",
    "grafana_certificate_key": "",
    "grafana_admin_password": "0123456789abcdef",
    "grafana_secret_key": "0123456789abcdef",
}
TLS = {
    "grafana_certificate": CERTIFICATE,
    "grafana_certificate_key": KEY,
    "grafana_external_url": "https://mon.example/",
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        TLS,
        {**TLS, "grafana_listen_address": "0.0.0.0"},
        {"grafana_listen_address": "::", "grafana_external_url": "https://behind-a-proxy.example/"},
        {"grafana_service_accounts": [{"name": "a", "token_file": "/a"}, {"name": "b"}]},
    ],
)
def test_what_fits_together_passes(settings: dict[str, Any]) -> None:
    assert _grafana_rules.problems({**USUAL, **settings}, ["grafana"]) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"grafana_admin_password": ""}, "grafana_admin_password is empty: set one of 16 characters"),
        ({**TLS, "grafana_certificate_key": ""}, "grafana_certificate_key is empty: TLS needs"),
        ({**TLS, "grafana_certificate": "mon.pem"}, "must be PEM text with -----BEGIN CERTIFICATE-----"),
        ({**TLS, "grafana_external_url": "http://mon.example/"}, "must begin with https://"),
        ({"grafana_listen_address": "10.0.0.5"}, "passwords could be read on their way"),
        ({"grafana_service_accounts": [{"name": "a"}, {"name": "a"}]}, "has the name 'a' more than once"),
        ({"grafana_service_accounts": [{"name": "a", "token_file": "a.txt"}]}, "must be an absolute path"),
    ],
)
def test_what_does_not_fit_together_is_told(settings: dict[str, Any], words: str) -> None:
    (problem,) = _grafana_rules.problems({**USUAL, **settings}, ["grafana"])
    assert words in problem
    assert "sw0rdfish" not in problem
    assert _grafana_rules.problems({**USUAL, **settings}, ["prometheus"]) == []
