from structlog.testing import capture_logs

from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError


def test_a_failure_is_logged_once_and_counted_each_time() -> None:
    complaints = Complaints("test")
    slow, broken = UpstreamError(Reason.TIMEOUT, "slow"), UpstreamError(Reason.STATUS, "broken")
    with capture_logs() as lines:
        for error in (slow, slow, broken, slow, broken):
            complaints.failed("a", error, networks=["n"])
        complaints.recovered("a")
        complaints.recovered("a")
        complaints.failed("a", slow)
    told = [(line["event"], line.get("reason")) for line in lines]
    assert told == [
        ("upstream failed", "timeout"),
        ("upstream failed", "status"),
        ("upstream recovered", None),
        ("upstream failed", "timeout"),
    ]
    assert lines[0] == {
        "event": "upstream failed",
        "log_level": "warning",
        "upstream": "a",
        "reason": "timeout",
        "error": "slow",
        "networks": ["n"],
    }
    assert complaints.counts() == {("a", "timeout"): 4, ("a", "status"): 2}


def test_parts_fail_and_recover_by_themselves() -> None:
    complaints = Complaints("test")
    error = UpstreamError(Reason.TIMEOUT, "slow")
    with capture_logs() as lines:
        complaints.failed("a", error, "/metrics")
        complaints.failed("a", error, "/version")
        complaints.failed("b", error, "/version")
        complaints.recovered("a", "/version")
        complaints.failed("a", error, "/metrics")
    assert [(line["upstream"], line["part"]) for line in lines] == [
        ("a", "/metrics"),
        ("a", "/version"),
        ("b", "/version"),
        ("a", "/version"),
    ]
    assert complaints.counts() == {("a", "timeout"): 3, ("b", "timeout"): 1}


def test_those_that_are_gone_are_forgotten() -> None:
    complaints = Complaints("test")
    error = UpstreamError(Reason.DNS, "unknown")
    for upstream in ("a", "b"):
        complaints.failed(upstream, error)
    complaints.keep({"b"})
    assert complaints.counts() == {("b", "dns"): 1}
    with capture_logs() as lines:
        complaints.failed("b", error)
        complaints.failed("a", error)
    assert [line["upstream"] for line in lines] == ["a"]
