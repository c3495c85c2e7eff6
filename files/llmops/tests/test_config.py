"""Settings: where they come from, which go before, and what is said about wrong ones."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmops_monitoring import MonitorConfig, Price, StorageConfig


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LLMOPS_"):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    config = MonitorConfig()
    assert (config.storage.backend, config.storage.batch_size) == ("parquet", 100)
    assert config.storage.flush_interval_seconds == 5
    assert (config.max_queue_size, config.overflow) == (10_000, "drop_newest")
    assert (config.sample_rate, config.fail_silently) == (1, True)
    for name in ("capture_content", "record_error_messages", "measure_text", "measure_images"):
        assert getattr(config, name) is False


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_STORAGE__BACKEND", "postgres")
    monkeypatch.setenv("LLMOPS_STORAGE__CONNECTION_STRING", "postgresql://me:secret@host/db")
    monkeypatch.setenv("llmops_sample_rate", "0.25")
    monkeypatch.setenv("LLMOPS_PRICES", '{"llama": {"input": 1, "output": 2}}')
    config = MonitorConfig.from_env()
    assert config.storage.connection_string is not None
    assert config.storage.connection_string.get_secret_value() == "postgresql://me:secret@host/db"
    assert config.sample_rate == 0.25
    assert config.prices == {"llama": Price(input=1, output=2)}
    assert "secret" not in repr(config)


def test_what_the_program_says_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_MAX_QUEUE_SIZE", "5")
    monkeypatch.setenv("LLMOPS_STORAGE__BATCH_SIZE", "7")
    assert MonitorConfig(max_queue_size=6).max_queue_size == 6
    config = MonitorConfig(storage=StorageConfig(batch_size=8))
    assert (config.storage.batch_size, config.max_queue_size) == (8, 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLMOPS_SAMPLE_RAT", "1"),
        ("LLMOPS_STORAGE__BATCH_SIZ", "1"),
        ("LLMOPS_STORAG__BATCH_SIZE", "1"),
        ("LLMOPS_SAMPLE_RATE", "2"),
        ("LLMOPS_STORAGE__BATCH_SIZE", "0"),
        ("LLMOPS_STORAGE__TABLE_NAME", "events; drop table users"),
        ("LLMOPS_OVERFLOW", "block"),
        ("LLMOPS_STORAGE__FLUSH_INTERVAL_SECONDS", "inf"),
    ],
)
def test_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        MonitorConfig.from_env()
    assert name.split("_", 1)[1].lower().split("__")[-1] in str(caught.value).lower()
    for preset in (MonitorConfig.for_local_dev, MonitorConfig.for_production):
        with pytest.raises(ValidationError):
            preset(storage={"connection_string": "x"})


def test_wrong_setting_of_the_program_is_named() -> None:
    settings: dict[str, Any] = {"max_queue": 5}
    with pytest.raises(ValidationError, match="max_queue"):
        MonitorConfig(**settings)
    with pytest.raises(ValidationError, match="batch"):
        StorageConfig.model_validate({"batch": 5})


def test_what_is_wrong_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_STORAGE__CONNECTION", "postgresql://me:secret@host/db")
    monkeypatch.setenv("LLMOPS_PASSWORD", "secret")
    with pytest.raises(ValidationError) as caught:
        MonitorConfig.from_env()
    assert "LLMOPS_PASSWORD" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage": {"backend": "postgres"}}, "LLMOPS_STORAGE__CONNECTION_STRING"),
        ({"transport": "redis"}, "LLMOPS_REDIS_URL"),
        ({"storage": {"options": {"color": "red"}}}, "backend parquet takes no options: color"),
    ],
)
def test_settings_that_need_each_other(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MonitorConfig(**settings)


def test_options_are_for_the_backends_of_others() -> None:
    storage = StorageConfig(backend="mine", options={"color": "red"})
    assert storage.options == {"color": "red"}


def test_local_development(monkeypatch: pytest.MonkeyPatch) -> None:
    config = MonitorConfig.for_local_dev()
    assert config.storage.output_dir == Path("llmops_events")
    assert config.storage.flush_interval_seconds == 1
    monkeypatch.setenv("LLMOPS_STORAGE__FLUSH_INTERVAL_SECONDS", "2")
    monkeypatch.setenv("LLMOPS_STORAGE__BATCH_SIZE", "9")
    config = MonitorConfig.for_local_dev(storage=StorageConfig(batch_size=3), measure_text=True)
    assert config.storage.flush_interval_seconds == 2
    assert config.storage.batch_size == 3
    assert config.measure_text


def test_production(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="LLMOPS_STORAGE__CONNECTION_STRING"):
        MonitorConfig.for_production()
    monkeypatch.setenv("LLMOPS_STORAGE__CONNECTION_STRING", "postgresql://host/db")
    config = MonitorConfig.for_production(max_retries=9)
    assert (config.storage.backend, config.storage.batch_size) == ("postgres", 1000)
    assert (config.overflow, config.max_retries) == ("spill", 9)


def test_settings_never_change() -> None:
    config: Any = MonitorConfig()
    with pytest.raises(ValidationError):
        config.sample_rate = 0.5
