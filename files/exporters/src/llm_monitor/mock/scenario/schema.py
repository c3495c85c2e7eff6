"""The shape of a scenario's file."""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from llm_monitor.base.config.model import Duration
from llm_monitor.mock.scenario.faults import KINDS

_DURATION = "a duration such as 90s, 10m or 2h"

_RATIO = "a ratio from 0 to 1"
_YEAR = 366 * 86400


def known_fault(name: object) -> str:
    """Return `name` if it is a kind of fault.

    Raises:
        ValueError: When it is none.
    """
    if name not in KINDS:
        message = "no such fault"
        raise ValueError(message)
    return str(name)


class Levels(BaseModel):
    """How much there is of everything; what is not said is left as it is.

    Attributes:
        load: By what the usual number of requests is multiplied.
        error_rate: The share of requests that LiteLLM refuses or that fail at once.
        cpu_load: The share of the host's CPUs that something else keeps busy.
        gpu_utilization: The share of what each model can do that it is asked for.
        anomalies: Whether there are surges of requests.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    load: float | None = Field(default=None, ge=0, le=1000, description="a number, 0 to 1000")
    error_rate: float | None = Field(default=None, ge=0, le=1, description=_RATIO)
    cpu_load: float | None = Field(default=None, ge=0, le=1, description=_RATIO)
    gpu_utilization: float | None = Field(default=None, ge=0, le=1, description=_RATIO)
    anomalies: bool | None = Field(default=None, description="true or false")


class Event(Levels):
    """Something that happens: a fault, or other levels for a while.

    Attributes:
        at: When it begins, from the scenario's start.
        lasts: How long it lasts (`for` in the file); to the scenario's end unless told.
        fault: A kind of fault.
        target: What it befalls: a GPU's index, or a name; all of them unless told.
        value: How much, in the unit of the fault.
    """

    at: Duration = Field(default=0.0, ge=0, le=_YEAR, description=_DURATION)
    lasts: Duration | None = Field(default=None, gt=0, le=_YEAR, alias="for", description=_DURATION)
    fault: Annotated[str, BeforeValidator(known_fault)] | None = Field(
        default=None, description=f"one of {', '.join(KINDS)}"
    )
    target: str | int | None = Field(default=None, description="a GPU's index, or a name")
    value: float | None = Field(default=None, allow_inf_nan=False, description="a number")

    @model_validator(mode="after")
    def _fault_or_levels(self) -> Self:
        levels = [name for name in Levels.model_fields if getattr(self, name) is not None]
        if self.fault is None:
            if self.target is not None or self.value is not None:
                message = "target and value belong to a fault, and none is named"
                raise ValueError(message)
            if not levels:
                message = (
                    f"nothing happens; expected fault, or some of {', '.join(Levels.model_fields)}"
                )
                raise ValueError(message)
            return self
        kind = KINDS[self.fault]
        if self.target is not None and kind.target == "none":
            message = f"{self.fault} befalls the whole server, so it has no target"
            raise ValueError(message)
        if self.value is not None and not kind.value:
            message = f"{self.fault} has no value"
            raise ValueError(message)
        if self.value is not None and not kind.least <= self.value <= kind.most:
            message = f"value {self.value:g} is not allowed; expected {kind.value}, "
            message += f"{kind.least:g} to {kind.most:g}"
            raise ValueError(message)
        return self


class Scenario(Levels):
    """A scenario's file.

    Attributes:
        description: What it plays, in one sentence.
        extends: Scenarios that happen too; levels that are told here count instead of theirs.
        every: How often its events come again; never unless told.
        events: What happens.
    """

    description: str = Field(min_length=1, max_length=300, description="a sentence")
    extends: tuple[str, ...] = Field(default=(), description="a list of names of scenarios")
    every: Duration | None = Field(default=None, gt=0, description=_DURATION)
    events: tuple[Event, ...] = ()
