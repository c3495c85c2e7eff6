"""A changed setting reaches just the services that it concerns, in the gentlest way that they allow."""

from __future__ import annotations

from ansible_collections.llmops.monitoring.molecule.shared.rollout import (
    ALERTMANAGER,
    EXPORTER,
    PROMETHEUS,
    Box,
    Rollout,
    eventually,
)

ENGINE = {"cgroup-parent": "/llm-monitor-molecule-default", "log-opts": {"max-size": "10m"}}
EXPORTERS = {f"{name}-exporter" for name in ("node", "gpu", "container", "vllm", "litellm", "langfuse", "llmops")}
OLD_TOKEN, NEW_TOKEN = "molecule-5c1f0d8e7b", "molecule-a94e26d1c0"


def test_services_that_can_reload_do_not_restart(box: Box, roll_out: Rollout) -> None:
    before = box.started()
    roll_out.succeeds("site.yml", prometheus_scrape_interval="6s", alertmanager_group_wait="31s")
    assert box.started() == before
    assert "scrape_interval: 6s" in box.fetch(f"{PROMETHEUS}/api/v1/status/config").body
    assert "group_wait: 31s" in box.fetch(f"{ALERTMANAGER}/api/v2/status").json()["config"]["original"]


def test_only_services_that_cannot_reload_are_recreated(box: Box, roll_out: Rollout, planted: dict[str, str]) -> None:
    before = box.started()
    play = roll_out.succeeds("site.yml", "--diff", exporters_log_level="debug", exporters_bearer_token=NEW_TOKEN)
    after = box.started()
    assert {service for service in before if after[service] != before[service]} == EXPORTERS
    # What changed is shown, but of secrets only that they did.
    assert "+log_level: debug" in play.output
    assert "bearer_token changes" in play.output
    assert [secret for secret in (*planted.values(), NEW_TOKEN) if secret in play.output] == []


def test_old_token_is_worth_nothing(box: Box) -> None:
    statuses = {
        token: box.fetch(f"{EXPORTER}/metrics", {"Authorization": f"Bearer {token}"}).status
        for token in (OLD_TOKEN, NEW_TOKEN)
    }
    assert statuses == {OLD_TOKEN: 401, NEW_TOKEN: 200}


def test_container_on_a_gpu_has_its_name(box: Box) -> None:
    # Any container will do for one that computes.
    pid = box.containers()["prometheus"]["State"]["Pid"]
    box.run(f"echo 'gpu.3.process.{pid}.memory = 1073741824' >> /srv/fake-nvml/state")
    labels = '{container="llm-monitor-prometheus-1",gpu="3"}'
    used = f"llm_monitor_gpu_container_memory_used_bytes{labels}"
    assert eventually(lambda: [one["value"][1] for one in box.query(used)] == ["1073741824"])
    uuid = box.query('llm_monitor_gpu_info{gpu="3"}')[0]["metric"]["gpu_uuid"]
    assigned = f'llm_monitor_container_gpu_assigned{{container="llm-monitor-prometheus-1",gpu_uuid="{uuid}"}}'
    assert eventually(lambda: [one["value"][1] for one in box.query(assigned)] == ["1"])


def test_raw_socket_takes_the_proxys_place_if_the_inventory_says_so(box: Box, roll_out: Rollout) -> None:
    roll_out.succeeds("site.yml", exporters_docker_socket="/var/run/docker.sock")
    container = box.containers()["container-exporter"]
    assert container["Config"]["User"] == "65532:65532"
    assert container["HostConfig"]["GroupAdd"] == [box.run("stat --format=%g /var/run/docker.sock")]
    assert eventually(lambda: box.value("min(llm_monitor_container_collector_success)") == 1)
    roll_out.succeeds("site.yml")


def test_alert_that_always_fires_reaches_alertmanager(box: Box) -> None:
    def names() -> set[str]:
        alerts = box.fetch(f"{ALERTMANAGER}/api/v2/alerts").json()
        return {alert["labels"]["alertname"] for alert in alerts}

    # Prometheus sends an alert that goes on firing once a minute.
    assert eventually(lambda: "Watchdog" in names(), seconds=90), names()


def test_engine_reads_its_settings_again(box: Box, roll_out: Rollout) -> None:
    engine, before = box.engine(), box.started()
    roll_out.succeeds("site.yml", docker_daemon_settings={**ENGINE, "labels": ["purpose=molecule"]})
    assert box.run("docker info --format '{{.Labels}}'") == "[purpose=molecule]"
    assert box.engine() == engine
    assert box.started()["prometheus"] == before["prometheus"]


def test_engine_is_restarted_when_it_must_be(box: Box, roll_out: Rollout) -> None:
    engine, containers = box.engine(), box.containers()
    roll_out.succeeds("site.yml", docker_daemon_settings={**ENGINE, "log-opts": {"max-size": "10m", "max-file": "2"}})
    assert box.engine() != engine
    assert '"max-file": "2"' in box.os.file("/etc/docker/daemon.json").content_string
    # Others' settings, the label for one, stay.
    assert box.run("docker info --format '{{.Labels}}'") == "[purpose=molecule]"
    # The services are the same containers, and run again.
    after = box.containers()
    assert {entry["Id"] for entry in after.values()} == {entry["Id"] for entry in containers.values()}
    assert {entry["State"]["Health"]["Status"] for entry in after.values()} == {"healthy"}
