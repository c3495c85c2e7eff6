"""Scenario files: ours are sound, and a wrong one is refused with line, key and what is allowed."""

from pathlib import Path

import pytest

from llm_monitor.base.errors import SettingsError
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.scenario.course import Programme
from llm_monitor.mock.scenario.faults import KINDS
from llm_monitor.mock.scenario.library import Library

FLEET = usual_fleet()
HOUR = 3600.0
START = 1_795_000_000.0


def library(folder: Path, **files: str) -> Library:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return Library(FLEET, folder)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        library(folder, mine=text)
    return [one.removeprefix(f"{folder}/") for one in caught.value.problems]


def test_the_five_days_and_every_kind_of_fault_can_be_played() -> None:
    described = Library(FLEET).describe()

    assert {"normal", "high_load", "degraded", "maintenance", "failure"} <= described.keys()
    assert KINDS.keys() <= described.keys()
    assert all(text.endswith(".") for text in described.values())


def test_what_holds_down_a_limit_befalls_a_container_that_has_one(tmp_path: Path) -> None:
    (fault,) = Programme(START, Library(FLEET).course("cpu_throttled"))(START + HOUR).faults
    assert fault.target == "embeddings"
    text = "description: A.\nevents:\n  - {fault: cpu_throttled, target: redis}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.endswith(
        "redis is not there; expected one of embeddings, litellm, langfuse-worker"
    )


def test_an_event_happens_in_its_time_and_again_with_the_next_round(tmp_path: Path) -> None:
    text = """
description: A GPU hangs for a while, every two hours.
every: 2h
events:
  - {at: 10m, for: 5m, fault: gpu_hang, target: 3}
  - {at: 10m, for: 1m, load: 3}
"""
    course = library(tmp_path, mine=text).course("mine")
    played = Programme(START, course)

    assert not played(START + 599).faults
    assert [one.target for one in played(START + 601).faults] == ["3"]
    assert played(START + 601).load == 3
    assert played(START + 661).load == 1
    assert not played(START + 901).faults
    again = played(START + 2 * HOUR + 601).faults
    assert [one.since for one in again] == [START + 2 * HOUR + 600]


def test_scenarios_extend_others_and_what_they_say_themselves_counts(tmp_path: Path) -> None:
    files = {
        "one": "{description: One., load: 2, error_rate: 0.1, events: [{fault: io_wait}]}",
        "two": "{description: Two., load: 3, events: [{fault: ecc, target: 0, value: 9}]}",
        "both": "{description: Both., extends: [one, two, litellm_down], load: 5}",
    }
    forces = Programme(START, library(tmp_path, **files).course("both"))(START + 301)

    assert (forces.load, forces.error_rate) == (5, 0.1)
    assert {one.fault: one.value for one in forces.faults} == {
        "io_wait": KINDS["io_wait"].usual,
        "ecc": 9,
        "litellm_down": 1,
    }


