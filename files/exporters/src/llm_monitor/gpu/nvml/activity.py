"""What a GPU's units did, by GPM: two samples, kept from one reading to the next, and their ratio.

GPM needs no DCGM, takes no lock of the profiler, and works from Hopper on.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pynvml

from llm_monitor.gpu.facts import Activity
from llm_monitor.gpu.nvml.reader import GPM, Reader

_MEBIBYTE = 1 << 20
# Samples that are closer together say nothing.
_CLOSEST_SECONDS = 0.1
_RATIOS = {
    pynvml.NVML_GPM_METRIC_SM_UTIL: "sm",
    pynvml.NVML_GPM_METRIC_SM_OCCUPANCY: "occupancy",
    pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL: "tensor",
    pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL: "dram",
    pynvml.NVML_GPM_METRIC_FP16_UTIL: "fp16",
    pynvml.NVML_GPM_METRIC_FP32_UTIL: "fp32",
    pynvml.NVML_GPM_METRIC_FP64_UTIL: "fp64",
}
_TRANSMITTED = pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC
_RECEIVED = pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC
_METRICS = (*_RATIOS, _TRANSMITTED, _RECEIVED)


@dataclass(slots=True)
class Samples:
    """What is kept of a GPU from one reading to the next.

    Attributes:
        before: The sample that was taken last.
        after: The sample that is taken next.
        taken: When the former was taken, on the clock of `time.monotonic`; None before the first.
        values: What the last two samples gave.
    """

    before: Any
    after: Any
    taken: float | None = None
    values: dict[int, float] = field(default_factory=dict)


def read_activity(reader: Reader) -> Activity:
    """Return what the GPU's units did since the reading before; nothing the first time."""
    values = measure(reader, "nvmlGpmSampleGet", pynvml.nvmlGpmSampleGet, _METRICS)
    rates = {
        metric: values[metric] * _MEBIBYTE
        for metric in (_TRANSMITTED, _RECEIVED)
        if metric in values
    }
    return Activity(
        ratios={name: values[metric] / 100 for metric, name in _RATIOS.items() if metric in values},
        pcie_transmitted=rates.get(_TRANSMITTED),
        pcie_received=rates.get(_RECEIVED),
        failures=reader.failures,
    )


def measure(
    reader: Reader, name: str, fill: Callable[[Any, Any], Any], metrics: Sequence[int]
) -> dict[int, float]:
    """Return metrics in GPM's own units, between a sample that `fill` takes and that of before.

    `name` is the key under which the GPU keeps its samples.
    """
    samples = _samples(reader, name)
    if samples is None:
        return {}
    now = time.monotonic()
    if samples.taken is not None and now - samples.taken < _CLOSEST_SECONDS:
        return samples.values
    if not _fill(reader, name, fill, samples.after):
        return {}
    if samples.taken is not None:
        samples.values = _compute(reader, samples, metrics)
    samples.before, samples.after, samples.taken = samples.after, samples.before, now
    return samples.values


def _samples(reader: Reader, name: str) -> Samples | None:
    """Return what is kept under `name`, None where GPM is not supported."""
    kept: dict[str, Samples] = reader.device.kept
    if name not in kept:
        support = reader.call(pynvml.nvmlGpmQueryDeviceSupport)
        if support is None:
            return None
        if not support.isSupportedDevice:
            reader.judge(("nvmlGpmQueryDeviceSupport",), pynvml.NVML_ERROR_NOT_SUPPORTED)
            return None
        allocated = [reader.attempt(("nvmlGpmSampleAlloc",), _allocate, None) for _ in range(2)]
        if None in allocated:
            return None
        kept[name] = Samples(*allocated)
    return kept[name]


def _allocate(_: None) -> Any:
    return pynvml.nvmlGpmSampleAlloc()


def _fill(reader: Reader, name: str, fill: Callable[[Any, Any], Any], sample: Any) -> bool:
    """Take a sample; return whether that worked."""
    handle = reader.device.handle
    return reader.attempt((name,), lambda _: fill(handle, sample), None) is not None


def _compute(reader: Reader, samples: Samples, metrics: Sequence[int]) -> dict[int, float]:
    """Return what happened between the two samples, by metric, without what can't be had."""
    unsupported = reader.device.unsupported
    metrics = [one for one in metrics if (GPM, one) not in unsupported]
    request = pynvml.c_nvmlGpmMetricsGet_t()
    request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    request.numMetrics = len(metrics)
    request.sample1, request.sample2 = samples.before, samples.after
    for place, metric in enumerate(metrics):
        request.metrics[place].metricId = metric
    values: dict[int, float] = {}
    key = ("nvmlGpmMetricsGet",)
    if not metrics or reader.attempt(key, pynvml.nvmlGpmMetricsGet, request) is None:
        return values
    for place, metric in enumerate(metrics):
        answer = request.metrics[place]
        if answer.nvmlReturn != pynvml.NVML_SUCCESS:
            reader.judge((GPM, metric), answer.nvmlReturn)
        elif math.isfinite(answer.value):
            values[metric] = answer.value
    return values
