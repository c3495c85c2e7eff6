"""The models that LiteLLM is configured with, and by which of their names a request is counted."""

import threading
from collections.abc import Callable, Iterable

from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.litellm.facts import Deployment
from llm_monitor.litellm.source import LitellmSource

OTHER = "other"
WILDCARD = "*"

_KEPT_SECONDS = 300.0
# What asks next within this time shares the failure instead of waiting for the next one.
_FAILURE_KEPT_SECONDS = 1.0


class Names:
    """Folds the names that clients ask for into those that are configured.

    What was configured once stays known, so that a counter stays where it has been counted.
    """

    def __init__(self) -> None:
        """Know none."""
        self._configured: set[str] = set()
        self._prefixes: list[str] = []
        self._of_deployment: dict[str, str] = {}

    def learn(self, deployments: Iterable[Deployment]) -> None:
        """Know the models of `deployments` from now on."""
        for one in deployments:
            self._configured.add(one.model)
            self._of_deployment.setdefault(one.id, one.model)
        prefixes = {name[:-1] for name in self._configured if name.endswith(WILDCARD)}
        self._prefixes = sorted(prefixes, key=len, reverse=True)

    def knows(self, deployment: str) -> bool:
        """Return whether `deployment` is the id of one."""
        return deployment in self._of_deployment

    def of(self, asked: str, deployment: str) -> str:
        """Return the configured name for a request, or `other`.

        Args:
            asked: What the client asked for.
            deployment: The id of the deployment that got the request, if any did: a name that a
                wildcard matches is counted under the name of its model.
        """
        if asked in self._configured:
            return asked
        if deployment in self._of_deployment:
            return self._of_deployment[deployment]
        for prefix in self._prefixes:
            if prefix and asked.startswith(prefix):
                return prefix + WILDCARD
        return OTHER


class Catalogue:
    """The deployments, asked for every five minutes.

    Attributes:
        names: Their models' names, of all that there have been.
    """

    def __init__(self, source: LitellmSource, clock: Callable[[], float]) -> None:
        """Ask `source`, at times of `clock`."""
        self.names = Names()
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._deployments: list[Deployment] = []
        self._asked_at: float | None = None
        self._version = ""
        self._version_at: float | None = None
        self._failure: tuple[float, UpstreamError] | None = None

    def deployments(self, deadline: Deadline) -> list[Deployment]:
        """Return the deployments as of the last five minutes.

        Raises:
            UpstreamError: When they are older and LiteLLM does not tell them.
        """
        if not self._lock.acquire(timeout=deadline.remaining()):
            raise UpstreamError(Reason.TIMEOUT, "the list of models has not come in time")
        try:
            now = self._clock()
            if self._asked_at is None or now - self._asked_at >= _KEPT_SECONDS:
                self._refresh(now, deadline)
            return self._deployments
        finally:
            self._lock.release()

    def known(self, deadline: Deadline) -> list[Deployment]:
        """Return the deployments, those of earlier when LiteLLM does not tell today's.

        Raises:
            UpstreamError: When it has never told them.
        """
        try:
            return self.deployments(deadline)
        except UpstreamError:
            if self._asked_at is None:
                raise
            return self._deployments

    def so_far(self, deadline: Deadline) -> list[Deployment]:
        """Return the deployments that are known, none when LiteLLM has never told them."""
        try:
            return self.known(deadline)
        except UpstreamError:
            return []

    def version(self, deadline: Deadline) -> str:
        """Return LiteLLM's version as of the last five minutes, empty when it does not tell."""
        now = self._clock()
        if self._version_at is None or now - self._version_at >= _KEPT_SECONDS:
            try:
                self._version = self._source.version(deadline)
            except UpstreamError as error:
                if error.status is None:
                    return self._version
                # It has answered: older ones don't know the question, some keys may not ask it.
                self._version = ""
            self._version_at = now
        return self._version

    def _refresh(self, now: float, deadline: Deadline) -> None:
        if self._failure is not None and now - self._failure[0] < _FAILURE_KEPT_SECONDS:
            raise self._failure[1]
        try:
            self._deployments = self._source.deployments(deadline)
        except UpstreamError as error:
            self._failure = self._clock(), error
            raise
        self._asked_at = now
        self.names.learn(self._deployments)