def test_what_is_set_counts_instead_of_what_the_scenario_says(tmp_path: Path) -> None:
    played = Programme(
        START, library(tmp_path, mine="{description: Mine., load: 2}").course("mine")
    )

    played.play(START + HOUR, played.course, {"load": 7.0, "anomalies": False})

    assert played(START + HOUR - 1).load == 2
    assert (played(START + HOUR).load, played(START + HOUR).anomalies) == (7, False)
    # Before its start the server had a usual day.
    assert played(START - 1).load == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "description: A.\nlaod: 2\n",
            (
                "mine.yaml:2: laod: there is no such key; expected one of load, error_rate, "
                "cpu_load, gpu_utilization, anomalies, description, extends, every, events"
            ),
        ),
        ("load: 2\n", "mine.yaml:1: description: it is missing; expected a sentence"),
        (
            "description: A.\nload: much\n",
            "mine.yaml:2: load: 'much' is not allowed; expected a number, 0 to 1000",
        ),
        (
            "description: A.\nerror_rate: 1.5\n",
            "mine.yaml:2: error_rate: 1.5 is not allowed; expected a ratio from 0 to 1",
        ),
        (
            "description: A.\nevents:\n  - at: 5\n    fault: ecc\n",
            (
                "mine.yaml:3: events[0].at: 5 is not allowed; "
                "expected a duration such as 90s, 10m or 2h"
            ),
        ),
        (
            "description: A.\nevents:\n  - fault: ecc\n  - fault: ecc\n    target: 8\n",
            "mine.yaml:5: events[1].target: 8 is not there; expected one of 0, 1, 2, 3, 4, 5, 6, 7",
        ),
        (
            "description: A.\nevents:\n  - fault: ecc\n    value: -1\n",
            "mine.yaml:3: events[0]: value -1 is not allowed; expected errors an hour, 0 to 1e+06",
        ),
        (
            "description: A.\nevents:\n  - {fault: gpu_lost, value: 3}\n",
            "mine.yaml:3: events[0]: gpu_lost has no value",
        ),
        (
            "description: A.\nevents:\n  - {fault: io_wait, target: 3}\n",
            "mine.yaml:3: events[0]: io_wait befalls the whole server, so it has no target",
        ),
        (
            "description: A.\nevents:\n  - {target: 3, load: 2}\n",
            "mine.yaml:3: events[0]: target and value belong to a fault, and none is named",
        ),
        (
            "description: A.\nevents: [{at: 3m}]\n",
            (
                "mine.yaml:2: events[0]: nothing happens; expected fault, or some of load, "
                "error_rate, cpu_load, gpu_utilization, anomalies"
            ),
        ),
        (
            "description: A.\nextends: [normal, mine]\n",
            "mine.yaml:2: extends: mine extends itself",
        ),
        ("description: A.\ndescription: B.\n", "mine.yaml:2: description: it is there twice"),
        (
            "description: A.\nevents: &a\n- {fault: ecc}\nevery: *a\n",
            "mine.yaml:4: aliases (*) are not allowed",
        ),
        (
            "description: [\n",
            "mine.yaml:2: no YAML: expected the node content, but found '<stream end>'",
        ),
        ("- a\n- b\n", "mine.yaml:1: ['a', 'b'] is not allowed; expected keys and their values"),
        ("", "mine.yaml:1: description: it is missing; expected a sentence"),
    ],
)
def test_a_wrong_file_is_refused_with_line_key_and_what_is_allowed(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problems(tmp_path, text) == [problem]


def test_an_unknown_fault_or_scenario_is_told_what_there_is(tmp_path: Path) -> None:
    text = "description: A.\nextends: [usual]\nevents:\n  - fault: gpu_gone\n"

    (fault,) = problems(tmp_path, text)
    assert fault.startswith("mine.yaml:4: events[0].fault: 'gpu_gone' is not allowed; expected one")
    assert "gpu_lost, gpu_hang, xid" in fault

    (parent,) = problems(tmp_path, text.replace("gpu_gone", "gpu_lost"))
    assert parent.startswith("mine.yaml:2: extends[0]: usual is no scenario; expected one of ")
    assert "normal" in parent


def test_our_scenarios_can_be_played_with_a_fleet_of_the_users() -> None:
    model = FLEET.models[0].model_copy(update={"name": "mine", "gpus": (0,), "fallback": None})
    gpu = FLEET.gpu.model_copy(update={"count": 1})
    only = {"models": (model,), "embedders": (), "containers": (), "gpu": gpu}
    small = Library(FLEET.model_copy(update=only))
    events = [event for track in small.course("degraded").tracks for event in track.events]
    targets = {(event.fault, event.target) for event in events}
    assert {("overheat", "0"), ("slow", "mine"), ("unhealthy", model.container)} <= targets
    usual = Library(FLEET).course("degraded").tracks
    assert {("overheat", 1), ("unhealthy", "langfuse-web")} <= {
        (event.fault, event.target) for track in usual for event in track.events
    }


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        library(tmp_path, a="load: 2", b="{description: B., load: -1, anomalies: perhaps}")

    assert len(caught.value.problems) == 3


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"description: \xff\xfe\n")
    (tmp_path / "huge.yaml").write_text("description: " + "a" * (1 << 20))
    (tmp_path / "deep.yaml").write_text("description: " + "[" * 5000)

    with pytest.raises(SettingsError) as caught:
        Library(FLEET, tmp_path)

    assert len(caught.value.problems) == 3
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        Library(FLEET, tmp_path / "nowhere")
