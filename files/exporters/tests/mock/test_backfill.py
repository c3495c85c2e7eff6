"""The past that is written for Prometheus, as promtool and a real Prometheus take it."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_testing.process import plain_environment, tool, wait_for
from exporter_testing.prometheus import prometheus, query
from llm_monitor.mock import cli
from llm_monitor.mock.backfill import simulation
from llm_monitor.mock.backfill.order import Order
from llm_monitor.mock.backfill.plan import FILE_SECONDS, RECENT_SECONDS, RECENT_STEP, periods
from llm_monitor.mock.backfill.run import BrokenError, write
from llm_monitor.mock.clock import VirtualClock
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.parts import PLAYED
from llm_monitor.mock.scenario.library import Library
from llm_monitor.mock.stage import Stage
from llm_monitor.mock.view import View
from llm_monitor.mock.world.traces import EARS

# What is started in the background ignores SIGINT, and so does what it starts.
PROGRAM = """
import signal
from llm_monitor.mock.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
COMMAND = [sys.executable, "-c", PROGRAM, "backfill"]
UNTIL = "2026-11-21T12:00:00Z"
END = 1_795_262_400
# An hour before the end, and up to the end.
MOMENTS = 3600 // RECENT_STEP + 1
SCENARIO = """\
description: The GPU exporter does not answer for a while, and the node exporter can't ask.
events:
  - {at: 20m, for: 10m, fault: exporter_down, target: gpu}
  - {at: 10m, for: 30m, fault: collector_failing, target: node}
"""


def written(folder: Path, *arguments: str) -> dict[str, bytes]:
    """Return the files of a backfill by name; each of them has been told of."""
    done = subprocess.run(
        [*COMMAND, "--output", str(folder), "--until", UNTIL, *arguments],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.returncode, done.stderr
    paths = sorted(folder.iterdir())
    assert done.stdout.split() == [str(path) for path in paths]
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "gaps.yaml").write_text(SCENARIO)
    return ("--days", "0.042", "--scenarios", str(folder), "--scenario", "gaps")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, options: tuple[str, ...]) -> Path:
    """Return the folder with the past hour."""
    folder = tmp_path_factory.mktemp("past") / "new"
    written(folder, *options)
    return folder


