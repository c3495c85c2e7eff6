"""What holds of the simulation whatever befalls it: nothing is lost or comes from nowhere."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter_testing.simulated import START
from llm_monitor.langfuse.facts import WINDOWS
from llm_monitor.mock.fleet.reading import usual_fleet
from llm_monitor.mock.scenario.faults import KINDS, Fault
from llm_monitor.mock.world import engine, gateway, gpus
from llm_monitor.mock.world.forces import Forces
from llm_monitor.mock.world.gateway import LATENCY_BUCKETS, REASONS, Gateway
from llm_monitor.mock.world.latency import Buckets
from llm_monitor.mock.world.serving import (
    FIRST_TOKEN_BUCKETS,
    REQUEST_BUCKETS,
    TOKEN_BUCKETS,
    Pressure,
    Serving,
    Traits,
)
from llm_monitor.mock.world.state import Rule
from llm_monitor.mock.world.step import State
from llm_monitor.mock.world.world import STEP_SECONDS, World

FLEET = usual_fleet()
LONG = 1200.0
HOUR = 3600.0
SERVERS = 2
TARGETS = {
    "gpu": [str(one) for one in range(FLEET.gpu.count)],
    "model": [one.name for one in FLEET.models],
    "container": [one.container for one in FLEET.models] + [one.name for one in FLEET.containers],
    "limited container": ["litellm"],
    "mountpoint": [one.mountpoint for one in FLEET.disks],
    "device": [one.device for one in FLEET.disks],
    "exporter": ["litellm"],
    "none": [""],
}


@st.composite
def faults(draw: st.DrawFn) -> tuple[Fault, float]:
    """Return a fault, and how long it lasts."""
    name = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[name]
    target = draw(st.sampled_from(["", *TARGETS[kind.target]]))
    value = draw(st.sampled_from([kind.least, kind.usual, kind.most]))
    since = draw(st.floats(0, LONG))
    return Fault(name, target, value, START + since), draw(st.floats(30, LONG))


Befallen = Sequence[tuple[Fault, float]]
ANY = st.lists(faults(), max_size=6)
MOMENTS = st.lists(st.floats(0, LONG), min_size=2, max_size=12)


def world(befallen: Befallen, **levels: Any) -> World:
    def course(time: float) -> Forces:
        there = (one for one, lasts in befallen if one.since <= time < one.since + lasts)
        return Forces(faults=tuple(there), **levels)

    return World(FLEET, course, START, seed=3, servers=SERVERS)


def whole(one: World, until: float = LONG) -> Iterator[State]:
    """Give the states at the ends of all steps."""
    for number in range(1, int(until / STEP_SECONDS) + 1):
        yield one.at(START + number * STEP_SECONDS)


def counted(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give the path and the values of everything that only rises."""
    hints = get_type_hints(type(part), include_extras=True)
    for field in fields(part):
        value = getattr(part, field.name)
        if is_dataclass(value):
            yield from counted(value, f"{field.name}.")
        elif {Rule.COUNTED, Rule.GROWN} & {*getattr(hints[field.name], "__metadata__", ())}:
            yield path + field.name, value


def begun(before: State, after: State, path: str, shape: tuple[int, ...]) -> Any:
    """Return what may count anew: of what was started again between the two."""
    owner = path.partition(".")[0]
    begins = np.zeros((SERVERS, 1), np.bool_)
    started = after.containers.started != before.containers.started
    if owner == "serving":
        begins = started[:, : len(FLEET.models)]
    elif path in {f"containers.{name}" for name in ("restarts", "deaths", "kills")}:
        pass
    elif owner == "containers":
        begins = started
    elif owner == "gateway":
        begins = after.gateway.started != before.gateway.started
    return begins.reshape(begins.shape + (1,) * (len(shape) - 2))


LITELLM_ENDS = (Fault("container_stop", "litellm", 1, START + 300), 200.0)
MODEL_ENDS = (Fault("restart_loop", "vllm-phi3-mini", 100, START + 200), 600.0)


@example([LITELLM_ENDS, MODEL_ENDS], [100, 290, 310, 520, 560, 900])
@example([(Fault("io_wait", "", 1.0, START), 31.0)], [0.0, 30.0])
@given(ANY, MOMENTS)
@settings(deadline=None, max_examples=25)
def test_what_is_counted_never_falls(befallen: Befallen, moments: list[float]) -> None:
    one = world(befallen)
    before = one.at(START)
    for moment in sorted(moments):
        after = one.at(START + moment)
        for (path, low), (_, high) in zip(counted(before), counted(after), strict=True):
            falls = (high < low) & ~begun(before, after, path, low.shape)
            assert not falls.any(), path
            assert (high >= 0).all(), path
        before = after


