"""What verify.yml says of GPUs that are not what they should be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.llmops.monitoring.molecule.shared.rollout import Box, Rollout

QUERY = "/usr/share/stand-in-gpus/query.xml"
# Takes the last GPU out of what the driver tells.
LOSE = f"""
import pathlib, re
path = pathlib.Path("{QUERY}")
text = path.read_text()
start = text.rindex("\\t<gpu id=")
path.write_text(text[:start].replace("<attached_gpus>8<", "<attached_gpus>7<") + "</nvidia_smi_log>")
"""


@pytest.fixture
def seven(h200: Box) -> Iterator[None]:
    """Let the driver tell of 7 GPUs only."""
    h200.run(f"cp {QUERY} /srv/query.xml")
    h200.run("python3 -c %s", LOSE)
    yield
    h200.run(f"cp /srv/query.xml {QUERY}")


def test_all_is_well(roll_out: Rollout) -> None:
    play = roll_out.succeeds("verify.yml")
    assert play.recap["hosts"]["h200"]["changed"] == 0
    assert "(item=container)" in play.output


@pytest.mark.usefixtures("seven")
def test_missing_gpu_is_named_for_host_and_container(roll_out: Rollout) -> None:
    said = roll_out.fails("verify.yml")
    assert "Not all is well on h200" in said
    for where in ("host", "container of llm-monitor/exporters"):
        assert f"The GPUs of the {where}" in said


def test_container_that_gets_no_gpus_is_named(roll_out: Rollout) -> None:
    said = roll_out.fails("verify.yml", llm_monitor_gpu_access="cdi")
    assert "Not all is well on h200" in said
    assert "The Docker engine knows no CDI" in said


def test_expectation_that_does_not_exist_is_refused(roll_out: Rollout) -> None:
    said = roll_out.fails("site.yml", nvidia_toolkit_expected={"cuont": 8})
    assert "nvidia_toolkit_expected" in said
    assert "cuont" in said
