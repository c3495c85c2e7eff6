"""Turns what a vLLM server exposes into our families, whatever its version calls them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from llm_monitor.base.metrics.family import Sample
from llm_monitor.base.upstream.exposition import Point, histogram_names, histograms
from llm_monitor.vllm import metrics
from llm_monitor.vllm.server import names

Key = tuple[str, ...]
Engines = dict[Key, dict[str, float]]


class Exposed:
    """What one server exposes.

    Its engines are told apart by a label, or there is one. Where several processes answer for one
    engine (--api-server-count), each has a label `pid`, and gauges are the same in all of them.
    """

    def __init__(self, points: Iterable[Point]) -> None:
        """Sort `points` by their names."""
        self._by_name: dict[str, list[Point]] = defaultdict(list)
        for point in points:
            self._by_name[point.name].append(point)

    def models(self) -> tuple[str, ...]:
        """Return the models under whose names it counts, sorted."""
        named = (
            point.labels.get(names.MODEL, "")
            for source in (*names.GAUGES, *names.COUNTERS)
            for name in source.names
            for point in self._by_name.get(name, ())
        )
        return tuple(sorted(set(named) - {""}))

    def started(self) -> float | None:
        """Return when its process started, Unix time in seconds, None when it does not tell."""
        found = self._by_name.get(names.PROCESS_START)
        return found[0].value if found else None

    def samples(self, container: str) -> Iterator[Sample]:
        """Give our samples of it, under the name `container`."""
        for source in names.GAUGES:
            for key, engines in self._engines(source.names, source.labels).items():
                yield source.family(sum(engines.values()), container, *key)
        for source in names.COUNTERS:
            sums: dict[Key, float] = defaultdict(float)
            for point in self._newest(source.names):
                sums[_key(point, source.labels)] += point.value
            for key, total in sums.items():
                yield source.family(total, container, *key)
        yield from self._histograms(container)
        yield from self._cache(container)
        for key, engines in self._engines((names.SLEEP_STATE,), (), _awake).items():
            yield metrics.ENGINE_AWAKE(int(min(engines.values()) > 0), container, *key)

    def _histograms(self, container: str) -> Iterator[Sample]:
        for source in names.HISTOGRAMS:
            for name in source.names:
                points = [one for part in _parts(name) for one in self._by_name.get(part, ())]
                if points:
                    for key, value in histograms(points, name, (names.MODEL,)).items():
                        yield source.family(value, container, *key)
                    break

    def _cache(self, container: str) -> Iterator[Sample]:
        capacities = self._capacities()
        for key, engines in self._engines(names.KV_CACHE_USAGE, ()).items():
            weights = {engine: capacities[engine] for engine in engines if engine in capacities}
            if len(weights) == len(engines):
                yield metrics.KV_CACHE_CAPACITY(sum(weights.values()), container, *key)
            else:
                weights = dict.fromkeys(engines, 1.0)
            used = sum(share * weights[engine] for engine, share in engines.items())
            yield metrics.KV_CACHE_USAGE(used / sum(weights.values()), container, *key)

    def _capacities(self) -> dict[str, float]:
        """Return for how many tokens each engine's cache has room, where vLLM says it itself.

        Blocks times their size is not it: with some kinds of attention a token takes more blocks
        than one, or fewer.
        """
        found: dict[str, float] = {}
        for point in self._by_name.get(names.CACHE_CONFIG, ()):
            text = point.labels.get(names.CAPACITY_LABEL, "")
            if text.isascii() and text.isdigit() and (tokens := int(text[:18])):
                found[point.labels.get(names.ENGINE, "")] = tokens
        return found

    def _newest(self, candidates: Iterable[str]) -> list[Point]:
        return next((found for one in candidates if (found := self._by_name.get(one))), [])

    def _engines(
        self,
        candidates: Iterable[str],
        labels: tuple[str, ...],
        counts: Callable[[Point], bool] = lambda _: True,
    ) -> Engines:
        """Return a gauge by model (and `labels`), then by engine."""
        found: Engines = defaultdict(dict)
        for point in self._newest(candidates):
            if counts(point):
                engines, engine = found[_key(point, labels)], point.labels.get(names.ENGINE, "")
                engines[engine] = max(point.value, engines.get(engine, point.value))
        return found


def _key(point: Point, labels: tuple[str, ...]) -> Key:
    return tuple(point.labels.get(label, "") for label in (names.MODEL, *labels))


def _awake(point: Point) -> bool:
    return point.labels.get(names.SLEEP_LABEL) == names.AWAKE


def _parts(name: str) -> tuple[str, ...]:
    return tuple(histogram_names(name))
