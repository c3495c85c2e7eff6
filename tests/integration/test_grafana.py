# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Grafana's folder as the role places it: read by Compose, by a parser of ini files, and as YAML."""

from __future__ import annotations

import configparser
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
Place = Callable[..., Any]
UIDS = {
    "prometheus": "llm-monitor-prometheus",
    "alertmanager": "llm-monitor-alertmanager",
}


def composed(placed: Any) -> dict[str, Any]:
    """Return Grafana's service as Compose reads it."""
    command = ["docker", "compose", "--project-name=test", "--file=compose.yaml", "config", "--format=json"]
    done = subprocess.run(command, cwd=placed.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)["services"]["grafana"]
    return read


def settings_of(placed: Any) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True)
    parser.read_string(placed.text("grafana.ini"))
    return parser


def data_sources(placed: Any) -> dict[str, dict[str, Any]]:
    read = yaml.safe_load(placed.text("provisioning/datasources/llm_monitor.yml"))
    assert read["apiVersion"] == 1
    assert read["prune"] is True
    return {source["uid"]: source for source in read["datasources"]}


def ansible(*command: Any) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs in the checkout."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def grafana(place: Place, tmp_path: Path) -> Place:
    """Return a function that places Grafana, whose secrets are made below a temporary folder."""

    def run(**variables: Any) -> Any:
        return place(
            "grafana",
            **{
                "llm_monitor_image_source": "registry",
                "llm_monitor_components": ["prometheus", "alertmanager", "grafana"],
                "llm_monitor_generated_secrets": str(tmp_path / "secrets"),
                **variables,
            },
        )

    return run


def dashboards(folder: Path, **uids: str) -> str:
    """Write dashboards, path → uid, and return their folder."""
    for path, uid in uids.items():
        target = folder / path.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_suffix(".json").write_text(
            json.dumps(
                {"uid": uid, "title": uid, "panels": [{"targets": [{"legendFormat": "{{instance}} {{ now() }}"}]}]}
            )
        )
    return str(folder)


def test_the_container_has_the_least_that_it_needs(grafana: Place) -> None:
    service = composed(grafana())
    assert service["image"].startswith("docker.io/grafana/grafana:12.4.")
    assert service["user"] == "472:0"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    (port,) = service["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "23000", 3000)
    mounts = {volume["target"]: volume for volume in service["volumes"]}
    assert {target for target, volume in mounts.items() if not volume.get("read_only")} == {"/var/lib/grafana"}
    assert mounts["/var/lib/grafana"]["source"] == "grafana-data"
    assert service["healthcheck"]["test"][-1] == "http://127.0.0.1:3000/api/health"
    assert "environment" not in service


def test_secrets_are_made_once_and_lie_apart(grafana: Place, tmp_path: Path) -> None:
    placed = grafana()
    made = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == {"grafana_admin_password", "grafana_secret_key"}
    password = made["grafana_admin_password"].read_text().strip()
    assert len(password) == 32
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert (placed.secrets / "security-admin_password").read_text() == password
    assert {(stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in placed.secrets.iterdir()} == {
        (0o600, 472)
    }
    for path in made.values():
        everything = placed.printed + "".join(file.read_text() for file in placed.folder.rglob("*") if file.is_file())
        assert path.read_text().strip() not in everything
    ini = settings_of(placed)
    assert ini["security"]["admin_password"] == "$__file{/run/secrets/security-admin_password}"

    again = grafana()
    assert "changed=0" in again.printed
    assert (again.secrets / "security-admin_password").read_text() == password


def test_made_secrets_are_taken_for_no_inventory(tmp_path: Path) -> None:
    inventory, play = tmp_path / "inventory", tmp_path / "play.yml"
    inventory.mkdir()
    (inventory / "hosts.yml").write_text("monitoring_hosts: {hosts: {mon1: {ansible_connection: local}}}")
    show = {"ansible.builtin.debug": {"msg": "{{ grafana_admin_password | length }}"}}
    imported = {"ansible.builtin.import_role": {"name": "llmops.monitoring.grafana"}, "when": False}
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [imported, show]}]))
    shown = ansible("ansible-playbook", "-i", inventory, play)
    assert '"msg": 32' in shown.stdout
    assert (inventory / ".llm-monitor-secrets/mon1/grafana_admin_password").is_file()

    listed = ansible("ansible-inventory", "-i", inventory, "--list")
    assert json.loads(listed.stdout)["_meta"]["hostvars"].keys() == {"mon1"}
    assert listed.stderr == ""


def test_nothing_calls_home_and_nobody_is_let_in_unseen(grafana: Place) -> None:
    ini = settings_of(grafana())
    assert ini.getboolean("users", "allow_sign_up") is False
    assert ini.getboolean("auth.anonymous", "enabled") is False
    for name in ("reporting_enabled", "check_for_updates", "check_for_plugin_updates"):
        assert ini.getboolean("analytics", name) is False
    assert ini.getboolean("security", "disable_gravatar") is True
    assert ini.getboolean("security", "disable_brute_force_login_protection") is False
    assert ini.getboolean("security", "content_security_policy") is True
    assert ini.getboolean("news", "news_feed_enabled") is False
    assert ini.getboolean("plugins", "preinstall_disabled") is True
    assert ini.getboolean("unified_alerting", "enabled") is False
    # Without TLS a cookie that is sent over TLS only would keep everybody out.
    assert ini.getboolean("security", "cookie_secure") is False
    assert ini.getboolean("security", "strict_transport_security") is False


