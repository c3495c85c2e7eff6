"""What LiteLLM says about itself, in the units of the metrics."""

from dataclasses import dataclass

_TYPES = {
    "chat": "llm",
    "completion": "llm",
    "responses": "llm",
    "rerank": "reranker",
}


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether LiteLLM is fit for requests.

    Attributes:
        proxy: Whether it takes requests.
        db: Whether its database answers; None when it has none or does not say.
    """

    proxy: bool
    db: bool | None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One backend of a model.

    Attributes:
        id: LiteLLM's id of it, a hash.
        model: The name that clients ask for; a trailing `*` stands for any end of it.
        provider: Whose API it has, in LiteLLM's word, or empty.
        served: The model's name there, or empty.
        kind: What it is for, in LiteLLM's word (chat, embedding, …), or empty.
        context: Most tokens of a prompt, if known.
        prices: US dollars for a token by direction (input, output), as far as they are known.
        endpoint: Its address, or empty.
    """

    id: str
    model: str
    provider: str
    served: str
    kind: str
    context: float | None
    prices: dict[str, float]
    endpoint: str

    @property
    def type(self) -> str:
        """What it is for, in ours: llm, embedding, reranker, …, empty when it is not known."""
        return _TYPES.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a health check.

    Attributes:
        healthy: Whether the deployment answered.
        at: Its Unix time.
    """

    healthy: bool
    at: float
