"""What goes wrong in a rollout never takes down what ran before it."""

from __future__ import annotations

from ansible_collections.llmops.monitoring.molecule.shared.rollout import (
    ALERTMANAGER,
    PROMETHEUS,
    Box,
    Rollout,
    eventually,
)

BROKEN_RULES = {"broken.yml": {"groups": [{"name": "broken", "rules": [{"alert": "Broken", "expr": "sum(up"}]}]}}


# Both checkers accept it, since they don't look whether a certificate authority's file is there. Prometheus and
# Alertmanager open it when they take their configuration, and refuse that.
NO_CA = {"tls_config": {"ca_file": "/run/secrets/missing.pem"}}


def group_wait(box: Box) -> str:
    """Return what the running Alertmanager waits."""
    config: str = box.fetch(f"{ALERTMANAGER}/api/v2/status").json()["config"]["original"]
    return next(line.split()[1] for line in config.splitlines() if line.strip().startswith("group_wait: 3"))


def test_rule_that_promtool_refuses_replaces_nothing(box: Box, roll_out: Rollout) -> None:
    before = box.started()
    config = box.fetch(f"{PROMETHEUS}/api/v1/status/config").body
    files = box.run("find /opt/llm-monitor/prometheus -type f -exec sha256sum {} +")
    # Alertmanager's folder comes first, so this also is a play that ends between a folder and its service.
    said = roll_out.fails("site.yml", prometheus_extra_rules=BROKEN_RULES, alertmanager_group_wait="32s")
    assert "broken.yml" in said
    assert "unclosed left parenthesis" in said  # promtool's own words
    assert box.started() == before
    assert box.fetch(f"{PROMETHEUS}/api/v1/status/config").body == config
    assert box.run("find /opt/llm-monitor/prometheus -type f -exec sha256sum {} +") == files
    assert not box.os.file("/opt/llm-monitor/.staging/prometheus").exists


def test_exporter_setting_that_does_not_exist_replaces_nothing(box: Box, roll_out: Rollout) -> None:
    before = box.started()
    said = roll_out.fails("site.yml", exporters_settings={"node": {"per_cpuu": True}})
    assert "no such setting; did you mean per_cpu?" in said  # the exporter's own words
    assert box.started() == before
    assert "per_cpuu" not in box.os.file("/opt/llm-monitor/exporters/settings.yaml").content_string


def test_interrupted_play_is_made_good_by_the_next(box: Box, roll_out: Rollout) -> None:
    assert "group_wait: 32s" in box.os.file("/opt/llm-monitor/alertmanager/alertmanager.yml").content_string
    assert group_wait(box) == "30s"
    before = box.started()
    roll_out.succeeds("site.yml", alertmanager_group_wait="32s")
    assert group_wait(box) == "32s"
    assert box.started()["alertmanager"] == before["alertmanager"]


def test_service_that_does_not_get_ready_is_rolled_back(box: Box, roll_out: Rollout) -> None:
    held = box.value("min_over_time(timestamp(up{job='prometheus'})[1h:5s])")
    compose = box.os.file("/opt/llm-monitor/prometheus/compose.yaml").content_string
    limit = box.containers()["prometheus"]["HostConfig"]["Memory"]
    # The engine takes so little memory, and the checker never runs in it.
    said = roll_out.fails(
        "site.yml", prometheus_memory="8m", alertmanager_group_wait="33s", llm_monitor_ready_timeout=15
    )
    assert "Taken back: alertmanager, prometheus" in said
    assert "\x1b" not in said.replace("\\u001b", "\x1b")
    assert box.os.file("/opt/llm-monitor/prometheus/compose.yaml").content_string == compose
    assert box.containers()["prometheus"]["HostConfig"]["Memory"] == limit
    # Its check comes once in ten seconds.
    assert eventually(lambda: box.containers()["prometheus"]["State"]["Health"]["Status"] == "healthy", seconds=60)
    assert group_wait(box) == "32s"
    assert box.value("min_over_time(timestamp(up{job='prometheus'})[1h:5s])") == held


