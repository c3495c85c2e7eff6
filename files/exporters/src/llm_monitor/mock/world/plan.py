"""What a simulated server has, worked out once of its fleet."""

from dataclasses import dataclass

from llm_monitor.mock.fleet.layout import Fleet
from llm_monitor.mock.world.containers import Crew
from llm_monitor.mock.world.gateway import Routes
from llm_monitor.mock.world.gpus import Seats
from llm_monitor.mock.world.host import Frame
from llm_monitor.mock.world.serving import Traits


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
    """

    fleet: Fleet
    traits: Traits
    seats: Seats
    gpus: tuple[str, ...]
    routes: Routes
    crew: Crew
    frame: Frame

    @classmethod
    def of(cls, fleet: Fleet) -> "Plan":
        """Return the plan of `fleet`."""
        traits = Traits.of(fleet)
        indexes = tuple(str(one) for one in range(fleet.gpu.count))
        crew = Crew.of(fleet, traits.loading)
        return cls(fleet, traits, Seats.of(fleet), indexes, Routes.of(fleet), crew, Frame.of(fleet))
