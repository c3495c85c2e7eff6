"""The shape of a fleet: what a simulated server has and serves."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"

Name = Annotated[str, Field(pattern=_NAME, description="lower case letters, digits, . _ and -")]
Share = Annotated[float, Field(ge=0, le=1, description="a ratio from 0 to 1")]
Positive = Annotated[float, Field(gt=0, description="a number above 0")]
Size = Annotated[float, Field(ge=0, description="a size in GB (10^9 bytes)")]
Service = Literal["litellm", "litellm_database", "langfuse"]


class Part(BaseModel):
    """A part of a fleet; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Host(Part):
    """The machine.

    Attributes:
        cpus: Its logical CPUs.
        memory: Its memory in GB.
        inlet: The temperature of the air that it takes in, in °C.
        network: The speed of its network in bits a second.
    """

    cpus: int = Field(default=192, ge=1, le=4096)
    memory: Positive = 2164.0
    inlet: float = Field(default=24.0, ge=-20, le=60)
    network: Positive = 100e9


class Gpu(Part):
    """The kind of its GPUs.

    Attributes:
        count: How many there are.
        name: The product's name.
        memory: Memory of each, in GB.
        bandwidth: Of that memory, in bytes a second.
        compute: Dense operations a second in 16 bits.
        idle: Watts of one that rests with its memory in use.
        limit: Watts that one may draw.
    """

    count: int = Field(default=8, ge=1, le=64)
    name: str = "NVIDIA H200"
    memory: Positive = 150.754
    bandwidth: Positive = 4.8e12
    compute: Positive = 989e12
    idle: Positive = 118.0
    limit: Positive = 700.0


class Model(Part):
    """A language model and how it is used.

    Attributes:
        name: The name under which vLLM serves it and LiteLLM routes to it.
        path: What vLLM is told to load.
        container: The container that serves it.
        image: That container's image.
        gpus: Indexes of the GPUs that it runs on.
        parameters: Its parameters, in billions.
        active: Those that one token uses, in billions; all of them unless told otherwise.
        dtype: The type of its numbers.
        quantization: How its weights are packed, empty for not at all.
        weight: Bytes of a parameter in memory.
        token: Bytes of the KV cache that one token takes.
        context: Most tokens of a prompt and its answer.
        batch: Most requests that are worked on at once (`--max-num-seqs`).
        requests: Requests a second, the mean of a day.
        prompt: Tokens of a prompt, the mean.
        answer: Tokens of an answer, the mean.
        cached: The share of a prompt's tokens that the prefix cache has.
        input_price: USD for a million tokens of prompts.
        output_price: USD for a million tokens of answers.
        fallback: The model that LiteLLM asks in its place when it does not answer.
    """

    name: Name
    path: str
    container: Name
    image: str = "vllm/vllm-openai:v0.32.0"
    gpus: tuple[int, ...] = Field(min_length=1)
    parameters: Positive
    active: Positive | None = None
    dtype: str = "bfloat16"
    quantization: str = ""
    weight: Positive = 2.0
    token: int = Field(gt=0)
    context: int = Field(gt=0)
    batch: int = Field(default=256, gt=0)
    requests: Positive
    prompt: Positive
    answer: Positive
    cached: Share = 0.3
    input_price: float = Field(ge=0)
    output_price: float = Field(ge=0)
    fallback: Name | None = None


class Embedder(Part):
    """A model behind LiteLLM that is not vLLM's: it turns text into vectors, on the CPU.

    Attributes:
        name: The name under which LiteLLM routes to it.
        path: Its name at its provider.
        container: The container that serves it.
        image: That container's image.
        requests: Requests a second, the mean of a day.
        prompt: Tokens of a text, the mean.
        latency: Seconds of a request.
        input_price: USD for a million tokens.
    """

    name: Name
    path: str
    container: Name
    image: str = "ghcr.io/huggingface/text-embeddings-inference:cpu-1.9"
    requests: Positive
    prompt: Positive
    latency: Positive
    input_price: float = Field(ge=0)


class Container(Part):
    """A container without GPUs.

    Attributes:
        name: Its name.
        image: Its image.
        cores: CPU cores that it keeps busy at rest.
        busy: CPU seconds of a request that goes through LiteLLM.
        memory: Its memory at rest, in GB.
        memory_limit: What it may use, in GB; 0 for no limit.
        cpu_limit: Cores that it may use; 0 for no limit.
        health: Whether it has a health check.
        serves: What stands still while it is down.
    """

    name: Name
    image: str
    cores: float = Field(default=0.01, ge=0)
    busy: float = Field(default=0.0, ge=0)
    memory: Size = 0.1
    memory_limit: Size = 0.0
    cpu_limit: float = Field(default=0.0, ge=0)
    health: bool = False
    serves: Service | None = None


class Disk(Part):
    """A file system and the device that it is on.

    Attributes:
        device: The device.
        mountpoint: Where it is mounted.
        fstype: Its type.
        size: Its size in GB.
        used: How full it is at the start.
        growth: Bytes a second that are added to it.
        files: How many files it can hold.
    """

    device: str
    mountpoint: str = Field(pattern="^/")
    fstype: Literal["ext4", "xfs", "tmpfs"] = "ext4"
    size: Positive
    used: Share
    growth: float = Field(default=0.0, ge=0)
    files: int = Field(default=120_000_000, gt=0)


class Fleet(Part):
    """A simulated server."""

    host: Host = Host()
    gpu: Gpu = Gpu()
    disks: tuple[Disk, ...] = Field(min_length=1)
    models: tuple[Model, ...] = Field(min_length=1, max_length=64)
    embedders: tuple[Embedder, ...] = ()
    containers: tuple[Container, ...] = ()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        self._unique()
        for model in self.models:
            if unknown := [one for one in model.gpus if not 0 <= one < self.gpu.count]:
                message = f"{model.name}: GPU {unknown[0]} is not there, they are 0 to "
                message += f"{self.gpu.count - 1}"
                raise ValueError(message)
            weights = model.parameters * model.weight
            room = 0.9 * self.gpu.memory * len(model.gpus)
            if weights >= room:
                message = f"{model.name}: its weights of {weights:.0f} GB do not fit into "
                message += f"{len(model.gpus)} GPUs with {room:.0f} GB for it"
                raise ValueError(message)
            if model.fallback not in {None, *(one.name for one in self.models)} - {model.name}:
                message = f"{model.name}: its fallback {model.fallback} is no other model"
                raise ValueError(message)
        return self

    def _unique(self) -> None:
        serving: list[Model | Embedder] = [*self.models, *self.embedders]
        for what, names in (
            ("model", [one.name for one in serving]),
            ("container", [one.container for one in serving] + [c.name for c in self.containers]),
            ("mount point", [one.mountpoint for one in self.disks]),
        ):
            if twice := next((one for one in names if names.count(one) > 1), None):
                message = f"there are two of the {what} {twice}"
                raise ValueError(message)
