"""The exporter's repository over the stand-in for Langfuse."""

from exporter_testing.langfuse.server import PUBLIC_KEY, SECRET_KEY
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.complaints import Complaints
from llm_monitor.langfuse.facts import Poll
from llm_monitor.langfuse.web.questions import Api
from llm_monitor.langfuse.web.repository import ApiRepository


class Asking:
    """A repository over the stand-in, and what it complained about."""

    def __init__(self, url: str, secret_key: str = SECRET_KEY) -> None:
        self.complaints = Complaints("test")
        keys = PUBLIC_KEY, secret_key
        self.repository = ApiRepository(Api(url, keys, 5.0, self.complaints, ""))

    def poll(self, seconds: float = 20) -> Poll:
        return self.repository.poll(Deadline.after(seconds))

    def version(self, seconds: float = 5) -> str:
        return self.repository.version(Deadline.after(seconds))

    def ready(self) -> bool | None:
        return self.repository.ready(Deadline.after(5))
