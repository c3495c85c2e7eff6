import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from llmops_monitoring.config import StorageConfig
from llmops_monitoring.event import MetricEvent, TokenMetrics
from llmops_monitoring.ownership import forget_all
from llmops_monitoring.storage import parquet
from llmops_monitoring.storage.base import RejectedError
from llmops_monitoring.storage.parquet import SCHEMA, ParquetBackend
from llmops_testing.events import BEGIN, event
from llmops_testing.full import FULL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events"


def config(folder: Path, **given: Any) -> StorageConfig:
    return StorageConfig(output_dir=folder, **given)


def run(
    folder: Path, *steps: Callable[[ParquetBackend], Coroutine[Any, Any, Any]], **given: Any
) -> None:
    """Run steps with an opened backend, which is left as a killed process leaves it."""

    async def main() -> None:
        backend = ParquetBackend(config(folder, **given))
        await backend.initialize()
        for step in steps:
            await step(backend)
        forget_all()

    asyncio.run(main())


def write(*events: MetricEvent) -> Callable[[ParquetBackend], Coroutine[Any, Any, None]]:
    return lambda backend: backend.write_batch(events)


def close(backend: ParquetBackend) -> Coroutine[Any, Any, None]:
    return backend.close()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.parquet"))


def ids(folder: Path) -> list[int]:
    table = ds.dataset(folder, schema=SCHEMA).to_table()
    return sorted(int(one, 16) for one in table["event_id"].to_pylist())


def test_an_event_comes_back_whole(folder: Path) -> None:
    run(folder, write(FULL, event(8)), close)
    (path,) = files(folder)
    assert path.parent.name == "2026-11-20"
    full, plain = pq.read_table(path).to_pylist()
    told = {name: value for name, value in full.items() if value is not None}
    assert told == {
        "event_id": FULL.event_id,
        "timestamp": FULL.timestamp,
        "schema_version": 1,
        "session_id": "../../etc/passwd",
        "trace_id": FULL.trace_id,
        "span_id": FULL.span_id,
        "parent_span_id": "00f067aa0ba902b7",
        "operation_name": "answer",
        "operation_type": "llm_call",
        "duration_ms": 1.5,
        "error": True,
        "error_type": "TimeoutError",
        "cost": 0.25,
        "model": "m",
        "input_tokens": 3,
        "output_tokens": 4,
        "total_tokens": 7,
        "text_characters": 5,
        "text_words": 1,
        "text_bytes": 6,
        "text_lines": 1,
        "image_count": 1,
        "image_pixels": 4,
        "image_bytes": 9,
        "image_width": 2,
        "image_height": 2,
        "image_format": "png",
        "stream_ended": "aborted",
        "stream_chunks": 3,
        "stream_time_to_first_token_ms": 1.25,
        "custom_attributes": '{"tenant":"blue","deep":[1,{"x":null}],"text":"zwölf 🐈"}',
    }
    assert plain["model"] is None
    assert plain["custom_attributes"] == "{}"


def test_an_unfinished_file_is_nowhere_to_be_seen(folder: Path) -> None:
    run(folder, write(event(1)))
    assert files(folder) == []
    assert ds.dataset(folder, schema=SCHEMA).count_rows() == 0


def test_a_day_has_a_folder(folder: Path) -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    run(folder, write(event(1), event(2, timestamp=midnight)), close)
    assert [path.parent.name for path in files(folder)] == ["2026-11-20", "2026-11-21"]


def test_a_session_has_a_folder_whatever_it_calls_itself(folder: Path) -> None:
    sessions = ["a", "../../up", "/etc", "a/b\0", "", None, "a"]
    events = [event(number, session_id=name) for number, name in enumerate(sessions)]
    run(folder, write(*events), close, partition_by="session_id")
    found = {path.parent.name: pq.read_table(path) for path in files(folder)}
    assert len(found) == 6
    assert {path.name for path in folder.parent.iterdir()} == {"events"}
    assert all(len(set(table["session_id"].to_pylist())) == 1 for table in found.values())
    assert found["session_none"].num_rows == 1
    assert ids(folder) == list(range(7))


@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_a_file_is_compressed_as_it_should(folder: Path, compression: str) -> None:
    run(folder, write(event(1)), close, compression=compression)
    (path,) = files(folder)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert column.compression == compression.upper()


def test_a_file_is_rolled_by_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROLL_ROWS", 10)
    run(folder, *(write(event(number), event(number + 100)) for number in range(12)))
    assert [pq.read_metadata(path).num_rows for path in files(folder)] == [10, 10]


def test_a_file_is_rolled_by_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROLL_SECONDS", 0.05)

    async def until_there(_: ParquetBackend) -> None:
        async with asyncio.timeout(10):
            while not files(folder):
                await asyncio.sleep(0.005)

    run(folder, write(event(1)), until_there, write(event(2)), until_there)
    assert 1 in ids(folder)


def test_what_a_killed_process_wrote_becomes_a_file(folder: Path) -> None:
    run(folder, write(event(1), event(2)), write(event(3)))
    assert files(folder) == []
    run(folder)
    assert ids(folder) == [1, 2, 3]
    assert list((folder / ".journal").iterdir()) == []


def test_a_batch_that_was_cut_off_is_left_out(folder: Path) -> None:
    run(folder, write(event(1)), write(event(2)))
    (journal,) = (folder / ".journal").glob("*.arrows")
    os.truncate(journal, journal.stat().st_size - 40)
    run(folder)
    assert ids(folder) == [1]


