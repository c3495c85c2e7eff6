"""What Prometheus watches follows the inventory."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box, Rollout, eventually


def test_host_taken_out_of_the_inventory_is_no_target_without_a_restart(
    gpu: Box, watch: Box, roll_out: Rollout, tmp_path: Path
) -> None:
    inventory = yaml.safe_load((roll_out.inventory / "hosts.yml").read_text(encoding="utf-8"))
    del inventory["all"]["children"]["fleet"]["children"]["gpu_hosts"]["hosts"]["gpu-01"]
    smaller = tmp_path / "hosts.yml"
    smaller.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    started, others = watch.started(), gpu.started()

    roll_out.succeeds("site.yml", inventory=smaller)

    def left() -> set[tuple[str, str, str]]:
        return {target for target in watch.targets() if target[1] == "gpu-01"}

    assert eventually(lambda: not left()), left()
    assert ("node", "watch-01", "up") in watch.targets()
    assert watch.started() == started
    # A host that nobody names any more is left alone.
    assert gpu.started() == others


def test_host_outside_of_the_limit_is_a_target_all_the_same(watch: Box, roll_out: Rollout) -> None:
    roll_out.succeeds("site.yml", "--limit=watch-01")
    expected = {(job, "gpu-01", "up") for job in ("node", "gpu", "container", "vllm")}
    assert eventually(lambda: expected <= watch.targets()), watch.targets()


def test_registry_that_cannot_be_reached_is_named_before_anything_changes(gpu: Box, roll_out: Rollout) -> None:
    daemon = gpu.os.file("/etc/docker/daemon.json").content_string
    play = roll_out("site.yml", llm_monitor_registry_mirror="llm-monitor-molecule-registry:5999")
    assert play.code != 0
    said = " ".join(play.output.split())
    assert "llm-monitor-molecule-registry:5999" in said
    assert "llm_monitor_image_source" in said  # what else can be done
    assert [host["changed"] for host in play.recap["hosts"].values()] == [0, 0, 0]
    assert gpu.os.file("/etc/docker/daemon.json").content_string == daemon
