import asyncio
import base64
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st

from exporter_testing.toys import GOOD, Hang, good, toy_exporter
from llm_monitor.base.collection.engine import Engine, Limits
from llm_monitor.base.exporter import Exporter
from llm_monitor.base.metrics.exposition import TEXT_TYPE
from llm_monitor.base.web.app import create_app
from llm_monitor.base.web.auth import Credentials
from llm_monitor.base.web.negotiation import patience, wants_gzip, wants_openmetrics

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
    "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
OPEN = Credentials()


def with_client(
    check: Callable[[httpx.AsyncClient], Awaitable[None]],
    exporter: Exporter | None = None,
    credentials: Credentials = OPEN,
    start: bool = True,
) -> None:
    async def run() -> None:
        engine = Engine(exporter or toy_exporter(good()), Limits())
        app = create_app(engine, credentials)
        if start:
            engine.start()
            while not engine.ready:
                await asyncio.sleep(0.01)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await check(client)

    asyncio.run(run())


def test_both_formats_plain_and_gzipped() -> None:
    async def check(client: httpx.AsyncClient) -> None:
        for accept, kind in (
            ("", "text/plain; version=0.0.4; charset=utf-8"),
            (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ):
            headers = {"accept": accept, "accept-encoding": "identity"}
            plain = await client.get("/metrics", headers=headers)
            assert plain.headers["content-type"] == kind
            assert "content-encoding" not in plain.headers
            assert "toy_good 1" in plain.text
            packed = await client.get("/metrics", headers={**headers, "accept-encoding": "gzip"})
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.headers["vary"] == "Accept, Accept-Encoding"
            assert packed.text == plain.text
            assert len(gzip.compress(plain.content)) < len(plain.content)

    with_client(check)


def test_the_page_for_people_needs_no_other_server() -> None:
    router = APIRouter()
    router.add_api_route("/api/v1/<things>/{id}", lambda: None, summary="Things & more.")

    async def check(client: httpx.AsyncClient) -> None:
        for path in ("/", "/docs"):
            page = await client.get(path)
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            for text in (
                '<a href="metrics">/metrics</a>',
                "503 before",
                "GET /api/v1/&lt;things&gt;/{id}",
                "Things &amp; more.",
            ):
                assert text in page.text
            assert "//" not in page.text
            assert "<script" not in page.text
            assert "<strong>Only a &lt;toy&gt;.</strong>" in page.text
        schema = await client.get("/openapi.json")
        assert schema.json()["info"]["description"] == "Only a <toy>."

    with_client(check, replace(toy_exporter(good()), router=router, note="Only a <toy>."))


def test_metrics_answers_itself_without_a_redirect() -> None:
    async def check(client: httpx.AsyncClient) -> None:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/nothing")).status_code == 404
        assert (await client.post("/metrics")).status_code == 405
        head = await client.head("/metrics")
        assert (head.status_code, head.headers["content-type"]) == (200, TEXT_TYPE)
        schema = (await client.get("/openapi.json")).json()
        assert set(schema["paths"]) == {"/metrics", "/health", "/ready"}
        ready = schema["paths"]["/ready"]["get"]
        assert (ready["operationId"], set(ready["responses"])) == ("ready", {"200", "503"})

    with_client(check)


def test_ready_only_after_the_first_collection() -> None:
    hang = Hang()

    async def check(client: httpx.AsyncClient) -> None:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/ready")).status_code == 503
        hurry = {"x-prometheus-scrape-timeout-seconds": "2"}
        answer = await client.get("/metrics", headers=hurry)
        assert (answer.status_code, "toy_good 1" in answer.text) == (200, True)

    with_client(check, toy_exporter(good(), hang), start=False)
    hang.released.set()


def test_a_json_api_beside_the_metrics() -> None:
    router = APIRouter()

    @router.get("/api/v1/toys")
    async def toys() -> list[str]:
        return ["ball"]

    async def check(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/v1/toys")).json() == ["ball"]

    with_client(check, Exporter("toy", (GOOD,), (good(),), router=router))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("credentials", "authorization", "allowed"),
    [
        (Credentials(), "", True),
        (Credentials(token="s3cret"), "Bearer s3cret", True),
        (Credentials(token="s3cret"), "bearer s3cret", True),
        (Credentials(token="s3cret"), "Bearer s3cre", False),
        (Credentials(token="s3cret"), "Bearer s3cret2", False),
        (Credentials(token="s3cret"), "Bearer ", False),
        (Credentials(token="s3cret"), "s3cret", False),
        (Credentials(token="s3cret"), basic("s3cret:"), False),
        (Credentials(token="s3cret"), "", False),
        (Credentials(username="ada", password="pä:ss"), basic("ada:pä:ss"), True),
        (Credentials(username="ada", password="pass"), basic("ada:"), False),
        (Credentials(username="ada", password="pass"), basic("bob:pass"), False),
        (Credentials(username="ada", password="pass"), "Basic !!!", False),
        (Credentials(username="ada", password="pass"), "Bearer ", False),
        (Credentials("s3cret", "ada", "pass"), "Bearer s3cret", True),
        (Credentials("s3cret", "ada", "pass"), basic("ada:pass"), True),
    ],
)
def test_only_the_right_credentials_open_all_but_the_probes(
    credentials: Credentials, authorization: str, allowed: bool
) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        headers = {"authorization": authorization} if authorization else {}
        for path in ("/metrics", "/docs", "/openapi.json"):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == (200 if allowed else 401)
            assert ("www-authenticate" in answer.headers) != allowed
        assert (await client.get("/nowhere", headers=headers)).status_code == (
            404 if allowed else 401
        )
        for path in ("/health", "/ready"):
            assert (await client.get(path)).status_code == 200

    with_client(check, credentials=credentials)


def test_two_authorization_headers_are_none() -> None:
    async def check(client: httpx.AsyncClient) -> None:
        headers = [("authorization", "Bearer wrong"), ("authorization", "Bearer s3cret")]
        assert (await client.get("/metrics", headers=headers)).status_code == 401

    with_client(check, credentials=Credentials(token="s3cret"))


def test_credentials_do_not_show_their_secrets() -> None:
    assert "s3cret" not in repr(Credentials("s3cret", "ada", "s3cret"))


@given(st.binary(max_size=60))
def test_any_authorization_header_is_only_refused(header: bytes) -> None:
    assert not Credentials("s3cret", "ada", "pass").allow(header)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=2.0.0, text/plain;q=0.1", False),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.5", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=high", False),
        (",;=,;;", False),
    ],
)
def test_the_format_follows_the_accept_header(accept: str, expected: bool) -> None:
    assert wants_openmetrics(accept) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("br", False),
        ("gzip;q=0, *", False),
    ],
)
def test_gzip_only_on_request(header: str, expected: bool) -> None:
    assert wants_gzip(header) == expected


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("10", 8),
        ("5", 4.5),
        ("1", 0.5),
        ("0.4", 0.2),
        ("", 8),
        ("soon", 8),
        ("nan", 8),
        ("inf", 8),
        ("-3", 8),
        ("0", 8),
    ],
)
def test_the_deadline_follows_the_scrape_timeout(header: str, seconds: float) -> None:
    assert patience(header) == pytest.approx(seconds)


@given(st.text(max_size=60))
def test_no_header_breaks_the_negotiation(header: str) -> None:
    assert wants_openmetrics(header) in {True, False}
    assert wants_gzip(header) in {True, False}
    assert 0 < patience(header) <= 8
