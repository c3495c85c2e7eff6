"""How the software in containers other than vLLM's words its lines, each in its own form."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from llm_monitor.mock.logs.litellm import entry
from llm_monitor.mock.logs.roll import Stream

Form = Callable[[float, str, str], str]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of software writes.

    Attributes:
        image: What the name of its image has in it.
        form: Makes a line of a time, a level (INFO, WARNING or ERROR) and what is to be said.
        ready: What it says when it has come up.
        routine: What it says every few minutes; empty for nothing.
        full: What it says when it can't write to its disk; empty where it writes to none.
        stream: To which stream it writes.
    """

    image: str
    form: Form
    ready: str
    routine: str = ""
    full: str = ""
    stream: Stream = "stdout"


def of(image: str) -> Dialect:
    """Return how the software of `image` writes."""
    return next(one for one in _DIALECTS if one.image in image)


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def _milliseconds(time: float, form: str) -> str:
    return _moment(time).strftime(form)[:-3]


def _plain(time: float, level: str, text: str) -> str:
    return f"{_milliseconds(time, '%Y-%m-%d %H:%M:%S,%f')} {level} {text}"


def _postgres(time: float, level: str, text: str) -> str:
    word = {"INFO": "LOG"}.get(level, level)
    return f"{_milliseconds(time, '%Y-%m-%d %H:%M:%S.%f')} UTC [1] {word}:  {text}"


def _redis(time: float, level: str, text: str) -> str:
    mark = "*" if level == "INFO" else "#"
    return f"1:M {_milliseconds(time, '%d %b %Y %H:%M:%S.%f')} {mark} {text}"


def _langfuse(time: float, level: str, text: str) -> str:
    word = {"WARNING": "warn"}.get(level, level.lower())
    return f"{_milliseconds(time, '%Y-%m-%dT%H:%M:%S.%f')}Z {word:<5} {text}"


def _clickhouse(time: float, level: str, text: str) -> str:
    word = {"INFO": "Information"}.get(level, level.capitalize())
    return f"{_moment(time):%Y.%m.%d %H:%M:%S.%f} [ 1 ] {{}} <{word}> Application: {text}"


def _nginx(time: float, level: str, text: str) -> str:
    word = {"INFO": "notice", "WARNING": "warn"}.get(level, "error")
    return f"{_moment(time):%Y/%m/%d %H:%M:%S} [{word}] 1#1: {text}"


def _rust(time: float, level: str, text: str) -> str:
    word = {"WARNING": "WARN"}.get(level, level)
    return f"{_moment(time):%Y-%m-%dT%H:%M:%S.%f}Z {word:>5} text_embeddings_router: {text}"


# The last one takes all images that no other does.
_DIALECTS = (
    Dialect("litellm", entry, "Proxy is ready on port 4000", stream="stderr"),
    Dialect(
        "postgres",
        _postgres,
        "database system is ready to accept connections",
        "checkpoint complete",
        "could not extend file: No space left on device",
        "stderr",
    ),
    Dialect(
        "redis",
        _redis,
        "Ready to accept connections tcp",
        "Background saving terminated with success",
        "Error writing the dump to disk: No space left on device",
    ),
    Dialect("langfuse", _langfuse, "Ready", "caches were refreshed"),
    Dialect(
        "clickhouse",
        _clickhouse,
        "Ready for connections.",
        "merged parts of default.observations",
        "DB::Exception: Cannot write to file, errno: 28, strerror: No space left on device",
        "stderr",
    ),
    Dialect("nginx", _nginx, "start worker processes", stream="stderr"),
    Dialect("text-embeddings-inference", _rust, "Ready"),
    Dialect("", _plain, "ready"),
)