@example([LITELLM_ENDS, MODEL_ENDS])
@example([(Fault("admission_stalled", "", 1, START), 300.0)])
@given(ANY)
@settings(deadline=None, max_examples=25)
def test_each_request_is_somewhere(befallen: Befallen) -> None:
    for state in whole(world(befallen)):
        vllm = state.serving
        there = vllm.waiting + vllm.running
        assert np.array_equal(vllm.arrived, vllm.completed + vllm.aborted + there)
        assert (vllm.waiting >= 0).all()
        assert (vllm.running >= 0).all()
        # What LiteLLM waits for is what vLLM has.
        models = len(FLEET.models)
        assert np.array_equal(state.gateway.in_flight[:, :models], there)
        assert not state.gateway.in_flight[:, models:].any()


@st.composite
def strains(draw: st.DrawFn) -> gateway.Strain:
    routes = len(FLEET.models) + len(FLEET.embedders)
    generator = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    some = draw(st.sampled_from([0.0, 0.002, 0.5, 1.0]))
    return gateway.Strain(
        time=START,
        saves=np.ones((1, 1), np.bool_),
        requests=generator.integers(0, draw(st.sampled_from([2, 100, 10_000])), (1, routes)),
        refused=generator.random((1, routes)) * some,
        failing=generator.random((1, routes)) * draw(st.sampled_from([0.0, 1.0])),
        answers=generator.random((1, routes)) < draw(st.sampled_from([0.0, 0.5, 1.0])),
        price=np.ones(routes),
        dither=generator.random((6, 1, routes)),
    )


@given(strains(), st.floats(0, 1))
@settings(deadline=None)
def test_each_request_is_answered_or_fails_once(strain: gateway.Strain, share: float) -> None:
    routes = world([]).plan.routes
    flow = gateway.route(routes, strain)
    before = Serving.start(1, routes.vllm)
    after = Serving.start(1, routes.vllm)
    after.completed = np.floor(flow.reached[:, : routes.vllm] * share).astype(np.int64)
    after.aborted = (flow.reached[:, : routes.vllm] - after.completed) // 2
    done = gateway.step(Gateway.start(1, routes, START), routes, strain, flow, (before, after))
    # Whoever answers: those of one model may have gone to another.
    ended = done.succeeded.sum() + done.failed.sum()
    assert strain.requests.sum() == ended + done.in_flight.sum()
    assert all(part.min() >= 0 for part in (done.failed, done.in_flight, flow.nowhere, flow.moved))
    assert not flow.reached[~strain.answers].any()
    assert done.failed.shape[-1] == len(REASONS)
    assert np.array_equal(done.latency.sum(axis=-1), done.succeeded)


def histograms(state: State) -> Iterator[tuple[str, Buckets, Any, Any]]:
    """Give name, buckets, counts and number of observations of all histograms."""
    vllm, through = state.serving, state.gateway
    for name in ("whole", "queued", "prefill", "decode"):
        yield name, REQUEST_BUCKETS, getattr(vllm, name), vllm.completed
    yield "first_token", FIRST_TOKEN_BUCKETS, vllm.first_token, vllm.completed
    yield "between_tokens", TOKEN_BUCKETS, vllm.between_tokens, vllm.answer_tokens
    yield "latency", LATENCY_BUCKETS, through.latency, through.succeeded
    begins = through.first_token + through.overhead
    yield "first_token and overhead", LATENCY_BUCKETS, begins, through.succeeded


@example([LITELLM_ENDS, MODEL_ENDS])
@given(ANY)
@settings(deadline=None, max_examples=15)
def test_histograms_add_up(befallen: Befallen) -> None:
    for state in whole(world(befallen)):
        for name, buckets, counts, number in histograms(state):
            assert (counts >= 0).all(), name
            assert np.array_equal(counts.sum(axis=-1), number), name
            total = buckets.total(counts)
            lower = np.array([0.0, *buckets.bounds])
            assert (total >= counts @ lower).all(), name
            within = counts[..., -1] == 0
            most = counts[..., :-1] @ np.array(buckets.bounds)
            assert (total <= most)[within].all(), name


