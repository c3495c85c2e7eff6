# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Prometheus' folder with everything that a user can add to it, checked by the promtool of its own image."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import Any

import pytest
import yaml

Place = Callable[..., Any]


def test_what_a_user_adds_is_valid_and_its_secrets_lie_apart(place: Place) -> None:
    placed = place(
        "prometheus",
        prometheus_external_url="https://watch.example.com/prometheus/",
        alertmanager_external_url="https://watch.example.com/alerts",
        prometheus_external_labels={"site": "north"},
        prometheus_remote_write=[
            {"url": "https://far.example.com/write", "basic_auth": {"username": "u", "password": "sw0rdfish-far"}}
        ],
        prometheus_extra_scrape_configs=[
            {
                "job_name": "mine",
                "authorization": {"credentials": "sw0rdfish-mine"},
                "static_configs": [{"targets": ["mine:1"]}],
            }
        ],
        prometheus_extra_rules={
            "mine.yml": {"groups": [{"name": "mine", "rules": [{"record": "mine:one", "expr": "vector(1)"}]}]}
        },
        llm_monitor_announcements=[
            {"id": "a", "kind": "incident", "title": "Slow: 'why' & \"how\"", "start": "2026-12-01T08:00Z"}
        ],
        exporters_bearer_token="sw0rdfish-token",
    )
    config = yaml.safe_load(placed.text("prometheus.yml"))
    assert config["global"]["external_labels"] == {"site": "north"}
    assert config["remote_write"][0]["url"] == "https://far.example.com/write"
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs["prometheus"]["metrics_path"] == "/prometheus/metrics"
    assert jobs["alertmanager"]["metrics_path"] == "/alerts/metrics"
    assert jobs["node"]["authorization"] == {"credentials_file": "/run/secrets/exporters_bearer_token"}
    engine = jobs["vllm-engine"]
    assert engine["authorization"] == {"credentials_file": "/run/secrets/exporters_bearer_token"}
    assert engine["http_sd_configs"] == [
        {
            "url": "http://vllm-exporter:9902/api/v1/targets",
            "refresh_interval": "30s",
            "authorization": engine["authorization"],
        }
    ]
    assert engine["relabel_configs"][0]["replacement"] == "demo"
    assert config["alerting"]["alertmanagers"][0]["path_prefix"] == "/alerts/"
    assert "mine:one" in placed.text("rules/mine.yml")
    assert placed.text("rules/announcements.yml").startswith("# Written by")
    announced = yaml.safe_load(placed.text("rules/announcements.yml"))["groups"][0]["rules"]
    assert announced[0]["labels"] == {"id": "a", "kind": "incident", "title": "Slow: 'why' & \"how\""}
    written = "".join(path.read_text() for path in placed.folder.rglob("*") if path.is_file())
    assert "sw0rdfish" not in written + placed.printed
    assert sorted(path.read_text() for path in placed.secrets.iterdir()) == [
        "sw0rdfish-far",
        "sw0rdfish-mine",
        "sw0rdfish-token",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in placed.secrets.iterdir()} == {0o600}


def test_models_are_scraped_only_where_an_exporter_names_them(place: Place) -> None:
    config = yaml.safe_load(place("prometheus", exporters_enabled=["node", "vllm"]).text("prometheus.yml"))
    assert "vllm-engine" in {job["job_name"] for job in config["scrape_configs"]}
    config = yaml.safe_load(place("prometheus", exporters_enabled=["node"]).text("prometheus.yml"))
    assert "vllm-engine" not in {job["job_name"] for job in config["scrape_configs"]}


def test_grafana_is_scraped_where_it_runs_below_its_path_and_by_tls(place: Place) -> None:
    config = yaml.safe_load(
        place(
            "prometheus",
            llm_monitor_components=["prometheus", "exporters", "grafana"],
            grafana_external_url="https://watch.example.com/grafana/",
            grafana_certificate="-----BEGIN CERTIFICATE-----",
        ).text("prometheus.yml")
    )
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "grafana"]
    assert (job["scheme"], job["metrics_path"]) == ("https", "/grafana/metrics")
    assert job["static_configs"] == [{"targets": ["grafana:3000"], "labels": {"instance": "demo"}}]


def test_targets_come_from_the_inventory(place: Place) -> None:
    config = yaml.safe_load(place("prometheus").text("prometheus.yml"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs["node"]["static_configs"] == [{"targets": ["node-exporter:9100"], "labels": {"instance": "demo"}}]


def test_mocked_exporters_are_scraped_as_what_they_play(place: Place) -> None:
    config = yaml.safe_load(place("prometheus", exporters_mocked=["gpu", "vllm"]).text("prometheus.yml"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs["gpu"]["static_configs"] == [{"targets": ["mock-exporter:9445"], "labels": {"instance": "demo"}}]
    assert jobs["mock"]["static_configs"] == [{"targets": ["mock-exporter:9910"], "labels": {"instance": "demo"}}]
    (discovery,) = jobs["vllm-engine"]["http_sd_configs"]
    assert discovery["url"] == "http://mock-exporter:9902/api/v1/targets"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {
                "prometheus_extra_rules": {
                    "bad.yml": {"groups": [{"name": "g", "rules": [{"record": "a:b", "expr": "sum("}]}]}
                }
            },
            "bad.yml",
        ),
        ({"prometheus_remote_write": [{"ulr": "https://far"}]}, "ulr"),
        ({"prometheus_extra_scrape_configs": [{"job_name": "node"}]}, "node"),
    ],
    ids=["rule", "remote_write", "job"],
)
def test_what_promtool_refuses_changes_nothing(place: Place, variables: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError, match=words) as refusal:
        place("prometheus", **variables)
    assert "changed=0" in str(refusal.value)
