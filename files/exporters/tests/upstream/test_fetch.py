import asyncio
import gzip
import json
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from exporter_testing.hostile import HOSTILES, Hostile, answer, serving
from exporter_testing.process import Start, free_port, wait_for
from exporter_testing.toys import few_threads
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.fetch import LARGEST_BODY, Answer, Fetcher
from llm_monitor.base.upstream.room import Room

SECRET = "planted-secret"  # noqa: S105
# Without the time: it would be in names of tests, on which processes that share them agree.
PACKED = gzip.compress(b"good", mtime=0)


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher("test")


def get(fetcher: Fetcher, url: str, seconds: float = 5, **options: object) -> Answer:
    deadline = Deadline.after(seconds)
    return fetcher.run(fetcher.get(url, deadline=deadline, **options), deadline)  # type: ignore[arg-type]


def good(body: bytes = b"good\n", **headers: str) -> Hostile:
    return Hostile("good", frozenset(), lambda sock, _: answer(sock, body, **headers))


@pytest.mark.parametrize("hostile", [one for one in HOSTILES if not one.text], ids=str)
def test_a_hostile_upstream_costs_its_answer_and_says_why(
    fetcher: Fetcher, hostile: Hostile
) -> None:
    with serving(hostile) as url:
        began = time.monotonic()
        with pytest.raises(UpstreamError) as caught:
            get(fetcher, f"{url}/metrics?key={SECRET}", seconds=1.5, auth=SECRET).json()
        assert time.monotonic() - began < 2.5
    assert caught.value.reason in hostile.reasons
    assert SECRET not in str(caught.value)
    assert "planted" not in str(caught.value)


def test_a_thread_that_could_not_be_started_is_started_by_the_next_question(
    fetcher: Fetcher,
) -> None:
    with serving(good()) as url:
        with few_threads(0), pytest.raises(RuntimeError, match="can't start new thread"):
            get(fetcher, url, seconds=1)
        assert get(fetcher, url).status == 200


def test_an_error_that_was_asked_for_is_an_answer(fetcher: Fetcher) -> None:
    broken = Hostile("broken", frozenset(), lambda sock, _: answer(sock, b"why\n", "503 No"))
    with serving(broken) as url:
        got = get(fetcher, url, also=(503,))
        with pytest.raises(UpstreamError) as caught:
            get(fetcher, url, also=(500,))
    assert (got.status, got.body) == (503, b"why\n")
    assert caught.value.status == 503


def test_an_answer_arrives_whole(fetcher: Fetcher) -> None:
    body = json.dumps({"numbers": list(range(100_000))}).encode()
    for packed, headers in ((body, {}), (gzip.compress(body), {"content_encoding": "gzip"})):
        with serving(good(packed, **headers)) as url:
            got = get(fetcher, url.replace("//", "//user:pass@") + "/a/b?c=d")
        assert (got.status, got.body) == (200, body)
        assert got.headers["Content-Type"] == "text/plain"
        assert got.where == f"{url}/a/b"
        assert got.json()["numbers"][-1] == 99_999


def test_the_limit_is_for_what_arrives_and_for_what_it_unpacks_to(fetcher: Fetcher) -> None:
    for body in (b"x" * 1000, gzip.compress(b"x" * 1000)):
        headers = {} if body[:1] == b"x" else {"content_encoding": "gzip"}
        with serving(good(body, **headers)) as url:
            assert len(get(fetcher, url, limit=1000).body) == 1000
            with pytest.raises(UpstreamError) as caught:
                get(fetcher, url, limit=999)
        assert caught.value.reason is Reason.TOO_LARGE


def test_what_others_take_is_not_there_and_what_fails_gives_it_back(fetcher: Fetcher) -> None:
    room = Room(each=10, common=100)
    for body in (b"x" * 1000, gzip.compress(b"x" * 1000)):
        headers = {} if body[:1] == b"x" else {"content_encoding": "gzip"}
        with serving(good(body, **headers)) as url:
            with pytest.raises(UpstreamError) as caught:
                get(fetcher, url, share=room.share())
            assert caught.value.reason is Reason.TOO_LARGE
            assert room.common == 100
            assert len(get(fetcher, url, share=Room(10, 990).share()).body) == 1000


def test_a_bomb_is_not_unpacked_any_further_than_the_limit(fetcher: Fetcher) -> None:
    (bomb,) = (one for one in HOSTILES if one.name == "gzip_bomb")
    with serving(bomb) as url:
        tracemalloc.start()
        with pytest.raises(UpstreamError):
            get(fetcher, url)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 4 * LARGEST_BODY


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PACKED[:-4], "gzip"),
        (PACKED + b"more", "gzip"),
        (b"no gzip", "gzip"),
        (b"good", "br"),
        (gzip.compress(PACKED, mtime=0), "gzip, gzip"),
    ],
)
def test_what_is_packed_wrongly_is_an_error(fetcher: Fetcher, body: bytes, encoding: str) -> None:
    with (
        serving(good(body, content_encoding=encoding)) as url,
        pytest.raises(UpstreamError) as caught,
    ):
        get(fetcher, url)
    assert caught.value.reason is Reason.ENCODING


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_understood(fetcher: Fetcher, text: str, seconds: float | None) -> None:
    def serve(sock: socket.socket, _: str) -> None:
        answer(sock, b"", "429 Too Many Requests", retry_after=text)

    limited = Hostile("limited", frozenset(), serve)
    with serving(limited) as url, pytest.raises(UpstreamError) as caught:
        get(fetcher, url)
    assert caught.value.retry_after == seconds
    assert caught.value.status == 429