def test_a_model_that_can_not_keep_up_fills_its_batch_or_its_cache() -> None:
    traits = Traits.of(FLEET)
    shape = 1, len(traits.names)
    yes, once = np.ones(shape, np.bool_), np.ones(shape)
    pressure = Pressure(np.full(shape, 10_000), yes, yes, yes, once, 8 * once)
    serving = Serving.start(*shape)
    for _ in range(100):
        serving = engine.step(serving, traits, pressure, STEP_SECONDS, np.zeros((6, *shape)))
    full = serving.cache_use == 1
    assert full[0, traits.names.index("llama3-70b")]
    assert (full | (serving.running == traits.batch)).all()


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=3), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_that_holds_it(counts: list[int], share: float) -> None:
    buckets = Buckets((1.0, 2.0))
    found = buckets.quantile(np.array(counts), share)
    if not sum(counts):
        assert found is None
        return
    assert found is not None
    assert 0 <= found <= 2
    below = sum(counts[: int(np.searchsorted([1.0, 2.0], found))])
    assert below <= share * sum(counts) + 1e-6
    assert found == 2.0 or share * sum(counts) <= sum(counts[: int(found) + 1]) + 1e-6


@given(st.sampled_from([1, 3, 10]), ANY)
@settings(deadline=None, max_examples=10)
def test_money_is_tokens_times_prices(times: float, befallen: Befallen) -> None:
    dear = (Fault("spend", "", times, START), 2 * LONG)
    others = [one for one in befallen if one[0].fault != "spend"]
    one = world([dear, *others])
    prices = one.plan.routes.prices * times
    for state in whole(one):
        through, told = state.gateway, state.traces
        cost = through.input_tokens * prices[0] + through.output_tokens * prices[1]
        assert through.spend == pytest.approx(cost, rel=1e-9)
        cost = told.input_tokens * prices[0] + told.output_tokens * prices[1]
        assert told.cost == pytest.approx(cost, rel=1e-9)


@given(st.lists(faults(), max_size=3), st.floats(5, 25))
@settings(deadline=None, max_examples=6)
def test_energy_is_the_integral_of_power(befallen: Befallen, apart: float) -> None:
    one = world(befallen)
    times = START + np.arange(0, 2 * HOUR, apart)
    states = [one.at(time) for time in times.tolist()]
    watts = np.stack([state.gpus.watts for state in states])
    joules = states[-1].gpus.joules - states[0].gpus.joules
    integral = np.trapezoid(watts, times, axis=0)
    # What is lost draws nothing: of that one per cent would be nothing too.
    assert joules == pytest.approx(integral, rel=0.01, abs=700 * STEP_SECONDS)


@given(st.floats(20, 110), st.floats(0.01, 1), st.floats(0, 60))
@settings(deadline=None)
def test_heat_follows_power_with_a_lag(celsius: float, activity: float, heat: float) -> None:
    seats = world([]).plan.seats
    nothing = np.zeros((1, FLEET.gpu.count))

    def after(celsius: float, activity: float) -> gpus.Gpus:
        before = gpus.Gpus.start(1, seats)
        before.celsius = nothing + celsius
        strain = gpus.Strain(
            seconds=STEP_SECONDS,
            present=nothing + 1,
            activity=nothing + activity,
            used=nothing + activity,
            loaded=nothing,
            leaked=nothing,
            tokens=nothing,
            heat=nothing + heat,
            brake=nothing,
            noise=nothing,
            rates=dict.fromkeys(("corrected", "uncorrected", "nvlink_errors", "replays"), nothing),
        )
        return gpus.step(before, seats, strain)

    found, warmer, resting = (
        after(celsius, activity),
        after(celsius + 10, activity),
        after(celsius, 0),
    )
    # What a start ten degrees warmer leaves of them tells how much of the way is made in a step.
    left = (warmer.celsius - found.celsius) / 10
    assert ((left > 0.3) & (left < 0.7)).all()
    target = (found.celsius - left * celsius) / (1 - left)
    assert (np.minimum(celsius, target) <= found.celsius + 1e-6).all()
    assert (found.celsius <= np.maximum(celsius, target) + 1e-6).all()
    # More power is more heat.
    assert (found.watts > resting.watts).all()
    assert (found.celsius > resting.celsius).all()
    assert (target > FLEET.host.inlet + heat).all()


