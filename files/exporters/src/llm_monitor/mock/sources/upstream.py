"""What the simulated upstreams, LiteLLM and Langfuse, have in common: they may not answer."""

from typing import Literal

from llm_monitor.base.errors import SourceError
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.mock.view import View
from llm_monitor.mock.world.step import State
from llm_monitor.mock.world.strains import works


class Upstream:
    """A service of the simulated server, as an exporter of the same name asks it."""

    def __init__(
        self, view: View, name: Literal["litellm", "langfuse"], complaints: Complaints
    ) -> None:
        """Answer as the service `name` of the server in `view`; count failures in `complaints`."""
        self.complaints = complaints
        self._view = view
        self._name = name

    def asked(self, endpoint: str) -> State:
        """Return how everything is, for a question that is counted under `endpoint`.

        Raises:
            UpstreamError: When the service does not answer.
        """
        try:
            state = self._view.asked(self._name)
        except SourceError as error:
            raise self.failed(endpoint, Reason.CONNECTION, str(error)) from error
        if not self.works(self._name, state):
            raise self.failed(endpoint, Reason.REFUSED, "connection refused")
        self.complaints.recovered(endpoint)
        return state

    def works(
        self, service: Literal["litellm", "litellm_database", "langfuse"], state: State
    ) -> bool:
        """Return whether a service works."""
        view = self._view
        up = works(service, state.containers, view.plan, state.forces, state.time)
        return bool(up[view.row, 0])

    def failed(
        self, endpoint: str, reason: Reason, sentence: str, status: int | None = None
    ) -> UpstreamError:
        """Return the error for a question that is not answered, which is counted."""
        error = UpstreamError(reason, f"http://{self._name}: {sentence}", status=status)
        self.complaints.failed(endpoint, error)
        return error