def test_a_process_killed_between_file_and_journal_wrote_once(folder: Path) -> None:
    run(folder, write(event(1)))
    (journal,) = (folder / ".journal").glob("*.arrows")
    kept = journal.read_bytes()
    run(folder)
    journal.write_bytes(kept)
    run(folder)
    assert ids(folder) == [1]


def test_a_batch_that_comes_again_is_not_written_again(folder: Path) -> None:
    run(folder, write(event(1), event(2)), write(event(2), event(3)), close)
    assert ids(folder) == [1, 2, 3]


def test_a_batch_that_a_killed_process_wrote_is_not_written_again(folder: Path) -> None:
    run(folder, write(event(1), event(2)))
    run(folder, write(event(1), event(2), event(3)), close)
    assert ids(folder) == [1, 2, 3]


def test_a_living_process_keeps_its_journal(folder: Path) -> None:
    async def another(_: ParquetBackend) -> None:
        other = ParquetBackend(config(folder))
        await other.initialize()
        await other.write_batch([event(2)])
        await other.close()

    run(folder, write(event(1)), another, close)
    assert ids(folder) == [1, 2]
    assert len(files(folder)) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"operation_name": "half \ud83d"},
        {"token_metrics": TokenMetrics(input_tokens=2**63, output_tokens=0, total_tokens=2**63)},
        {"custom_attributes": {"half": "\udc00"}},
    ],
)
def test_what_does_not_fit_is_rejected_and_leaves_no_trace(
    folder: Path, fields: dict[str, Any]
) -> None:
    async def refused(backend: ParquetBackend) -> None:
        with pytest.raises(RejectedError):
            await backend.write_batch([event(1), event(2, **fields)])

    run(folder, refused, write(event(3)), close)
    assert ids(folder) == [3]


def test_a_full_disk_takes_nothing_of_a_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite

    def full(descriptor: int, data: bytes, at: int) -> int:
        if at > 20_000:
            raise OSError(28, "No space left on device")
        return pwrite(descriptor, data[:1000], at)

    async def refused(backend: ParquetBackend) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(OSError, match="No space"):
                await backend.write_batch([event(number) for number in range(100, 300)])

    run(folder, write(event(1)), refused, write(event(2)))
    run(folder)
    assert ids(folder) == [1, 2]


def open_files() -> list[Path]:
    """Return what this process' descriptors lead to."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        # The one that lists them is gone again.
        with contextlib.suppress(FileNotFoundError):
            found.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
    return found


def test_a_full_disk_leaves_neither_files_nor_descriptors_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    def held() -> tuple[int, int]:
        # Others of the process may close theirs meanwhile.
        ours = [one for one in open_files() if one.is_relative_to(folder)]
        return len(ours), len(os.listdir(folder / ".journal"))

    async def refused(backend: ParquetBackend) -> None:
        before = held()
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            for _ in range(20):
                with pytest.raises(OSError, match="No space"):
                    await backend.write_batch([event(1)])
        assert held() == before

    run(folder, refused, write(event(2)))
    run(folder)
    assert ids(folder) == [2]


def test_folders_that_somebody_removes_are_made_again(folder: Path) -> None:
    async def remove(_: ParquetBackend) -> None:
        shutil.rmtree(folder)

    run(folder, write(event(1)), remove, write(event(2)), close)
    assert ids(folder) == [1, 2]
    run(folder, remove, write(event(3)), close)
    assert ids(folder) == [3]


def test_folders_are_for_this_user_alone(folder: Path) -> None:
    run(folder, write(event(1)), close)
    assert stat.filemode(folder.stat().st_mode) == "drwx------"


def test_a_file_that_cannot_be_made_in_time_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parquet, "_ROLL_SECONDS", 0.01)

    async def block(_: ParquetBackend) -> None:
        (folder / "2026-11-20").touch()

    async def wait(_: ParquetBackend) -> None:
        async with asyncio.timeout(10):
            while "tried again" not in caplog.text:
                await asyncio.sleep(0.005)
            (folder / "2026-11-20").unlink()
            while not files(folder):
                await asyncio.sleep(0.005)

    run(folder, block, write(event(1)), wait)
    assert ids(folder) == [1]


def test_a_file_that_cannot_be_made_is_made_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parquet, "_ROLL_ROWS", 2)

    async def block(_: ParquetBackend) -> None:
        (folder / "2026-11-20").touch()

    async def refused(backend: ParquetBackend) -> None:
        with pytest.raises(OSError, match="2026-11-20"):
            await backend.write_batch([event(3)])

    async def unblock(_: ParquetBackend) -> None:
        (folder / "2026-11-20").unlink()

    run(folder, block, write(event(1), event(2)), refused, unblock, write(event(3)), close)
    assert ids(folder) == [1, 2, 3]
    assert "tried again" in caplog.text


def test_an_old_file_is_read_together_with_a_new_one(folder: Path) -> None:
    run(folder, write(event(1)), close)
    old = pa.table(
        {
            "event_id": ["2".rjust(32, "0")],
            "timestamp": pa.array([BEGIN], SCHEMA.field("timestamp").type),
        }
    )
    pq.write_table(old, folder / "2026-11-20" / "events_old.parquet")
    assert ids(folder) == [1, 2]


def test_health_is_whether_it_can_be_written(folder: Path) -> None:
    async def healthy(backend: ParquetBackend) -> None:
        assert await backend.health_check()
        (folder / ".journal").rename(folder / "gone")
        assert not await backend.health_check()

    run(folder, healthy)


def test_a_change_of_folder_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def move(_: ParquetBackend) -> None:
        (tmp_path / "elsewhere").mkdir()
        os.chdir(tmp_path / "elsewhere")

    run(Path("events"), move, write(event(1)), close)
    assert ids(tmp_path / "events") == [1]
