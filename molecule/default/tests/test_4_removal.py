"""What is switched off or uninstalled goes, and its data stays until its deletion is asked for."""

from __future__ import annotations

import json

from ansible_collections.llmops.monitoring.molecule.shared.rollout import ALERTMANAGER, PROMETHEUS, Box, Rollout

VOLUMES = {
    "llm-monitor_prometheus-data",
    "llm-monitor_alertmanager-data",
    "llm-monitor_event-store-data",
    "llm-monitor_docker-socket-proxy",
}
SILENCE = {
    "matchers": [{"name": "alertname", "value": "Molecule", "isRegex": False, "isEqual": True}],
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2126-01-01T00:00:00Z",
    "createdBy": "molecule",
    "comment": "outlives its container",
}


def test_component_that_is_switched_off_goes_and_its_volume_stays(box: Box, roll_out: Rollout) -> None:
    headers = {"Content-Type": "application/json"}
    assert box.fetch(f"{ALERTMANAGER}/api/v2/silences", headers, json.dumps(SILENCE)).status == 200
    before = box.started()
    roll_out.succeeds("site.yml", llm_monitor_components=["prometheus", "exporters"])
    after = box.started()
    assert set(after) == {"prometheus", "node-exporter", "gpu-exporter", "litellm-exporter", "langfuse-exporter"}
    assert after["prometheus"] == before["prometheus"]
    assert box.volumes() == VOLUMES
    assert box.fetch(ALERTMANAGER).status == 0
    assert not box.os.file("/opt/llm-monitor/alertmanager").exists
    assert not box.os.file("/opt/llm-monitor/secrets/alertmanager").exists
    assert "alertmanager" not in box.fetch(f"{PROMETHEUS}/api/v1/status/config").body


def test_uninstall_keeps_the_data(box: Box, roll_out: Rollout) -> None:
    roll_out.succeeds("uninstall.yml")
    assert box.containers() == {}
    assert box.run("docker network ls --quiet --filter type=custom") == ""
    assert box.run("ss -Hltn") == ""
    assert not box.os.file("/opt/llm-monitor").exists
    assert box.volumes() == VOLUMES


def test_images_can_be_brought_alone(box: Box, roll_out: Rollout) -> None:
    box.run("docker images --quiet | xargs docker image rm --force")
    roll_out.succeeds("images.yml")
    assert len(box.run("docker images --quiet").split()) == 5
    assert box.containers() == {}
    assert not box.os.file("/opt/llm-monitor").exists


def test_rollout_finds_the_data_again(box: Box, roll_out: Rollout) -> None:
    roll_out.succeeds("site.yml")
    silences = box.fetch(f"{ALERTMANAGER}/api/v2/silences").json()
    assert [silence["comment"] for silence in silences] == [SILENCE["comment"]]
    assert box.value("time() - min_over_time(timestamp(up{job='prometheus'})[1h:5s])") > 60


def test_uninstall_deletes_the_data_if_asked(box: Box, roll_out: Rollout) -> None:
    roll_out.succeeds("uninstall.yml", llm_monitor_delete_data=True)
    assert box.containers() == {}
    assert box.volumes() == set()
    assert not box.os.file("/opt/llm-monitor").exists
    play = roll_out.succeeds("uninstall.yml", llm_monitor_delete_data=True)
    assert play.recap["hosts"]["box"]["changed"] == 0