def test_what_is_shown_to_an_upstream(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[bytes] = []

    def serve(sock: socket.socket, _: str) -> None:
        answer(sock, b"")

    monkeypatch.setattr(
        "exporter_testing.hostile._until_blank",
        lambda sock: requests.append(sock.recv(65536)) or requests[-1],
    )
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(Hostile("echo", frozenset(), serve)) as url:
        get(fetcher, url, auth="token", params={"a": "b c"}, headers={"accept": "text/plain"})
        get(fetcher, url, auth=("user", "word"))
    assert b"GET /?a=b+c HTTP/1.1\r\n" in requests[0]
    assert b"\r\nauthorization: Bearer token\r\n" in requests[0]
    assert b"\r\naccept: text/plain\r\n" in requests[0]
    assert b"\r\nAuthorization: Basic dXNlcjp3b3Jk\r\n" in requests[1]


def test_no_cookie_is_kept(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[bytes] = []
    monkeypatch.setattr(
        "exporter_testing.hostile._until_blank",
        lambda sock: requests.append(sock.recv(65536)) or requests[-1],
    )
    with serving(good(set_cookie="session=planted; Path=/")) as one, serving(good()) as other:
        for url in (one, one, other):
            get(fetcher, url)
    assert len(requests) == 3
    assert b"cookie" not in b"".join(requests).lower()


@pytest.mark.parametrize("secret", [f"{SECRET}\nx: y", f"{SECRET}ä"])
def test_a_secret_that_can_not_be_sent_is_not_said_either(fetcher: Fetcher, secret: str) -> None:
    with serving(good()) as url, pytest.raises(UpstreamError) as caught:
        get(fetcher, url, auth=secret)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_nonsense_for_an_address_is_an_error(fetcher: Fetcher) -> None:
    for url in ("http://[", "http://a..b", "no-scheme", "http://127.0.0.1:99999"):
        with pytest.raises(UpstreamError):
            get(fetcher, url)


@pytest.fixture
def hanging_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let names hang until the test ends; give those that were asked for."""
    asked: list[str] = []
    ended = threading.Event()
    real = socket.getaddrinfo

    def hang(host: bytes, *rest: object) -> object:
        if not host.endswith(b".invalid"):
            return real(host, *rest)  # type: ignore[arg-type]
        asked.append(host.decode())
        ended.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield asked
    ended.set()


def test_a_name_server_that_hangs_costs_one_thread_a_name(
    fetcher: Fetcher, hanging_names: list[str]
) -> None:
    async def all_at_once(deadline: Deadline) -> list[object]:
        urls = [f"http://{name}.invalid" for name in ("one", "two") for _ in range(10)]
        asking = (fetcher.get(url, deadline=deadline) for url in urls)
        return await asyncio.gather(*asking, return_exceptions=True)

    for _ in range(3):
        deadline = Deadline.after(0.3)
        errors = fetcher.run(all_at_once(deadline), Deadline.after(5))
        assert {error.reason for error in errors if isinstance(error, UpstreamError)} == {"timeout"}
    assert sorted(hanging_names) == ["one.invalid", "two.invalid"]


def test_others_are_not_held_up(fetcher: Fetcher, hanging_names: list[str]) -> None:
    async def both(url: str) -> list[object]:
        slow = fetcher.get("http://slow.invalid", deadline=Deadline.after(1))
        quick = fetcher.get(url, deadline=Deadline.after(1))
        return await asyncio.gather(slow, quick, return_exceptions=True)

    with serving(good()) as url:
        slow, quick = fetcher.run(both(url), Deadline.after(2))
    assert isinstance(slow, UpstreamError)
    assert isinstance(quick, Answer)
    assert hanging_names == ["slow.invalid"]


def test_a_thread_that_can_not_be_started_costs_one_request(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(good()) as url:
        named = url.replace("127.0.0.1", "localhost")
        refusing = True
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if refusing and thread.name == "test-resolve":
                message = "can't start new thread"
                raise RuntimeError(message)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(UpstreamError) as caught:
            get(fetcher, named)
        assert caught.value.reason is Reason.CONNECTION
        refusing = False
        assert get(fetcher, named).body == b"good\n"


def test_work_that_does_not_end_is_given_up(fetcher: Fetcher) -> None:
    cancelled = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(UpstreamError) as caught:
        fetcher.run(hang(), Deadline.after(0.1))
    assert caught.value.reason is Reason.TIMEOUT
    wait_for(cancelled.is_set)


def test_connections_do_not_stay(fetcher: Fetcher) -> None:
    with serving(HOSTILES[3]) as url:
        for _ in range(5):
            with pytest.raises(UpstreamError):
                get(fetcher, url, seconds=0.1)
        wait_for(lambda: not established(int(url.rpartition(":")[2])))


def established(port: int) -> int:
    """Return how many connections to `port` there are on this side."""
    with open("/proc/self/net/tcp") as table:
        rows = [line.split() for line in table.read().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_a_file_of_authorities_that_is_none_is_named() -> None:
    fetcher = Fetcher("test", ca_file="/nowhere/ca.pem")
    with pytest.raises(UpstreamError, match=r"/nowhere/ca\.pem") as caught:
        get(fetcher, "https://127.0.0.1:9")
    assert caught.value.reason is Reason.TLS


def test_the_limit_holds_by_default() -> None:
    assert LARGEST_BODY == 8 * 1024 * 1024


def test_a_name_server_that_hangs_does_not_hold_up_the_end(start: Start) -> None:
    port = free_port()
    running = start([sys.executable, "-m", "exporter_testing.stuck_names", str(port)], port)
    assert 'collector_success{collector="asking"} 0' in running.get().text
    assert running.terminate() < 5
    assert running.process.returncode == 0
    assert "Traceback" not in running.output.read_text()
