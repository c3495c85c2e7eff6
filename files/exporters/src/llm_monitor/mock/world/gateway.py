"""LiteLLM: who asks which model, what it passes on, what fails, and what it costs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from llm_monitor.litellm import reasons
from llm_monitor.mock.fleet.layout import Embedder, Fleet, Model
from llm_monitor.mock.world.latency import Buckets
from llm_monitor.mock.world.serving import Serving
from llm_monitor.mock.world.state import Counted, Counts, Flags, Floats, Grown

# The buckets of LiteLLM 1.106 (recorded), without the last one (+Inf).
LATENCY = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 420.0,
    600.0,
)  # fmt: skip
LATENCY_BUCKETS = Buckets(LATENCY)

REASONS = (
    reasons.BAD_REQUEST,
    reasons.RATE_LIMIT,
    reasons.SERVER_ERROR,
    reasons.TIMEOUT,
    reasons.CONNECTION,
)
_BAD_REQUEST, _RATE_LIMIT, _SERVER_ERROR, _TIMEOUT, _CONNECTION = range(len(REASONS))
# The shares of what is refused for each of the reasons, added up.
_USUAL_FAILURES = np.array([0.55, 0.85, 1.0, 1.0, 1.0])
_OVERHEAD_SECONDS = 0.006
# The share of the answers that are streamed.
_STREAMED = 0.6
# LiteLLM checks by itself so often, unless it is told otherwise.
_CHECK_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Routes:
    """What LiteLLM routes to, the models of vLLM first.

    Attributes:
        names: Names of all that it routes to.
        vllm: How many of them are vLLM's.
        fallback: For each the place of the one that stands in for it, -1 for none.
        requests: Requests a second, the mean of a day.
        prompt: Tokens of a prompt.
        latency: Seconds of a request to those that are not vLLM's.
        prices: USD of a token of a prompt and of an answer.
    """

    names: tuple[str, ...]
    vllm: int
    fallback: tuple[int, ...]
    requests: Floats
    prompt: Floats
    latency: Floats
    prices: Floats

    @classmethod
    def of(cls, fleet: Fleet) -> "Routes":
        """Return the routes to the models of `fleet`."""
        models, embedders = fleet.models, fleet.embedders
        serving: list[Model | Embedder] = [*models, *embedders]
        places = {one.name: place for place, one in enumerate(models)}
        prices = [(one.input_price, one.output_price) for one in models]
        prices += [(one.input_price, 0.0) for one in embedders]
        return cls(
            names=tuple(one.name for one in serving),
            vllm=len(models),
            fallback=(
                *(places.get(one.fallback or "", -1) for one in models),
                *[-1] * len(embedders),
            ),
            requests=np.array([one.requests for one in serving]),
            prompt=np.array([one.prompt for one in serving]),
            latency=np.array([one.latency for one in embedders]),
            prices=np.array(prices).T / 1e6,
        )


@dataclass(slots=True)
class Strain:
    """What a step asks of LiteLLM, by server and route where not said otherwise.

    Attributes:
        time: The end of the step, Unix time.
        saves: Whether it could keep the results of health checks, by server.
        requests: Requests that clients make.
        refused: The share of them that fails at once.
        failing: The share of the others that fails at the model.
        answers: Whether the model answers.
        price: By what it costs more, 1 as usual.
        dither: Numbers from 0 to 1: six for each.
    """

    time: float
    saves: Flags
    requests: Counts
    refused: Floats
    failing: Floats
    answers: Flags
    price: Floats
    dither: Floats


@dataclass(slots=True)
class Flow:
    """How the requests of a step go on, by server and route.

    Each is refused, fails, reaches a model, its own or another, or can go nowhere.

    Attributes:
        refused: Those that fail at once, by reason too (the last axis).
        failing: Those that fail at the model.
        reached: What reaches each model, that for other models among it.
        moved: What went to another model instead.
        nowhere: What could go nowhere.
    """

    refused: Counts
    failing: Counts
    reached: Counts
    moved: Counts
    nowhere: Counts


@dataclass(slots=True)
class Gateway:
    """What LiteLLM has done since its start, by server and route where not said otherwise.

    What another model answered is counted under that model, as LiteLLM does.

    Attributes:
        started: When LiteLLM was last started, Unix time, by server.
        succeeded: Requests that were answered.
        failed: Requests that were not, by reason too (the last axis).
        in_flight: Requests that a model works on.
        input_tokens: Tokens of prompts.
        output_tokens: Tokens of answers.
        spend: What they cost, in USD.
        latency: Time of a whole request.
        first_token: Time to first token, of those that are streamed.
        overhead: What LiteLLM adds, to those that are not.
        fallbacks: Requests for it that went to another model.
        failed_fallbacks: Requests for it that should have, when that did not answer either.
        cooled: How often a deployment was taken out of routing.
        reachable: Whether LiteLLM could use the deployment when it last tried.
        checked: When LiteLLM last checked its deployments, Unix time, by server.
        healthy: Whether the deployment answered then.
    """

    started: Floats
    succeeded: Counted
    failed: Counted
    in_flight: Counts
    input_tokens: Counted
    output_tokens: Counted
    spend: Grown
    latency: Counted
    first_token: Counted
    overhead: Counted
    fallbacks: Counted
    failed_fallbacks: Counted
    cooled: Counted
    reachable: Flags
    checked: Floats
    healthy: Flags

    @classmethod
    def start(cls, servers: int, routes: Routes, time: float) -> "Gateway":
        """Return a LiteLLM that was started at `time` and has done nothing yet."""
        shape = servers, len(routes.names)
        made: dict[str, Any] = {name: np.zeros(shape, np.int64) for name in cls.__slots__}
        made["failed"] = np.zeros((*shape, len(REASONS)), np.int64)
        made["spend"] = np.zeros(shape)
        for name in ("latency", "first_token", "overhead"):
            made[name] = LATENCY_BUCKETS.empty(*shape)
        made["reachable"] = made["healthy"] = np.ones(shape, np.bool_)
        made["started"] = made["checked"] = np.full((servers, 1), time)
        return cls(**made)

    def restarted(self, begun: Flags, time: float) -> "Gateway":
        """Return the same where LiteLLM has not `begun` anew at `time`; else it counts from 0.

        What models work on and what the database keeps stays.
        """
        if not begun.any():
            return self
        made = {name: getattr(self, name) for name in self.__slots__}
        for name in set(made) - {"started", "in_flight", "reachable", "checked", "healthy"}:
            made[name] = made[name].copy()
            made[name][begun] = 0
        made["started"] = np.where(begun[:, None], time, self.started)
        made["reachable"] = self.reachable | begun[:, None]
        return Gateway(**made)


def route(routes: Routes, strain: Strain) -> Flow:
    """Return how the requests of a step go on."""
    refused = _part(strain.requests, strain.refused, strain.dither[3])
    failing = _part(strain.requests - refused, strain.failing, strain.dither[4])
    good = strain.requests - refused - failing
    own = good * strain.answers
    lost = good - own
    guests = np.zeros_like(own)
    moved = np.zeros_like(own)
    for place, other in enumerate(routes.fallback):
        if other >= 0:
            moved[:, place] = lost[:, place] * strain.answers[:, other]
            guests[:, other] += moved[:, place]
    # What is rounded down here is made good at the next reason, so that they add up.
    upto = np.floor(refused[..., None] * _USUAL_FAILURES + strain.dither[5][..., None])
    upto[..., 1:] -= upto[..., :-1].copy()
    return Flow(upto.astype(np.int64), failing, own + guests, moved, lost - moved)


def step(
    before: Gateway,
    routes: Routes,
    strain: Strain,
    flow: Flow,
    servers: tuple[Serving, Serving],
) -> Gateway:
    """Return LiteLLM after a step: `flow` as `route` has it, and vLLM before and after it."""
    done = _done(routes, flow.reached, servers)
    succeeded = done.completed
    cost = (done.inputs * routes.prices[0] + done.outputs * routes.prices[1]) * strain.price
    tried = strain.requests > 0
    down = ~strain.answers & tried
    streamed = np.rint(succeeded * _STREAMED).astype(np.int64)
    streamed[:, routes.vllm :] = 0
    overhead = np.full(succeeded.shape, _OVERHEAD_SECONDS)
    observe, dither = LATENCY_BUCKETS.observe, strain.dither
    checks = strain.saves & (strain.time - before.checked >= _CHECK_SECONDS)
    return Gateway(
        started=before.started,
        succeeded=before.succeeded + succeeded,
        failed=before.failed + _failures(strain, flow, done.aborted),
        in_flight=before.in_flight + flow.reached - succeeded - done.aborted,
        input_tokens=before.input_tokens + done.inputs,
        output_tokens=before.output_tokens + done.outputs,
        spend=before.spend + cost,
        latency=observe(before.latency, succeeded, done.latency, dither[0]),
        first_token=observe(before.first_token, streamed, done.first_token, dither[1]),
        overhead=observe(before.overhead, succeeded - streamed, overhead, dither[2]),
        fallbacks=before.fallbacks + flow.moved,
        failed_fallbacks=before.failed_fallbacks + flow.nowhere * (np.array(routes.fallback) >= 0),
        cooled=before.cooled + (down & before.reachable),
        reachable=np.where(tried, strain.answers, before.reachable),
        checked=np.where(checks, strain.time, before.checked),
        healthy=np.where(checks, strain.answers, before.healthy),
    )


def _part(number: Counts, share: Floats, dither: Floats) -> Counts:
    """Return a share of a number in whole numbers; of few it is one now and then."""
    part: Counts = np.minimum(np.floor(number * share + dither), number).astype(np.int64)
    return part


@dataclass(slots=True)
class _Done:
    """What the models have done in a step: numbers, tokens, and medians of seconds."""

    completed: Counts
    aborted: Counts
    inputs: Counts
    outputs: Counts
    latency: Floats
    first_token: Floats


def _done(routes: Routes, reached: Counts, servers: tuple[Serving, Serving]) -> _Done:
    """Return what vLLM has done, and all others with what `reached` them."""
    earlier, later = servers
    others = reached[:, routes.vllm :]
    none = np.zeros_like(others)
    texts = np.rint(others * routes.prompt[routes.vllm :]).astype(np.int64)
    queue, prefill, token, whole = later.medians.swapaxes(0, 1)
    fast = np.broadcast_to(routes.latency, others.shape)

    def both(of_vllm: Any, of_others: Any) -> Any:
        return np.concatenate([of_vllm, of_others], axis=1)

    return _Done(
        completed=both(later.completed - earlier.completed, others),
        aborted=both(later.aborted - earlier.aborted, none),
        inputs=both(later.prompt_tokens - earlier.prompt_tokens, texts),
        outputs=both(later.answer_tokens - earlier.answer_tokens, none),
        latency=both(whole, fast) + _OVERHEAD_SECONDS,
        first_token=both(queue + prefill + token, fast),
    )


def _failures(strain: Strain, flow: Flow, aborted: Counts) -> Counts:
    """Return what failed in a step, by reason."""
    failed = flow.refused.copy()
    failed[..., _SERVER_ERROR] += flow.failing
    failed[..., _CONNECTION] += flow.nowhere + aborted * ~strain.answers
    failed[..., _TIMEOUT] += aborted * strain.answers
    return failed