@given(ANY)
@settings(deadline=None, max_examples=10)
def test_a_gpu_holds_no_more_than_its_memory(befallen: Befallen) -> None:
    for state in whole(world(befallen)):
        taken = state.gpus.memory + state.gpus.leaked
        assert (taken <= FLEET.gpu.memory * 1e9).all()
        assert (taken >= 0).all()


def digest(one: World, moment: float) -> bytes:
    """Return the hash of everything there is at a moment, and of what Langfuse was told."""
    found = sha256()

    def take(value: Any) -> None:
        if is_dataclass(value):
            for field in fields(value):
                take(getattr(value, field.name))
        else:
            found.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())

    state = one.at(START + moment)
    take(state)
    for seconds in WINDOWS.values():
        take(one.told("traces", state, seconds))
    return found.digest()


@example([MODEL_ENDS], [30.0, 30.0, 45.0, 15.0, 0.0, 90.0, 60.0])
@given(st.lists(faults(), max_size=4), st.lists(st.floats(0, 600), min_size=2, max_size=6))
@settings(deadline=None, max_examples=15)
def test_the_same_seed_gives_the_same_however_it_is_asked(
    befallen: Befallen, moments: list[float]
) -> None:
    one = world(befallen)
    in_order = {moment: digest(one, moment) for moment in sorted(moments)}
    other = world(befallen)
    for moment in [*moments, *reversed(moments)]:
        assert digest(other, moment) == in_order[moment]


def test_a_moment_a_little_earlier_is_not_worked_out_anew() -> None:
    asked: list[float] = []

    def course(time: float) -> Forces:
        asked.append(time)
        return Forces()

    one = World(FLEET, course, START, seed=3, servers=SERVERS)
    one.at(START + LONG)
    asked.clear()
    earlier = [digest(one, LONG - back) for back in (10.0, 40.0, 2 * STEP_SECONDS)]
    assert not asked
    assert earlier == [digest(world([]), LONG - back) for back in (10.0, 40.0, 2 * STEP_SECONDS)]


def test_servers_that_boot_after_a_lead_in_are_busy_and_have_counted_nothing() -> None:
    one = World(FLEET, lambda _: Forces(), START, seed=3, servers=SERVERS, lead_in=7200.0)
    first, later = one.at(START), one.at(START + 600)
    begun = {path.partition(".")[0] for path, value in counted(first) if value.any()}
    # LiteLLM's exporter begins to count by itself; Langfuse and the event store keep all they know.
    assert begun == {"gateway", "traces", "events"}
    assert (first.gpus.watts > 200).all()
    assert first.serving.running.sum() > 0
    assert (first.serving.arrived == first.serving.running + first.serving.waiting).all()
    assert (first.gateway.started == START).all()
    assert (first.containers.healthy & (first.containers.started < START)).all()
    assert one.told("traces", first, WINDOWS["1h"]).observations.sum() > 0
    assert (later.gpus.joules > 600 * 75.0).all()
    # Who asks for the moments before the boot and after it finds both.
    assert one.at(START - 15).gpus.joules.sum() > first.gpus.joules.sum()


def test_another_seed_gives_another_life() -> None:
    one, other = (World(FLEET, lambda _: Forces(), START, seed) for seed in (1, 2))
    assert digest(one, 300) != digest(other, 300)


def test_servers_side_by_side_live_by_chances_of_their_own() -> None:
    state = world([]).at(START + 600)
    first, second = state.gateway.succeeded
    assert not np.array_equal(first, second)


@given(st.sampled_from([0.0, 30.0, 299.0, 600.0, 601.5]))
@settings(deadline=None)
def test_one_server_alone_is_what_it_is_among_the_others(moment: float) -> None:
    one = world([])
    whole = one.at(START + moment)
    for server in range(SERVERS):
        state = one.at(START + moment, server)
        same(state, whole, server)
        for seconds in WINDOWS.values():
            same(
                one.told("traces", state, seconds, server),
                one.told("traces", whole, seconds),
                server,
            )


def same(alone: Any, whole: Any, server: int) -> None:
    """Check that `alone` is what `whole` tells of a server, and keeps nothing of the others."""
    for field in fields(whole):
        here, there = getattr(alone, field.name), getattr(whole, field.name)
        if is_dataclass(there):
            same(here, there, server)
        elif isinstance(there, np.ndarray):
            assert there.shape[0] == SERVERS
            assert np.array_equal(here, there[server : server + 1])
            assert here.base is None or here.base.shape[0] == 1
        else:
            assert here == there
