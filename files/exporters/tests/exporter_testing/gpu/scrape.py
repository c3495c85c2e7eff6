"""What tests ask of the series of a running GPU exporter."""

from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.process import Running

Labels = frozenset[tuple[str, str]]


class Scrape:
    """The series of one scrape."""

    def __init__(self, running: Running) -> None:
        self.text = running.get().text
        self.series: dict[tuple[str, Labels], float] = {}
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                # The binding's index says enough in tests.
                labels = {n: v for n, v in sample.labels.items() if n != "gpu_uuid"}
                self.series[sample.name, frozenset(labels.items())] = sample.value

    def one(self, name: str, **labels: object) -> float | None:
        """Return the value of `llm_monitor_gpu_NAME` with exactly these labels, or None."""
        wanted = frozenset((label, str(value)) for label, value in labels.items())
        return self.series.get((f"llm_monitor_gpu_{name}", wanted))

    def by(self, label: str, name: str, **labels: object) -> dict[str, float]:
        """Return the values of `llm_monitor_gpu_NAME` by a label, where the others are these."""
        wanted = {(other, str(value)) for other, value in labels.items()}
        found = {}
        for (series, pairs), value in self.series.items():
            rest = {pair for pair in pairs if pair[0] != label}
            if series == f"llm_monitor_gpu_{name}" and rest == wanted and rest != set(pairs):
                found[dict(pairs)[label]] = value
        return found

    def gpus(self, name: str, **labels: object) -> set[int]:
        """Return the indexes of the GPUs that have a series of `llm_monitor_gpu_NAME`."""
        return {int(gpu) for gpu in self.by("gpu", name, **labels)}

    def failing(self) -> set[str]:
        """Return the collectors that failed."""
        success = self.by("collector", "collector_success")
        return {name for name, value in success.items() if not value}

    def names(self) -> set[str]:
        """Return the names of all series."""
        return {name for name, _ in self.series}
