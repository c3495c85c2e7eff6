"""The files in which a simulated server's logs grow."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter_testing.process import EXPORTER, Start, free_port, wait_for
from exporter_testing.simulated import START, Life
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.metrics.family import Value
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.collectors import StageCollector
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.identity import container_id
from llm_monitor.mock.logs import litellm
from llm_monitor.mock.logs.files import LogFile
from llm_monitor.mock.logs.span import Span
from llm_monitor.mock.logs.told import KERNEL
from llm_monitor.mock.logs.told import tell as tell_logs
from llm_monitor.mock.logs.writer import LogWriter
from llm_monitor.mock.metrics import LOG_LINES
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.stage import Stage
from llm_monitor.mock.world.world import World

LONG_UP = 1200.0
WRITTEN = r'log_lines_total\{result="written"\} [1-9]'
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def writer(life: Life, folder: Path, server: int = 0) -> LogWriter:
    return LogWriter(life.view(server), folder, seed=1)


def path(folder: Path, name: str, server: int = 0) -> Path:
    return folder / name / f"{container_id(server, name)}-json.log"


def lines(folder: Path) -> int:
    return sum(len(one.read_text().splitlines()) for one in folder.rglob("*.log*"))


@pytest.fixture
def life() -> Life:
    return Life().go_on(LONG_UP)


def test_files_hold_what_is_told_in_dockers_form(life: Life, tmp_path: Path) -> None:
    life.befall("gpu_lost", "3")
    view = life.view()
    logs = writer(life, tmp_path)
    earlier, later = view.state(), view.at(life.go_on(10).moment)
    told = tell_logs(Span(view.plan, 0, earlier, later), seed=1).lines
    logs.catch_up()

    assert told
    for name in told.keys() - {KERNEL}:
        records = [json.loads(line) for line in path(tmp_path, name).read_text().splitlines()]
        found = [(record["log"], record["stream"]) for record in records]
        assert found == [(f"{line.text}\n", line.stream) for line in told[name]]
        assert all(record.keys() == {"log", "stream", "time"} for record in records)
        assert all(STAMP.fullmatch(record["time"]) for record in records)


def test_the_kernels_file_is_plain(life: Life, tmp_path: Path) -> None:
    logs = writer(life.befall("gpu_lost", "3"), tmp_path)
    life.go_on(60)
    logs.catch_up()

    first = (tmp_path / "kernel.log").read_text().splitlines()[0]
    assert re.match(r"2026-\S+\+00:00 gpu-server kernel: NVRM: Xid", first)


def test_nothing_is_written_before_ten_seconds_are_over(life: Life, tmp_path: Path) -> None:
    logs = writer(life, tmp_path)
    life.go_on(9)
    logs.catch_up()

    assert not list(tmp_path.iterdir())


def test_another_run_adds_to_the_files(life: Life, tmp_path: Path) -> None:
    writer(life, tmp_path)
    for _ in range(2):
        logs = writer(life, tmp_path)
        before = lines(tmp_path)
        life.go_on(10)
        logs.catch_up()
        assert lines(tmp_path) == before + logs.counts["written"]
        assert logs.counts["written"] > 50


def test_a_file_that_is_full_is_put_aside_and_whole(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "one" / "x.log", most=1000)
    for number in range(100):
        file.append(b"%050d\n" % number * 3)

    kept = sorted((tmp_path / "one").iterdir())
    assert [one.name for one in kept] == ["x.log", "x.log.1"]
    assert all(0 < one.stat().st_size <= 1000 for one in kept)
    numbers = [int(line) for one in reversed(kept) for line in one.read_text().split()]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 99


def test_a_file_that_somebody_removed_comes_back(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "one" / "x.log")
    file.append(b"a\n")
    (tmp_path / "one" / "x.log").unlink()
    (tmp_path / "one").rmdir()
    file.append(b"b\n")

    assert (tmp_path / "one" / "x.log").read_bytes() == b"b\n"


def test_a_full_disk_leaves_no_half_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LogFile(tmp_path / "x.log")
    file.append(b"whole\n")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
        with pytest.raises(OSError, match="No space left"):
            file.append(b"another\n")
    file.append(b"third\n")

    assert (tmp_path / "x.log").read_bytes() == b"whole\nthird\n"


def test_another_server_has_files_of_its_own(tmp_path: Path) -> None:
    life = Life(servers=2).go_on(LONG_UP)
    logs = [writer(life, tmp_path, server) for server in range(2)]
    life.go_on(10)
    for one in logs:
        one.catch_up()

    first, second = (path(tmp_path, "vllm-phi3-mini", server).read_text() for server in range(2))
    assert first
    assert second
    assert first != second


def test_a_folder_that_cant_be_written_to_is_told_once_and_counted(
    life: Life, tmp_path: Path
) -> None:
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    logs = writer(life, folder)
    with capture_logs() as said:
        for _ in range(3):
            life.go_on(10)
            logs.catch_up()

    assert [one["event"] for one in said] == ["logs can't be written"]
    assert str(folder) in said[0]["error"]
    assert logs.counts["written"] == 0
    assert logs.counts["failed"] > 100

    folder.unlink()
    life.go_on(10)
    logs.catch_up()
    assert lines(folder) == logs.counts["written"] > 0


def test_each_outage_is_told_and_its_end(life: Life, tmp_path: Path) -> None:
    # A log that says something now and then only, beside others that can be written all the time.
    seldom = tmp_path / "litellm-db"
    logs = writer(life, tmp_path)
    with capture_logs() as said:
        for _ in range(2):
            seldom.write_text("in the way")
            for _ in range(60):
                life.go_on(10)
                logs.catch_up()
            seldom.unlink()
            for _ in range(2):
                life.go_on(10)
                logs.catch_up()
            shutil.rmtree(seldom, ignore_errors=True)

    assert [one["event"] for one in said] == [
        "logs can't be written",
        "logs can be written again",
    ] * 2


def test_a_log_that_cant_be_told_is_told_of_once_and_counted(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        message = "nothing to say"
        raise ValueError(message)

    monkeypatch.setattr(litellm, "write", fail)
    logs = writer(life, tmp_path)
    with capture_logs() as said:
        for _ in range(3):
            life.go_on(10)
            logs.catch_up()

    assert [(one["event"], one["log"]) for one in said] == [("a log can't be told", "litellm")]
    assert logs.counts["failed"] == 3
    assert logs.counts["written"] == lines(tmp_path) > 0


def test_a_span_that_cant_be_told_is_not_tried_again(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = writer(life, tmp_path)
    life.go_on(10)
    with monkeypatch.context() as patch:
        patch.setattr(Span, "fates", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            logs.catch_up()
    logs.catch_up()
    assert not list(tmp_path.iterdir())

    life.go_on(10)
    logs.catch_up()
    assert lines(tmp_path) > 0


def test_one_log_that_cant_be_written_is_no_others_loss(life: Life, tmp_path: Path) -> None:
    (tmp_path / "litellm").write_text("in the way")
    logs = writer(life, tmp_path)
    life.go_on(10)
    logs.catch_up()

    assert logs.counts["failed"] > 0
    assert path(tmp_path, "nginx").exists()


@pytest.mark.parametrize("pace", [60.0, 3600.0])
def test_a_clock_that_is_ahead_gets_no_more_lines_and_is_caught_up_with(
    life: Life, tmp_path: Path, pace: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One line in twenty minutes, the restart of a container, must not be lost among the others.
    logs = writer(life.befall("restart_loop", "langfuse-worker", 1200.0), tmp_path)
    monkeypatch.setattr(World, "_reset", lambda _: pytest.fail("worked out from the start"))
    for _ in range(2):
        life.go_on(pace)
        before = logs.counts["written"]
        logs.catch_up()
        assert 0 < logs.counts["written"] - before < 1000
    left_out = logs.counts["left_out"]
    life.go_on(9)
    logs.catch_up()

    assert left_out > 1000
    assert logs.counts["left_out"] == left_out
    if pace > 1200:
        assert "fatal error" in path(tmp_path, "langfuse-worker").read_text()


def test_the_mock_counts_lines_if_it_writes_any(life: Life, tmp_path: Path) -> None:
    fleet = usual_fleet()
    stage = Stage(fleet, Library(fleet), "normal", VirtualClock(START, speed=0.0), up_before=60.0)
    logs = writer(life, tmp_path)
    life.go_on(10)
    logs.catch_up()
    deadline = Deadline.after(8)

    def counted(collector: StageCollector) -> dict[str, Value]:
        samples = collector.collect(deadline)
        return {labels[0]: value for family, labels, value in samples if family is LOG_LINES}

    assert counted(StageCollector(stage, logs)) == logs.counts
    assert logs.counts["written"] == lines(tmp_path) > 0
    assert not counted(StageCollector(stage))


@pytest.mark.slow
def test_a_running_mock_writes(start: Start, tmp_path: Path) -> None:
    folder, port = tmp_path / "logs", free_port()
    settings = {"PORT": str(port), "LOGS": str(folder), "SPEED": "30", "EXPORTERS": "node"}
    variables = {f"LLM_MONITOR_MOCK__{name}": value for name, value in settings.items()}
    running = start([EXPORTER, "mock"], port, variables, ready=False)
    # It lives through a day before it answers.
    wait_for(running.answers, 120)

    log = path(folder, "vllm-phi3-mini")
    wait_for(lambda: log.exists() and "\n" in log.read_text(), 20)
    record = json.loads(log.read_text().splitlines()[0])
    assert "(APIServer pid=1)" in record["log"]
    wait_for(lambda: bool(re.search(WRITTEN, running.get("/metrics").text)), 20)
    page = running.get("/metrics").text
    assert 'llm_monitor_mock_collector_success{collector="logs"} 1' in page
