import sqlite3
import stat
from pathlib import Path

import pytest

from llmops_monitoring.transport.spill import Spill, Spilled, SpillError
from llmops_testing.backends import Recorder, Stuck
from llmops_testing.events import call, event
from llmops_testing.starting import Started
from llmops_testing.waiting import wait_for


def row(number: int) -> Spilled:
    return Spilled(number, f"{number:032x}", event(number).model_dump_json().encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "spill.sqlite"


def places(spill: Spill, count: int = 1000) -> list[int]:
    return [one.place for one in spill.first(count)]


def test_the_oldest_come_first_in_whatever_order_they_were_added(path: Path) -> None:
    spill = Spill(path, 100)
    spill.add([row(5), row(6)])
    spill.add([row(1), row(9)])
    assert places(spill) == [1, 5, 6, 9]
    assert places(spill, 2) == [1, 5]
    spill.close()


def test_an_event_is_kept_once(path: Path) -> None:
    spill = Spill(path, 100)
    assert spill.add([row(1), row(2)]) == 2
    assert spill.add([row(2), row(3)]) == 1
    assert len(spill) == 3
    spill.close()


def test_room_is_what_is_left(path: Path) -> None:
    spill = Spill(path, 3)
    spill.add([row(1), row(2)])
    assert spill.room == 1
    spill.remove([row(1)[:2]])
    assert spill.room == 2
    spill.close()


def test_only_its_user_reads_it(path: Path) -> None:
    spill = Spill(path, 3)
    spill.add([row(1)])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()} == {0o600}
    spill.close()


def test_an_emptied_file_gives_the_disk_its_room_back(path: Path) -> None:
    spill = Spill(path, 100_000)
    spill.add([row(number) for number in range(5000)])
    spill.remove([row(number)[:2] for number in range(5000)])
    assert sum(one.stat().st_size for one in path.parent.iterdir()) < 100_000
    spill.close()


def test_an_empty_file_goes_with_its_process(path: Path) -> None:
    spill = Spill(path, 3)
    spill.add([row(1)])
    spill.remove([row(1)[:2]])
    spill.close()
    assert not list(path.parent.iterdir())


def test_what_is_in_it_is_there_for_the_next_process(path: Path) -> None:
    spill = Spill(path, 3)
    spill.add([row(1)])
    spill.close()
    again = Spill(path, 3)
    assert again.first(9) == [row(1)]
    again.close()


def test_two_processes_have_a_file_each(path: Path) -> None:
    one, other = Spill(path, 3), Spill(path, 3)
    one.add([row(1)])
    other.add([row(2)])
    assert (places(one), places(other)) == ([1], [2])
    one.close()
    other.close()


@pytest.mark.parametrize("name", ["spill-mine.sqlite", "spill-2.sqlite.bak", "spill-.sqlite"])
def test_what_belongs_to_others_is_left_alone(path: Path, name: str) -> None:
    other = Spill(path.with_name(name), 10)
    other.add([row(1)])
    other.close()
    mine = Spill(path, 10)
    assert not len(mine)
    mine.close()
    assert path.with_name(name).exists()


def test_one_process_takes_over_what_several_left(path: Path) -> None:
    several = [Spill(path, 3) for _ in range(4)]
    for number, spill in enumerate(several):
        spill.add([row(number)])
    for spill in several:
        spill.close()
    heir = Spill(path, 100)
    assert places(heir) == [0, 1, 2, 3]
    heir.remove([row(number)[:2] for number in range(4)])
    heir.close()
    assert not list(path.parent.iterdir())


def test_what_a_living_process_has_is_left_to_it(path: Path) -> None:
    first, second = Spill(path, 3), Spill(path, 3)
    second.add([row(2)])
    first.close()
    third = Spill(path, 3)
    assert places(third) == []
    assert places(second) == [2]
    second.close()
    third.close()


