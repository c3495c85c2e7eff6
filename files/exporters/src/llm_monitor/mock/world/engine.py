"""One step of the vLLM servers: what comes in, what gets done, and how long it takes."""

from dataclasses import dataclass

import numpy as np

from llm_monitor.mock.world.serving import (
    DOUBLE,
    FIRST_TOKEN_BUCKETS,
    REQUEST_BUCKETS,
    TOKEN_BUCKETS,
    Pressure,
    Serving,
    Traits,
)
from llm_monitor.mock.world.state import Counts, Floats

_PATIENCE_SECONDS = 120.0
_CACHE_FULL = 0.98
_LONGEST = 7200.0


@dataclass(slots=True)
class Pace:
    """How fast the models are in one step.

    Attributes:
        prompt: Tokens of a prompt.
        prefill: Seconds to read a prompt.
        rate: Requests a second that would keep up with what comes.
        most: Requests at once, as batch and KV cache allow.
        speed: Requests a second at most.
        running: Requests at once that `rate` asks for.
    """

    prompt: Floats
    prefill: Floats
    rate: Floats
    most: Floats
    speed: Floats
    running: Floats


def step(
    before: Serving, traits: Traits, pressure: Pressure, seconds: float, dither: Floats
) -> Serving:
    """Return the servers after a step of so many seconds; `dither` has six numbers for each."""
    pace = _pace(before, traits, pressure, seconds)
    waiting, running, completed, aborted = _flow(before, pressure, pace, seconds)
    prompts = np.rint(completed * pace.prompt).astype(np.int64)
    answers = np.rint(completed * traits.answer).astype(np.int64)
    hits = np.rint(prompts * traits.cached).astype(np.int64)
    # The share of the cache that a request takes: where one more finds no room, others give way.
    share = (pace.prompt + traits.answer / 2) / traits.capacity
    use = np.minimum(1.0, running * share)
    crowded = (use + share >= _CACHE_FULL) & (waiting > 0)
    after = Serving(
        waiting=waiting,
        running=running,
        arrived=before.arrived + pressure.arrivals * pressure.answers,
        completed=before.completed + completed,
        aborted=before.aborted + aborted,
        prompt_tokens=before.prompt_tokens + prompts,
        answer_tokens=before.answer_tokens + answers,
        cache_queries=before.cache_queries + prompts,
        cache_hits=before.cache_hits + hits,
        preemptions=before.preemptions
        + np.ceil(crowded * running * seconds / 60.0).astype(np.int64),
        cache_use=np.where(crowded, 1.0, use),
        busy=1.0 - np.exp(-(before.running + running) / 2.0),
        batch_use=running / (running + DOUBLE / 2),
        first_token=before.first_token,
        between_tokens=before.between_tokens,
        whole=before.whole,
        queued=before.queued,
        prefill=before.prefill,
        decode=before.decode,
        medians=before.medians,
    )
    _observe(after, traits, pressure, pace, completed, answers, dither)
    return after


def _pace(before: Serving, traits: Traits, pressure: Pressure, seconds: float) -> Pace:
    """Return how fast the models are: the batch grows until as much is done as comes in."""
    prompt = np.minimum(traits.prompt * pressure.length, 1e6)
    prefill = prompt * (1 - traits.cached) / traits.prefill * pressure.slowness
    token = traits.token * pressure.slowness
    alone = prefill + traits.answer * token
    room = traits.capacity * _CACHE_FULL / (prompt + traits.answer / 2)
    most = np.maximum(1.0, np.floor(np.minimum(traits.batch, room)))
    # A request of a batch of n takes alone + answer * token * n / DOUBLE, and while its prompt is
    # read, others stand still: no more than one prompt is read at a time.
    grows = traits.answer * token / DOUBLE + prefill
    speed = most / (alone + grows * most)
    rate = (before.waiting + pressure.arrivals) / seconds
    keeps_up = rate * grows < 0.999
    wanted = np.where(keeps_up, rate * alone / np.maximum(1 - rate * grows, 1e-3), most)
    return Pace(prompt, prefill, rate, most, speed, np.minimum(wanted, most))


def _flow(
    before: Serving, pressure: Pressure, pace: Pace, seconds: float
) -> tuple[Counts, Counts, Counts, Counts]:
    """Return what waits, what runs, and what was completed and aborted meanwhile.

    Whatever came is one of these four in the end.
    """
    there = before.waiting + before.running + pressure.arrivals * pressure.answers
    lag = 1 - np.exp(-seconds * pace.speed / pace.most)
    target = before.running + (pace.running - before.running) * lag
    # Rounded down where fewer and fewer run, or the last of them would never end; and up where as
    # many run as can, or the last place would never be taken.
    up = np.where(pace.running >= pace.most, np.ceil(target), np.rint(target))
    whole = np.where(target < before.running, np.floor(target), up)
    running = np.minimum(whole.astype(np.int64), there)
    running = np.where(pressure.admits, running, 0)
    running = np.where(pressure.moves, running, np.minimum(there, pace.most.astype(np.int64)))
    running = np.where(pressure.answers, running, 0)
    can = np.floor(pace.speed * seconds).astype(np.int64)
    # What is not let in any more still ends if it runs already.
    can = np.where(pressure.admits, can, np.minimum(can, before.running))
    can = np.where(pressure.moves & pressure.answers, can, 0)
    completed = np.minimum(there - running, can)
    left = there - running - completed
    patient = np.ceil(pace.speed * _PATIENCE_SECONDS).astype(np.int64)
    waiting = np.where(pressure.answers, np.minimum(left, patient), 0)
    return waiting, running, completed, left - waiting


def _observe(
    after: Serving,
    traits: Traits,
    pressure: Pressure,
    pace: Pace,
    completed: Counts,
    answers: Counts,
    dither: Floats,
) -> None:
    """Count how long what was completed took."""
    queue = np.minimum(after.waiting / pace.speed, _LONGEST)
    token = traits.token * pressure.slowness * (1 + after.running / DOUBLE)
    decode = traits.answer * token
    whole = queue + pace.prefill + decode
    after.medians = np.stack([queue, pace.prefill, token, whole], axis=1)
    first = queue + pace.prefill + token
    after.first_token = FIRST_TOKEN_BUCKETS.observe(after.first_token, completed, first, dither[0])
    after.between_tokens = TOKEN_BUCKETS.observe(after.between_tokens, answers, token, dither[1])
    # All that have the same buckets at once, which takes half as long.
    names = "whole", "queued", "prefill", "decode"
    medians = np.stack([whole, np.maximum(queue, 2e-4), pace.prefill, decode])
    counts = np.stack([getattr(after, name) for name in names])
    counts = REQUEST_BUCKETS.observe(counts, completed, medians, dither[2:])
    for name, one in zip(names, counts, strict=True):
        setattr(after, name, one)
