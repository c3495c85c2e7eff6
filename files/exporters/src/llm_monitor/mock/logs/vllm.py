"""What vLLM's containers write: lines of the form that vLLM 0.10 and later have.

The API server logs through vLLM's own logger and, for requests, through uvicorn's; each process
says before a line which one it is. A traceback is one line of the log for each of its own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from llm_monitor.mock.fleet.layout import Model
from llm_monitor.mock.identity import address
from llm_monitor.mock.logs.roll import Roll
from llm_monitor.mock.logs.span import Fate, Span
from llm_monitor.mock.sources.vllm_page import VERSION

# vLLM's `VLLM_LOG_STATS_INTERVAL`.
INTERVAL = 10.0
_REQUESTS = 5
_ABORTED = 2
_CHECK_SECONDS = 30.0
_GIB = 1 << 30
_API, _CORE = "(APIServer pid=1)", "(EngineCore pid=112)"
_PACKAGES = "/usr/local/lib/python3.12/dist-packages"

# How CUDA words what the XIDs mean that end a program's work (cudaGetErrorString); what the driver
# only reports, such as a row of memory to replace, no program notices.
_CUDA = {
    13: "an illegal instruction was encountered",
    31: "an illegal memory access was encountered",
    43: "the launch timed out and was terminated",
    45: "unspecified launch failure",
    48: "uncorrectable ECC error encountered",
    74: "uncorrectable NVLink error detected during the execution",
    79: "unspecified launch failure",
    94: "uncorrectable ECC error encountered",
    95: "uncorrectable ECC error encountered",
}


class Engine:
    """One vLLM server and its log."""

    def __init__(self, span: Span, fate: Fate, roll: Roll, caller: str) -> None:
        """Write to `roll`; `caller` is the address that requests come from."""
        self._span = span
        self._fate = fate
        self._roll = roll
        self._caller = caller
        self._model = span.plan.fleet.models[fate.place]
        self._here = span.row, fate.place

    def write(self) -> None:
        """Write what it says in the span."""
        felt = list(self._xids())
        for time, xid, rank in felt:
            self._failed(time, xid, rank)
        fate = self._fate
        if fate.ended is not None and not fate.killed:
            if fate.asked:
                self._stops(fate.ended)
            elif not felt:
                self._crashes(fate.ended)
        if fate.started is not None:
            self._starts(fate.started)
        hangs = self._span.after.forces.befall("model_down", self._model.name)
        if fate.up and not hangs:
            self._works()

    def _log(self, time: float, level: str, place: str, text: str, process: str = _API) -> None:
        """Write a line of vLLM's own logger."""
        stamp = _stamp(self._roll.within(time))
        self._roll.add(time, f"{process} {level} {stamp} [{place}] {text}")

    def _works(self) -> None:
        serving, fate = self._span.after.serving, self._fate
        counts = ("prompt_tokens", "answer_tokens", "completed", "aborted", "preemptions")
        prompts, answers, completed, aborted, preempted = (
            self._span.grown(f"serving.{name}")[fate.place] for name in counts
        )
        figures = prompts + answers, serving.running[self._here], serving.waiting[self._here]
        if not fate.began and any(figures):
            self._reports(prompts / self._span.seconds, answers / self._span.seconds)
        if preempted:
            text = f"KV cache is full: {preempted} running requests gave way and will begin anew"
            self._log(self._span.after.time, "WARNING", "scheduler.py:731", text)
        self._roll.sample(completed, _REQUESTS, self._answered)
        self._roll.sample(aborted, _ABORTED, self._aborted)
        if fate.failing and self._span.passes(_CHECK_SECONDS):
            check = access("127.0.0.1", 0.5, "GET /health", "503 Service Unavailable")
            self._roll.add(self._span.after.time, f"{_API} {check}")

    def _reports(self, prompt: float, generation: float) -> None:
        """Write the line with the throughput of the last seconds, and how things are now."""
        serving, here = self._span.after.serving, self._here
        hits, queries = serving.cache_hits[here], serving.cache_queries[here]
        self._roll.left_out += max(0, int(self._span.seconds / INTERVAL) - 1)
        text = (
            f"Engine 000: Avg prompt throughput: {prompt:.1f} tokens/s, "
            f"Avg generation throughput: {generation:.1f} tokens/s, "
            f"Running: {serving.running[here]} reqs, Waiting: {serving.waiting[here]} reqs, "
            f"GPU KV cache usage: {100 * serving.cache_use[here]:.1f}%, "
            f"Prefix cache hit rate: {100 * hits / max(queries, 1):.1f}%"
        )
        self._log(self._span.after.time, "INFO", "loggers.py:259", text)

    def _answered(self, _time: float, chance: float) -> str:
        return f"{_API} {access(self._caller, chance, 'POST /v1/chat/completions', '200 OK')}"

    def _aborted(self, time: float, chance: float) -> str:
        request = f"chatcmpl-{int(chance * 2**52):013x}"
        return f"{_API} INFO {_stamp(time)} [async_llm.py:691] Request {request} was aborted."

    def _starts(self, started: float) -> None:
        """Write what it says while it loads, as far as it has come."""
        fate = self._fate
        capacity = float(self._span.plan.traits.capacity[fate.place])
        for share, text in _loading(self._model, capacity, fate.loading):
            time = started + share * fate.loading
            if self._span.has(time):
                self._log(time, "INFO", "core.py:214", text, _CORE)
        if self._span.has(fate.ready):
            self._roll.add(fate.ready, f"{_API} INFO:     Application startup complete.", "stderr")

    def _stops(self, time: float) -> None:
        for text in ("Shutting down", "Application shutdown complete."):
            self._roll.add(time, f"{_API} INFO:     {text}", "stderr")

    def _crashes(self, time: float) -> None:
        error = "RuntimeError: a worker process ended unexpectedly with exit code 1"
        self._log(time, "ERROR", "core.py:1120", "EngineCore hit a fatal error.", _CORE)
        self._roll.add(time, _traceback(_CORE, "v1/engine/core.py", error), "stderr")

    def _xids(self) -> Iterator[tuple[float, int, int]]:
        """Give when, which one and of which of its GPUs, for the XIDs that it notices."""
        if not self._span.before.containers.running[self._here]:
            return
        for one, _ in self._span.xids():
            if one.gpu in self._model.gpus and one.xid in _CUDA:
                yield one.time, one.xid, self._model.gpus.index(one.gpu)

    def _failed(self, time: float, xid: int, rank: int) -> None:
        """Write how its work on one of its GPUs failed."""
        several = len(self._model.gpus) > 1
        worker = f"(Worker_TP{rank} pid={201 + rank})" if several else _CORE
        self._log(time, "ERROR", "multiproc_executor.py:932", "Work on the GPU failed.", worker)
        error = f"torch.AcceleratorError: CUDA error: {_CUDA[xid]}"
        self._roll.add(time, _traceback(worker, "v1/worker/gpu_worker.py", error), "stderr")
        if several:
            text = f"{worker} [rank{rank}]: NCCL WARN Cuda failure '{_CUDA[xid]}'"
            self._roll.add(time, text, "stderr")


