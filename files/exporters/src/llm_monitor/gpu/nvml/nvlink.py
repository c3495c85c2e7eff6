"""The NVLinks of a GPU: which are up, what they carried, and their errors."""

from typing import NamedTuple

import pynvml

from llm_monitor.gpu.facts import NvLink
from llm_monitor.gpu.nvml import fields
from llm_monitor.gpu.nvml.reader import Field, Reader

_KEPT = "NVLinks"
_ERRORS = "NVLinks' errors"


class Links(NamedTuple):
    """What does not change while the driver is loaded.

    Attributes:
        numbers: The links that the GPU has.
        told_by_field: Whether the field of a link's state says the same as the call, so that one
            call tells the states of all links.
    """

    numbers: tuple[int, ...]
    told_by_field: bool


def read_nvlink(reader: Reader, per_link: bool) -> NvLink:
    """Return how the GPU is connected to others, with the traffic of each link or of all."""
    known: Links | None = reader.device.kept.get(_KEPT)
    called = {} if known and known.told_by_field else _states(reader, known)
    links = known.numbers if known else tuple(called)
    traffic = fields.traffic(links if per_link else None) if links else {}
    errors = fields.link_errors(links)
    states = fields.link_states(links) if known is None or known.told_by_field else {}
    answers = reader.fields([*traffic, *errors, *states])
    told = {link: answers[field] != 0 for field, link in states.items() if field in answers}
    # A link that goes down takes none of its errors out of the sums.
    counted: dict[Field, float] = reader.device.kept.setdefault(_ERRORS, {})
    counted.update((one, answers[one]) for one in errors if one in answers)
    if known is None and not reader.problems:
        reader.device.kept[_KEPT] = Links(links, told_by_field=told == called)
    return NvLink(
        active=sum((called or told).values()) if links else None,
        transmitted=fields.traffic_of(fields.TRANSMITTED, traffic, answers),
        received=fields.traffic_of(fields.RECEIVED, traffic, answers),
        errors=fields.error_sums(counted),
        failures=reader.failures,
    )


def _states(reader: Reader, known: Links | None) -> dict[int, bool]:
    """Return whether each link is up, asked link by link."""
    links = known.numbers if known else range(pynvml.NVML_NVLINK_MAX_LINKS)
    answers = {link: reader.call(pynvml.nvmlDeviceGetNvLinkState, link) for link in links}
    return {link: bool(answer) for link, answer in answers.items() if answer is not None}