def test_configuration_that_only_the_services_refuse_is_rolled_back(box: Box, roll_out: Rollout) -> None:
    before = box.started()
    config = box.fetch(f"{PROMETHEUS}/api/v1/status/config").body
    files = box.run("find /opt/llm-monitor/prometheus /opt/llm-monitor/alertmanager -type f -exec sha256sum {} +")
    said = roll_out.fails(
        "site.yml",
        prometheus_remote_write=[{"url": "https://127.0.0.1:1/", **NO_CA}],
        prometheus_scrape_interval="7s",
        alertmanager_receivers=[
            {"name": "hook", "webhook_configs": [{"url": "https://127.0.0.1:1/", "http_config": NO_CA}]}
        ],
        alertmanager_group_wait="34s",
    )
    assert "prometheus refused it: prometheus_config_last_reload_successful is 0" in said
    assert "alertmanager refused it: alertmanager_config_last_reload_successful is 0" in said
    assert "Taken back: alertmanager, prometheus" in said
    assert "missing.pem: no such file" in said  # the services' own words
    # Each had taken a part of it, and has read again what worked.
    for service, address in {"prometheus": PROMETHEUS, "alertmanager": ALERTMANAGER}.items():
        assert f"\n{service}_config_last_reload_successful 1\n" in box.fetch(f"{address}/metrics").body
    assert box.fetch(f"{PROMETHEUS}/api/v1/status/config").body == config
    assert group_wait(box) == "32s"
    assert (
        box.run("find /opt/llm-monitor/prometheus /opt/llm-monitor/alertmanager -type f -exec sha256sum {} +") == files
    )
    assert box.started() == before


def test_verification_names_a_configuration_that_was_refused(box: Box, roll_out: Rollout) -> None:
    broken = "sed -i 's/^route:/rout:/' /opt/llm-monitor/alertmanager/alertmanager.yml"
    kept = "/opt/llm-monitor/.last-good/alertmanager/alertmanager.yml"
    box.run(f"{broken} && docker kill --signal HUP llm-monitor-alertmanager-1")
    said = roll_out.fails("verify.yml")
    box.run(f"cat {kept} > /opt/llm-monitor/alertmanager/alertmanager.yml")
    box.run("docker kill --signal HUP llm-monitor-alertmanager-1")
    assert "Alertmanager does not say that it took its configuration, http://127.0.0.1:23003/metrics" in said


def test_verification_names_all_that_is_not_well(box: Box, roll_out: Rollout) -> None:
    services = "llm-monitor-alertmanager-1 llm-monitor-node-exporter-1"
    box.run(f"docker stop {services}")
    said = roll_out.fails("verify.yml", llm_monitor_ready_timeout=10)
    box.run(f"docker start {services}")
    assert "The node exporter is not ready, http://127.0.0.1:9100/ready" in said
    assert "Alertmanager is not ready, http://127.0.0.1:23003/-/ready" in said
    assert "Connection refused" in said


def test_engine_of_somebody_else_is_not_restarted(box: Box, roll_out: Rollout) -> None:
    engine, config = box.engine(), box.os.file("/etc/docker/daemon.json").content_string
    box.run("mv /run/llm-monitor-dockerd.pid /run/somebody-elses.pid")
    said = roll_out.fails("site.yml", docker_daemon_settings={"log-opts": {"max-size": "30m"}})
    box.run("mv /run/somebody-elses.pid /run/llm-monitor-dockerd.pid")
    assert "neither systemd nor this collection has started the engine" in said
    assert box.engine() == engine
    assert box.os.file("/etc/docker/daemon.json").content_string == config


def test_engine_that_was_killed_runs_again(box: Box, roll_out: Rollout) -> None:
    box.run("pkill --signal KILL --exact dockerd")
    # As after a power cut: its number has gone to another process.
    box.run("echo 1 > /run/llm-monitor-dockerd.pid")
    roll_out.succeeds("site.yml")
    assert {entry["State"]["Health"]["Status"] for entry in box.containers().values()} == {"healthy"}
