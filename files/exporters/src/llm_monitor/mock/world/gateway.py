"""LiteLLM: who asks which model, what it passes on, what fails, and what it costs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from llm_monitor.litellm import reasons
from llm_monitor.mock.fleet.layout import Embedder, Fleet, Model
from llm_monitor.mock.world.latency import Buckets
from llm_monitor.mock.world.serving import Serving, Traits
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
_USUAL_FAILURES = np.array([0.55, 0.3, 0.15, 0.0, 0.0])
_OVERHEAD_SECONDS = 0.006


@dataclass(frozen=True, slots=True)
class Routes:
    """What LiteLLM routes to, the models of vLLM first.

    Attributes:
        names: Names of all that it routes to.
        vllm: How many of them are vLLM's.
        fallback: For each of vLLM's the place of the one that stands in for it, -1 for none.
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
            fallback=tuple(places.get(one.fallback or "", -1) for one in models),
            requests=np.array([one.requests for one in serving]),
            prompt=np.array([one.prompt for one in serving]),
            latency=np.array([one.latency for one in embedders]),
            prices=np.array(prices).T / 1e6,
        )


@dataclass(slots=True)
class Strain:
    """What a step asks of LiteLLM, by server and route.

    Attributes:
        requests: Requests that clients make.
        refused: The share of them that fails at once.
        failing: The share of them that fails at the model.
        answers: Whether the model answers.
        price: By what it costs more, 1 as usual.
        dither: Numbers from 0 to 1: five for each.
    """

    requests: Counts
    refused: Floats
    failing: Floats
    answers: Flags
    price: Floats
    dither: Floats


@dataclass(slots=True)
class Gateway:
    """What LiteLLM has done, by server and route.

    Attributes:
        succeeded: Requests that were answered.
        failed: Requests that were not, by reason too (the last axis).
        input_tokens: Tokens of prompts.
        output_tokens: Tokens of answers.
        spend: What they cost, in USD.
        latency: Time of a whole request.
        first_token: Time to first token.
        overhead: What LiteLLM adds to that.
        fallbacks: Requests that another model answered.
        failed_fallbacks: Requests that no other model could answer.
        cooled: How often a deployment was taken out of routing.
        owed: Answers of each of vLLM's models that belong to requests for another.
        reachable: Whether LiteLLM could use the deployment when it last tried.
    """

    succeeded: Counted
    failed: Counted
    input_tokens: Counted
    output_tokens: Counted
    spend: Grown
    latency: Counted
    first_token: Counted
    overhead: Counted
    fallbacks: Counted
    failed_fallbacks: Counted
    cooled: Counted
    owed: Counted
    reachable: Flags

    @classmethod
    def start(cls, servers: int, routes: Routes) -> "Gateway":
        """Return a LiteLLM that has done nothing yet."""
        shape = servers, len(routes.names)
        made: dict[str, Any] = {name: np.zeros(shape, np.int64) for name in cls.__slots__}
        made["failed"] = np.zeros((*shape, len(REASONS)), np.int64)
        made["spend"] = np.zeros(shape)
        for name in ("latency", "first_token", "overhead"):
            made[name] = LATENCY_BUCKETS.empty(*shape)
        made["reachable"] = np.ones(shape, np.bool_)
        return cls(**made)


def route(routes: Routes, strain: Strain) -> tuple[Counts, Counts, Counts, Counts]:
    """Return how the requests of a step go on, by server and route.

    Returns:
        What reaches each model; what of that comes from requests for another; what of the requests
        for each went to another; what could go nowhere.
    """
    failing = np.rint(strain.requests * np.minimum(1.0, strain.refused + strain.failing))
    good = strain.requests - failing.astype(np.int64)
    own = good * strain.answers
    lost = good - own
    guests = np.zeros_like(own)
    moved = np.zeros_like(own)
    for place, other in enumerate(routes.fallback):
        if other >= 0:
            moved[:, place] = lost[:, place] * strain.answers[:, other]
            guests[:, other] += moved[:, place]
    return own + guests, guests, moved, lost - moved


def step(
    before: Gateway,
    routes: Routes,
    traits: Traits,
    strain: Strain,
    flow: tuple[Counts, Counts, Counts, Counts],
    servers: tuple[Serving, Serving],
) -> Gateway:
    """Return LiteLLM after a step: `flow` as `route` has it, and vLLM before and after it."""
    reached, guests, moved, nowhere = flow
    completed, aborted, latency, first = _done(routes, reached, servers)
    owed = before.owed + guests
    repaid = np.minimum(owed, completed)
    succeeded = completed - repaid + moved
    failed = _failures(strain, nowhere, aborted)
    answers = np.zeros_like(routes.prompt)
    answers[: routes.vllm] = traits.answer
    inputs = np.rint(succeeded * routes.prompt).astype(np.int64)
    outputs = np.rint(succeeded * answers).astype(np.int64)
    cost = (inputs * routes.prices[0] + outputs * routes.prices[1]) * strain.price
    down = ~strain.answers & (strain.requests > 0)
    observe = LATENCY_BUCKETS.observe
    return Gateway(
        succeeded=before.succeeded + succeeded,
        failed=before.failed + failed,
        input_tokens=before.input_tokens + inputs,
        output_tokens=before.output_tokens + outputs,
        spend=before.spend + cost,
        latency=observe(before.latency, succeeded, latency, strain.dither[0]),
        first_token=observe(before.first_token, succeeded, first, strain.dither[1]),
        overhead=observe(
            before.overhead, succeeded, np.full_like(latency, _OVERHEAD_SECONDS), strain.dither[2]
        ),
        fallbacks=before.fallbacks + moved,
        failed_fallbacks=before.failed_fallbacks + nowhere * (moved.sum() > 0),
        cooled=before.cooled + (down & before.reachable),
        owed=owed - repaid,
        reachable=np.where(strain.requests > 0, strain.answers, before.reachable),
    )


def _done(
    routes: Routes, reached: Counts, servers: tuple[Serving, Serving]
) -> tuple[Counts, Counts, Floats, Floats]:
    """Return what was completed and aborted, and the medians of its latency and first token."""
    earlier, later = servers
    others = reached[:, routes.vllm :]
    queue, prefill, token, whole = later.medians
    fast = np.broadcast_to(routes.latency, others.shape)
    completed = np.concatenate([later.completed - earlier.completed, others], axis=1)
    aborted = np.concatenate([later.aborted - earlier.aborted, np.zeros_like(others)], axis=1)
    latency = np.concatenate([whole + _OVERHEAD_SECONDS, fast], axis=1)
    first = np.concatenate([queue + prefill + token + _OVERHEAD_SECONDS, fast], axis=1)
    return completed, aborted, latency, first


def _failures(strain: Strain, nowhere: Counts, aborted: Counts) -> Counts:
    """Return what failed in a step, by reason."""
    refused = np.rint(strain.requests * strain.refused)[..., None] * _USUAL_FAILURES
    # Few failures reach each of the reasons in turn, as chance has it.
    failed: Counts = np.floor(refused + strain.dither[3][..., None]).astype(np.int64)
    failed *= refused > 0
    failed[..., _SERVER_ERROR] += np.rint(strain.requests * strain.failing).astype(np.int64)
    failed[..., _CONNECTION] += nowhere
    failed[..., _TIMEOUT] += aborted
    return failed