@pytest.mark.parametrize("name", ["spill.sqlite", "spill-2.sqlite"])
def test_a_broken_file_is_put_aside(path: Path, name: str) -> None:
    path.parent.mkdir()
    broken = path.with_name(name)
    broken.write_bytes(b"no database, but long enough to be taken for one" * 100)
    spill = Spill(path, 3)
    spill.add([row(1)])
    assert places(spill) == [1]
    assert broken.with_suffix(".broken").exists()
    spill.close()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpillError, match="file"):
        Spill(tmp_path / "file" / "spill.sqlite", 3)


def test_an_outage_is_spilled_and_replayed_in_order(started: Started) -> None:
    backend = Recorder()
    transport = started(backend, overflow="spill", max_queue_size=1000)
    backend.down = True
    for number in range(5000):
        transport.put(call(number))
        if number % 500 == 499:
            assert transport.flush(5)
    stats = transport.stats()
    assert (stats.spilled, stats.dropped) == (5000, {})
    backend.down = False
    wait_for(lambda: transport.stats().written == 5000)
    assert backend.numbers == list(range(5000))
    transport.put(call(5000))
    assert transport.flush(5)
    assert backend.numbers[-1] == 5000


def test_what_is_spilled_waits_for_the_next_transport(started: Started) -> None:
    backend = Recorder()
    backend.down = True
    transport = started(backend, overflow="spill")
    for number in range(100):
        transport.put(call(number))
    assert transport.stop(5)
    assert transport.stats().spilled == 100
    heir = Recorder()
    again = started(heir, overflow="spill")
    wait_for(lambda: again.stats().written == 100)
    assert heir.numbers == list(range(100))
    assert again.stats().enqueued == 100


def test_while_a_write_hangs_the_queue_is_spilled(started: Started) -> None:
    backend = Stuck()
    transport = started(backend, overflow="spill", max_queue_size=100, batch_size=10)
    for number in range(100):
        transport.put(call(number))
    wait_for(lambda: (stats := transport.stats()).buffered > 0 and stats.spilled >= 90)
    assert transport.stats().enqueued == 100
    backend.free = True
    wait_for(lambda: transport.stats().written == 100)
    assert backend.numbers == list(range(100))


def test_a_full_spill_file_drops_and_counts(started: Started) -> None:
    backend = Recorder()
    backend.down = True
    transport = started(backend, overflow="spill", spill_max_events=25)
    for number in range(40):
        transport.put(call(number))
    assert not transport.flush(5)
    stats = transport.stats()
    assert (stats.spilled, stats.dropped) == (25, {"spill_full": 15})
    backend.down = False
    wait_for(lambda: transport.stats().written == 25)


def test_a_spill_file_that_cannot_be_opened_is_done_without(
    started: Started, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    backend = Recorder()
    backend.down = True
    transport = started(backend, overflow="spill", spill_path=tmp_path / "file" / "s.sqlite")
    transport.put(call(1))
    assert not transport.flush(5)
    assert transport.stats().dropped == {"unavailable": 1}


def test_an_unreadable_event_on_disk_is_counted(started: Started, tmp_path: Path) -> None:
    path = tmp_path / "spill.sqlite"
    spill = Spill(path, 10)
    spill.add([row(1), Spilled(2, "two", b"{}"), row(3)])
    spill.close()
    backend = Recorder()
    transport = started(backend, overflow="spill", spill_path=path)
    wait_for(lambda: transport.stats().written == 2)
    stats = transport.stats()
    assert (stats.enqueued, stats.spilled, stats.dropped) == (3, 0, {"invalid": 1})


def test_a_spill_file_that_fails_while_it_is_replayed_is_tried_again(
    started: Started, tmp_path: Path
) -> None:
    backend = Recorder()
    backend.down = True
    path = tmp_path / "spill.sqlite"
    transport = started(backend, overflow="spill", spill_path=path)
    for number in range(30):
        transport.put(call(number))
    assert transport.flush(5)
    # Who else writes keeps the file locked: what is written can't be forgotten meanwhile.
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    backend.down = False
    wait_for(lambda: backend.numbers)
    other.rollback()
    other.close()
    wait_for(lambda: transport.stats().written == 30)
    assert set(backend.numbers) == set(range(30))
    assert transport.stats().spilled == 0
