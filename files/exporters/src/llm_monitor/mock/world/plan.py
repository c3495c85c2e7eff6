"""What a simulated server has, worked out once of its fleet."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from llm_monitor.mock.fleet.layout import Fleet, Service
from llm_monitor.mock.world.containers import Crew
from llm_monitor.mock.world.gateway import Routes
from llm_monitor.mock.world.gpus import Seats
from llm_monitor.mock.world.host import Frame
from llm_monitor.mock.world.serving import Traits
from llm_monitor.mock.world.state import Flags


@dataclass(frozen=True, slots=True)
class Plan:
    """What a server has.

    Attributes:
        fleet: What it was worked out of.
        traits: What its models can do.
        seats: Which of them runs on which GPU.
        gpus: The GPUs' indexes, as text.
        routes: What LiteLLM routes to.
        crew: Its containers.
        frame: The machine.
        services: For each service which of its containers it can't do without.
    """

    fleet: Fleet
    traits: Traits
    seats: Seats
    gpus: tuple[str, ...]
    routes: Routes
    crew: Crew
    frame: Frame
    services: dict[str, Flags]

    @classmethod
    def of(cls, fleet: Fleet) -> "Plan":
        """Return the plan of `fleet`."""
        traits = Traits.of(fleet)
        indexes = tuple(str(one) for one in range(fleet.gpu.count))
        crew = Crew.of(fleet, traits.loading)
        nothing = [None] * (len(crew.names) - len(fleet.containers))
        serves = [*nothing, *(one.serves for one in fleet.containers)]
        return cls(
            fleet=fleet,
            traits=traits,
            seats=Seats.of(fleet),
            gpus=indexes,
            routes=Routes.of(fleet),
            crew=crew,
            frame=Frame.of(fleet),
            services={
                name: np.array([one == name for one in serves]) for name in get_args(Service)
            },
        )