def test_data_sources_are_those_of_the_services_that_run(grafana: Place) -> None:
    both = data_sources(
        grafana(prometheus_external_url="https://mon.example/prom$1/", prometheus_scrape_interval="15s")
    )
    assert set(both) == set(UIDS.values())
    prometheus = both[UIDS["prometheus"]]
    # Grafana takes one of the two for the start of a variable.
    assert prometheus["url"] == "http://prometheus:9090/prom$$1/"
    assert (prometheus["isDefault"], prometheus["jsonData"]["timeInterval"]) == (True, "15s")
    assert both[UIDS["alertmanager"]]["jsonData"]["implementation"] == "prometheus"
    one = grafana(llm_monitor_components=["prometheus", "grafana"])
    assert set(data_sources(one)) == {UIDS["prometheus"]}


def test_events_are_read_with_a_password_that_lies_apart(grafana: Place) -> None:
    placed = grafana(
        llm_monitor_components=["prometheus", "loki", "event_store", "grafana"],
        event_store_reader_password="sw0rdfish-of-the-reader",
    )
    sources = data_sources(placed)
    assert sources["llm-monitor-loki"]["url"] == "http://loki:3100"
    events = sources["llm-monitor-events"]
    assert (events["type"], events["url"], events["user"]) == (
        "grafana-postgresql-datasource",
        "event_store:5432",
        "llmops_reader",
    )
    assert events["secureJsonData"] == {"password": "$__file{/run/secrets/events_password}"}
    assert (placed.secrets / "events_password").read_text() == "sw0rdfish-of-the-reader"
    assert "sw0rdfish" not in placed.printed


def test_dashboards_go_where_grafana_looks_and_leave_with_the_collection(grafana: Place, tmp_path: Path) -> None:
    source = tmp_path / "dashboards"
    written = dashboards(source, system__one="one", llm__two="two")
    placed = grafana(grafana_dashboards_source=written)
    label = composed(placed)["labels"]["llm-monitor.config-hash"]
    assert json.loads(placed.text("dashboards/system/one.json"))["uid"] == "one"
    # What looks like a template is Grafana's.
    assert "{{instance}} {{ now() }}" in placed.text("dashboards/system/one.json")
    (provider,) = yaml.safe_load(placed.text("provisioning/dashboards/llm_monitor.yml"))["providers"]
    assert provider["options"] == {"path": "/etc/grafana/dashboards", "foldersFromFilesStructure": True}
    assert (provider["disableDeletion"], provider["allowUiUpdates"]) == (False, False)

    (source / "llm/two.json").unlink()
    placed = grafana(grafana_dashboards_source=written)
    assert sorted(path.name for path in placed.folder.glob("dashboards/*/*")) == ["one.json"]
    # Grafana reads dashboards while it runs: no restart for them.
    assert composed(placed)["labels"]["llm-monitor.config-hash"] == label
    assert "changed=0" in grafana(grafana_dashboards_source=written).printed


def test_two_dashboards_of_one_uid_are_refused(grafana: Place, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="have the same uid 'one'"):
        grafana(grafana_dashboards_source=dashboards(tmp_path / "dashboards", system__one="one", llm__two="one"))


def test_settings_of_the_user_win_and_their_secrets_lie_apart(grafana: Place) -> None:
    oauth = {"enabled": True, "client_secret": "sw0rdfish; #1", "role_attribute_path": "contains(g[*], 'a') && 'Admin'"}
    placed = grafana(grafana_ini={"auth.generic_oauth": oauth, "security": {"cookie_samesite": "strict"}})
    ini = settings_of(placed)
    assert ini["auth.generic_oauth"]["client_secret"] == "$__file{/run/secrets/auth.generic_oauth-client_secret}"
    assert (placed.secrets / "auth.generic_oauth-client_secret").read_text() == "sw0rdfish; #1"
    assert ini["security"]["cookie_samesite"] == "strict"
    assert ini.getboolean("security", "content_security_policy") is True
    assert "sw0rdfish" not in placed.printed


def test_a_changed_setting_starts_grafana_anew(grafana: Place) -> None:
    def label(**variables: Any) -> str:
        found: str = composed(grafana(**variables))["labels"]["llm-monitor.config-hash"]
        return found

    seen = {
        label(),
        label(grafana_ini={"users": {"default_theme": "light"}}),
        label(grafana_admin_password="another-pa55-w0rd"),
        label(prometheus_scrape_interval="15s"),
        label(grafana_provisioning="as another version has it"),
    }
    assert len(seen) == 5


def test_tls_and_a_path_reach_the_health_check_and_the_cookies(grafana: Place) -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nsame\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nsw0rdfish\n-----END PRIVATE KEY-----\n"
    placed = grafana(
        grafana_external_url="https://mon.example.com/grafana/",
        grafana_certificate=certificate,
        grafana_certificate_key=key,
    )
    ini = settings_of(placed)
    assert (ini["server"]["protocol"], ini["server"]["domain"]) == ("https", "mon.example.com")
    assert ini.getboolean("server", "serve_from_sub_path") is True
    assert ini.getboolean("security", "cookie_secure") is True
    assert composed(placed)["healthcheck"]["test"][-1] == "https://127.0.0.1:3000/grafana/api/health"
    assert (placed.secrets / "certificate_key").read_text() == key
    assert stat.S_IMODE((placed.secrets / "certificate_key").stat().st_mode) == 0o600
    assert "sw0rdfish" not in placed.printed