def access(caller: str, chance: float, request: str, status: str) -> str:
    """Return uvicorn's line for a request; some `chance` gives the caller's port."""
    port = 32768 + int(chance * 28000)
    return f'INFO:     {caller}:{port} - "{request} HTTP/1.1" {status}'


def caller_of(span: Span) -> str:
    """Return the address of LiteLLM, from which vLLM is asked; of the network's gateway without."""
    places = span.plan.services["litellm"].nonzero()[0].tolist()
    return address(places[0]) if places else address(-1)


def _loading(model: Model, capacity: float, seconds: float) -> Iterator[tuple[float, str]]:
    """Give what is written while a model is loaded, and after which share of that time."""
    gpus, weights = len(model.gpus), model.parameters * model.weight * 1e9 / len(model.gpus)
    yield 0.0, f"vLLM engine, version {VERSION}"
    settings = f"dtype=torch.{model.dtype}, tensor_parallel_size={gpus}"
    settings += f", max_seq_len={model.context}"
    yield 0.04, f"Initializing engine (v{VERSION}): model={model.path!r}, {settings}"
    yield 0.1, f"Starting to load model {model.path}..."
    yield 0.8, f"Loading weights took {0.7 * seconds:.2f} seconds"
    yield 0.82, f"Model loading took {weights / _GIB:.4f} GiB and {0.72 * seconds:.6f} seconds"
    yield 0.9, f"GPU KV cache size: {capacity:,.0f} tokens"
    most = capacity / model.context
    yield 0.9, f"Maximum concurrency for {model.context:,} tokens per request: {most:.2f}x"


def _stamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%m-%d %H:%M:%S")


def _traceback(process: str, module: str, error: str) -> str:
    """Return a traceback of Python's through two functions, each line after its process."""
    lines = (
        "Traceback (most recent call last):",
        f'  File "{_PACKAGES}/vllm/{module}", line 1093, in run_busy_loop',
        "    self.step()",
        f'  File "{_PACKAGES}/vllm/v1/worker/gpu_model_runner.py", line 3412, in step',
        "    tokens = sampled.tolist()",
        error,
    )
    return "\n".join(f"{process} {line}" for line in lines)
