import json
import logging

import pytest
import structlog

from llm_monitor.base import logs


@pytest.fixture(autouse=True)
def restore() -> object:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()


def test_lines_of_libraries_look_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger("ours").info("something", path="/a\nb")
    logging.getLogger("theirs").warning("it's %s", "late")
    logging.getLogger("uvicorn.error").info("Started server process")
    try:
        int("nonsense")
    except ValueError:
        structlog.get_logger("ours").exception("broken")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["something", "it's late", "broken"]
    assert [line["logger"] for line in lines] == ["ours", "theirs", "ours"]
    assert "ValueError: invalid literal" in lines[2]["exception"]


def test_the_level_is_obeyed_and_the_console_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "console")
    structlog.get_logger("ours").info("quiet")
    structlog.get_logger("ours").warning("loud")
    out = capsys.readouterr().out
    assert "quiet" not in out
    assert "loud" in out
    assert "\x1b" not in out


def test_once_is_once() -> None:
    once = logs.Once("test")
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            once.info("not available", "a")
            once.info("not available", "b")
    assert [line["subject"] for line in lines] == ["a", "b"]


def test_once_forgets_what_is_long_gone_but_nothing_that_stays() -> None:
    once = logs.Once("test")
    with structlog.testing.capture_logs() as lines:
        for number in range(5000):
            once.info("not available", "stays")
            once.info("not available", f"gone-{number}")
        once.info("not available", "gone-0")
    subjects = [line["subject"] for line in lines]
    assert subjects.count("stays") == 1
    assert subjects.count("gone-0") == 2