@pytest.fixture(scope="module")
def port(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of a Prometheus that has loaded the past hour."""
    folder = tmp_path_factory.mktemp("prometheus")
    for path in past.iterdir():
        load = [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", path]
        subprocess.run([*load, folder / "data"], check=True)
    with prometheus(folder, "  []") as found:
        yield found


def test_rates_and_quantiles_work_over_it(port: int) -> None:
    tokens = f"sum(rate(llm_monitor_vllm_generation_tokens_total[5m] @ {END}))"
    assert query(port, tokens) > 0
    watts = f"rate(llm_monitor_gpu_energy_joules_total[5m] @ {END})"
    drawn = f"avg_over_time(llm_monitor_gpu_power_watts[5m] @ {END})"
    assert query(port, f"max(abs({watts} / {drawn} - 1))") < 0.15
    buckets = "llm_monitor_vllm_time_to_first_token_seconds_bucket"
    quantile = f"histogram_quantile(0.95, sum by (le) (rate({buckets}[5m] @ {END})))"
    assert 0 < query(port, quantile) < 60


def test_counters_never_fall(port: int) -> None:
    for counter in (
        "llm_monitor_vllm_prompt_tokens_total",
        "llm_monitor_litellm_requests_total",
        "llm_monitor_node_cpu_seconds_total",
        "llm_monitor_gpu_collections_total",
        "llm_monitor_vllm_e2e_request_latency_seconds_count",
    ):
        assert query(port, f"max(resets({counter}[2h] @ {END}))") == 0, counter


def test_every_job_is_there_all_the_time(port: int) -> None:
    for job in PLAYED:
        labels = f'job="{job}",instance="demo"'
        assert query(port, f"count_over_time(up{{{labels}}}[2h] @ {END})") == MOMENTS
        own = f'count({{{labels},__name__!~"up|scrape_.*"}} @ {END})'
        assert query(port, f"scrape_samples_scraped{{{labels}}} @ {END}") == query(port, own)


def test_an_exporter_that_does_not_answer_leaves_a_gap(port: int) -> None:
    gap = 600 // RECENT_STEP
    assert query(port, f'sum_over_time(up{{job="gpu"}}[2h] @ {END})') == MOMENTS - gap
    own = f"count_over_time(llm_monitor_gpu_up[2h] @ {END})"
    assert query(port, own) == MOMENTS - gap
    assert query(port, f'sum_over_time(up{{job="vllm"}}[2h] @ {END})') == MOMENTS


def test_a_collector_that_fails_is_told_by_its_exporter(port: int) -> None:
    success = "llm_monitor_node_collector_success"
    assert query(port, f"min(min_over_time({success}[2h] @ {END}))") == 0
    assert query(port, f"min(max_over_time({success}[2h] @ {END}))") == 1
    assert query(port, f'min_over_time(up{{job="node"}}[2h] @ {END})') == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(
    past: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    again = written(tmp_path / "again", *options)
    assert again == {path.name: path.read_bytes() for path in past.iterdir()}


def test_only_the_exporters_that_are_named_are_in_it(tmp_path: Path) -> None:
    files = written(tmp_path / "past", "--days", "0.05", "--exporters", "langfuse,gpu")
    text = b"".join(files.values()).decode()
    assert set(re.findall(r'job="(\w+)"', text)) == {"gpu", "langfuse"}


def test_a_series_is_in_one_place_and_in_order(past: Path) -> None:
    for path in past.iterdir():
        families, last = [], {}
        *lines, end = path.read_text().splitlines()
        assert end == "# EOF"
        for line in lines:
            if line.startswith("# TYPE "):
                families.append(line.split()[2])
            elif not line.startswith("#"):
                series, _, moment = line.rsplit(" ", 2)
                assert last.get(series, 0) < int(moment), line
                assert series.startswith(families[-1])
                last[series] = int(moment)
        assert len(families) == len(set(families))


def test_what_is_replayed_is_what_was_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "UP_BEFORE", 600.0)
    order = Order(usual_fleet(), None, "degraded", 1, "demo", PLAYED, periods(END, 1 / 24, 150))
    moments = [moment for period in order.periods for moment in period.moments]
    ear, mouth = Pipe(duplex=False)
    thread = Thread(target=simulation.simulate, args=(order, [mouth]))
    thread.start()
    replay = simulation.Replay(order, ear)
    clock = VirtualClock(order.begin, speed=0.0)
    stage = Stage(order.fleet, Library(order.fleet), "degraded", clock, up_before=600.0)
    for moment in moments:
        clock.advance(moment - clock.now())
        played, view = View(replay, clock.now), stage.view()
        np.testing.assert_equal(asdict(played.state()), asdict(view.state()))
        for one in EARS:
            np.testing.assert_equal(asdict(played.told(one, 3600)), asdict(view.told(one, 3600)))
        assert played.boot == view.boot
    thread.join()
    mouth.close()
    with pytest.raises(EOFError):
        replay.at(moments[-1] + 1)


@given(
    st.floats(946_684_800, 4_102_444_800),
    st.floats(1 / 24, 3),
    st.sampled_from([10, 30, 45, 60, 100, 150, 240]),
)
@settings(deadline=None)
def test_moments_are_close_and_each_is_in_the_file_of_its_block(
    end: float, days: float, step: int
) -> None:
    found = periods(end, days, step)
    moments = [moment for period in found for moment in period.moments]
    gaps = {later - earlier for earlier, later in pairwise(moments)}
    assert min(gaps) > 0
    assert max(gaps) <= max(step, RECENT_STEP)
    assert 0 <= end - moments[-1] < max(step, RECENT_STEP)
    assert 0 <= moments[0] - (end - days * 86400) + RECENT_STEP <= step + RECENT_STEP
    recent = [one for one in moments if one >= moments[-1] - RECENT_SECONDS]
    assert all(later - earlier <= RECENT_STEP for earlier, later in pairwise(recent))
    assert len({period.name for period in found}) == len(found)
    for period in found:
        assert len({moment // FILE_SECONDS for moment in period.moments}) == 1


Refused = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Refused]:
    """Return what runs the program within this process, and returns what it complains of."""
    before = signal.getsignal(signal.SIGTERM)

    def refused(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["llm-monitor-mock", *arguments])
        with pytest.raises(SystemExit) as raised:
            cli.main()
        assert raised.value.code == 2
        told = capsys.readouterr()
        assert not told.out
        return told.err

    yield refused
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--days", "0", "is not a number of days"),
        ("--days", "nan", "is not a number of days"),
        ("--days", "month", "is not a number of days"),
        ("--step", "300", "is not whole seconds, 10 to 240"),
        ("--step", "1.5", "is not whole seconds"),
        ("--seed", "-1", "is not a whole number"),
        ("--until", "2026-11-21T12:00:00", "with its zone"),
        ("--until", "soon", "is not a time"),
        ("--until", "0001-01-01T00:00:00Z", "is not a time"),
        ("--instance", 'a"b', "is not the name of a host"),
        ("--scenario", "usual", "there is no 'usual'; expected one of"),
        ("--scenarios", "/nowhere", "/nowhere"),
        ("--exporters", "gpu,cpu", "'gpu,cpu' is not a list of exporters: some of node,gpu,"),
        ("--fleet", "/nowhere.yaml", "/nowhere.yaml: it can't be read"),
    ],
)
def test_a_bad_argument_is_refused_before_anything_is_written(
    run: Refused, tmp_path: Path, option: str, value: str, complaint: str
) -> None:
    folder = tmp_path / "new"
    assert complaint in run("backfill", "--output", str(folder), option, value)
    assert not folder.exists()


def test_a_folder_that_is_not_empty_is_refused(run: Refused, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    assert "is not empty" in run("backfill", "--output", str(tmp_path))
    assert "precious" in run("backfill", "--output", str(tmp_path / "precious"))
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_the_output_must_be_named(run: Refused) -> None:
    assert "--output" in run("backfill")
    assert "COMMAND" in run()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a long backfill into the test's folder, which a test ends."""
    with subprocess.Popen(
        [*COMMAND, "--output", str(tmp_path)],
        env=plain_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as started:
        yield started
        started.kill()


@pytest.mark.slow
def test_what_is_interrupted_leaves_whole_files_only(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert process.stdout
    complete = Path(process.stdout.readline().strip())
    wait_for(lambda: any(tmp_path.glob(".unfinished-*/*")), 30)
    process.send_signal(signal.SIGTERM)
    told = [complete, *map(Path, process.stdout.read().split())]
    assert process.wait(30) == 128 + signal.SIGTERM
    assert sorted(tmp_path.iterdir()) == told
    assert all(path.read_bytes().endswith(b"\n# EOF\n") for path in told)


def test_what_is_interrupted_at_once_leaves_nothing(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    wait_for(lambda: any(tmp_path.glob(".unfinished-*")), 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 128 + signal.SIGINT
    assert not list(tmp_path.iterdir())


def test_a_process_that_fails_ends_it_all(tmp_path: Path) -> None:
    order = Order(
        usual_fleet(), None, "no such scenario", 1, "demo", PLAYED, periods(END, 0.1, 150)
    )
    with pytest.raises(BrokenError):
        list(write(order, tmp_path))
    assert not list(tmp_path.iterdir())
