import subprocess

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter_testing.process import tool
from llm_monitor.base.collection.snapshot import Snapshot
from llm_monitor.base.metrics.family import COUNTER, GAUGE, HISTOGRAM, Family, Histogram, Sample
from llm_monitor.base.metrics.guard import FamilyGuard, gather

PLAIN = Family("t_plain_seconds", GAUGE, 'Help with "quotes" and a \\.', unit="seconds")
LABELLED = Family("t_labelled_total", COUNTER, "Help.", labels=("first", "second"))
HISTOGRAMS = Family("t_took_seconds", HISTOGRAM, "Help.", labels=("kind",), unit="seconds")
BARE = Family("t_bare_seconds", HISTOGRAM, "Help.", unit="seconds")
FAMILIES = (PLAIN, LABELLED, HISTOGRAMS, BARE)


def snapshot(*samples: Sample) -> Snapshot:
    guards = {family: FamilyGuard(family, 200) for family in FAMILIES}
    series = gather(samples, guards)
    return Snapshot(
        0, [(guards[family], series[family]) for family in FAMILIES if family in series]
    )


texts = st.text(st.characters(codec="utf-8"), max_size=30)
numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=0) | st.integers(0, 2**63)


@given(st.dictionaries(st.tuples(texts, texts), numbers, max_size=20))
def test_both_parsers_read_back_what_was_written(values: dict[tuple[str, str], float]) -> None:
    one = snapshot(PLAIN(1.5), *(LABELLED(value, *labels) for labels, value in values.items()))
    expected = {labels: float(value) for labels, value in values.items()}
    for openmetrics, parse in ((False, parse_text), (True, parse_openmetrics)):
        families = {f.name: f for f in parse(one.body(openmetrics=openmetrics).decode())}
        assert families["t_plain_seconds"].samples[0].value == 1.5
        assert families["t_plain_seconds"].documentation == PLAIN.help
        assert families["t_plain_seconds"].unit == ("seconds" if openmetrics else "")
        if values:
            counted = families["t_labelled"]
            assert counted.type == "counter"
            # A label without a value is left out, which says the same.
            found = {
                tuple(s.labels.get(name, "") for name in LABELLED.labels): float(s.value)
                for s in counted.samples
            }
            assert found == expected


def test_histograms_read_back() -> None:
    value = Histogram((0.1, 1.0), (1, 2, 4), 7.25)
    one = snapshot(HISTOGRAMS(value, "slow"), BARE(value))
    for openmetrics, parse in ((False, parse_text), (True, parse_openmetrics)):
        families = {f.name: f for f in parse(one.body(openmetrics=openmetrics).decode())}
        for name, labels in (("t_took_seconds", {"kind": "slow"}), ("t_bare_seconds", {})):
            samples = {
                (s.name.removeprefix(name), s.labels.get("le")): s.value
                for s in families[name].samples
            }
            assert samples == {
                ("_bucket", "0.1"): 1,
                ("_bucket", "1.0"): 2,
                ("_bucket", "+Inf"): 4,
                ("_sum", None): 7.25,
                ("_count", None): 4,
            }
            assert all(labels.items() <= s.labels.items() for s in families[name].samples)


def test_names_that_are_no_utf8_stay_readable() -> None:
    body = snapshot(LABELLED(1, "/mnt/\udcff", "")).body().decode()
    (family,) = parse_text(body)
    assert family.samples[0].labels["first"] == r"/mnt/\udcff"


def test_promtool_has_nothing_to_object() -> None:
    value = Histogram((0.1,), (1, 2), 7.25)
    body = snapshot(PLAIN(1), LABELLED(1, "a\nb", 'c"\\'), HISTOGRAMS(value, "k")).body()
    command = [tool("promtool"), "check", "metrics"]
    check = subprocess.run(command, input=body, capture_output=True, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")


def test_each_body_is_rendered_once() -> None:
    one = snapshot(PLAIN(1))
    assert one.body(gzipped=True) is one.body(gzipped=True)
    assert one.body() is one.body()
