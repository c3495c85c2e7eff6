"""What the vLLM servers do: requests that wait and run, tokens, the KV cache and latencies."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.world.latency import FIRST_TOKEN, REQUEST, TOKEN, Buckets
from llm_monitor.mock.world.state import Counted, Counts, Flags, Floats, Smooth, anew

# How much of what a GPU could do at best is reached (bandwidth when tokens are made one by one,
# operations when prompts are read).
_BANDWIDTH_SHARE = 0.6
_COMPUTE_SHARE = 0.4
# Time that each token takes whatever the model's size.
_STEP_SECONDS = 0.004
# Running requests at which a token takes twice as long as when there is but one.
DOUBLE = 160.0
_MEMORY_SHARE = 0.9
_OVERHEAD = 6e9

_SHARES = ("cache_use", "busy", "batch_use")

FIRST_TOKEN_BUCKETS = Buckets(FIRST_TOKEN)
TOKEN_BUCKETS = Buckets(TOKEN)
REQUEST_BUCKETS = Buckets(REQUEST)


@dataclass(frozen=True, slots=True)
class Traits:
    """What each model can do, worked out of its size and of its GPUs.

    Attributes:
        names: The models' names.
        prefill: Tokens of prompts that it reads in a second.
        token: Seconds that a token takes when nothing else runs.
        capacity: Tokens that its KV cache has room for.
        batch: Most requests at once.
        prompt: Tokens of a prompt, the mean.
        answer: Tokens of an answer, the mean.
        cached: The share of a prompt that the prefix cache has.
        requests: Requests a second, the mean of a day.
        loading: Seconds from the start of its container until it answers.
    """

    names: tuple[str, ...]
    prefill: Floats
    token: Floats
    capacity: Floats
    batch: Floats
    prompt: Floats
    answer: Floats
    cached: Floats
    requests: Floats
    loading: Floats

    @classmethod
    def of(cls, fleet: Fleet) -> "Traits":
        """Return the traits of the models of `fleet`."""
        models, gpu = fleet.models, fleet.gpu
        gpus = np.array([len(one.gpus) for one in models], float)
        active = np.array([one.active or one.parameters for one in models]) * 1e9
        weight = np.array([one.weight for one in models])
        weights = np.array([one.parameters for one in models]) * 1e9 * weight
        room = _MEMORY_SHARE * gpu.memory * 1e9 * gpus - weights - _OVERHEAD * gpus
        moved = gpus * gpu.bandwidth * _BANDWIDTH_SHARE
        return cls(
            names=tuple(one.name for one in models),
            prefill=gpus * gpu.compute * _COMPUTE_SHARE / (2 * active),
            token=active * weight / moved + _STEP_SECONDS,
            capacity=np.floor(room / np.array([one.token for one in models])),
            batch=np.array([one.batch for one in models], float),
            prompt=np.array([one.prompt for one in models]),
            answer=np.array([one.answer for one in models]),
            cached=np.array([one.cached for one in models]),
            requests=np.array([one.requests for one in models]),
            loading=20.0 + weights / 2e9,
        )

    def most(self) -> Floats:
        """Return the requests a second that each model can answer at most."""
        prefill = self.prompt * (1 - self.cached) / self.prefill
        room = self.capacity / (self.prompt + self.answer / 2)
        batch = np.minimum(self.batch, room)
        token = self.answer * self.token
        rate: Floats = batch / (prefill + token + (token / DOUBLE + prefill) * batch)
        return rate

    def reading(self, before: "Serving", after: "Serving", seconds: float) -> Floats:
        """Return the share of a step in which each model read prompts."""
        tokens = (after.prompt_tokens - before.prompt_tokens).clip(0) * (1 - self.cached)
        share: Floats = np.minimum(1.0, tokens / seconds / self.prefill)
        return share


@dataclass(slots=True)
class Pressure:
    """What a step lets a model do.

    Attributes:
        arrivals: Requests that come.
        answers: Whether it answers.
        admits: Whether it lets waiting requests in.
        moves: Whether running requests give tokens.
        slowness: By what everything takes longer, 1 as usual.
        length: By what prompts are longer, 1 as usual.
    """

    arrivals: Counts
    answers: Flags
    admits: Flags
    moves: Flags
    slowness: Floats
    length: Floats


@dataclass(slots=True)
class Serving:
    """What the vLLM servers have done, by server and model.

    Since the start of the simulation; when its container is restarted, a model counts anew: see
    `restarted`.

    Attributes:
        waiting: Requests that wait.
        running: Requests that are worked on.
        arrived: Requests that came and were taken.
        completed: Requests that ended with an answer.
        aborted: Requests that ended without one.
        prompt_tokens: Tokens of prompts.
        answer_tokens: Tokens of answers.
        cache_queries: Tokens looked up in the prefix cache.
        cache_hits: Tokens found there.
        preemptions: Requests that had to give way.
        cache_use: The share of the KV cache in use.
        busy: The share of the time in which anything ran.
        batch_use: How full its batches were, from 0 to 1.
        first_token: Time to first token.
        between_tokens: Time from token to token.
        whole: Time of a whole request.
        queued: Time in the queue.
        prefill: Time in which the prompt was read.
        decode: Time in which the answer was made.
        medians: Medians of queue, prefill, token and whole request now, in seconds; the models come
            after these four.
    """

    waiting: Counts
    running: Counts
    arrived: Counts
    completed: Counted
    aborted: Counted
    prompt_tokens: Counted
    answer_tokens: Counted
    cache_queries: Counted
    cache_hits: Counted
    preemptions: Counted
    cache_use: Smooth
    busy: Smooth
    batch_use: Smooth
    first_token: Counted
    between_tokens: Counted
    whole: Counted
    queued: Counted
    prefill: Counted
    decode: Counted
    medians: Smooth

    @classmethod
    def start(cls, servers: int, models: int) -> "Serving":
        """Return servers that have done nothing yet."""
        shape = servers, models
        made: dict[str, Any] = {
            one.name: np.zeros(shape, np.int64) for one in fields(cls) if one.name not in _SHARES
        }
        made |= {name: np.zeros(shape) for name in _SHARES}
        made["first_token"] = FIRST_TOKEN_BUCKETS.empty(*shape)
        made["between_tokens"] = TOKEN_BUCKETS.empty(*shape)
        for name in ("whole", "queued", "prefill", "decode"):
            made[name] = REQUEST_BUCKETS.empty(*shape)
        made["medians"] = np.zeros((servers, 4, models))
        return cls(**made)

    def booted(self) -> "Serving":
        """Return the same, but with nothing done before the requests that wait and run."""
        return replace(anew(self), arrived=self.waiting + self.running)

    def restarted(self, begun: Flags) -> "Serving":
        """Return the same where nothing has `begun`; where it has, it counts from 0."""
        if not begun.any():
            return self
        kept = ~begun
        made = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "medians":
                made[one.name] = value
            else:
                made[one.name] = value * (kept[..., None] if value.ndim > kept.ndim else kept)
        return Serving(**made)
