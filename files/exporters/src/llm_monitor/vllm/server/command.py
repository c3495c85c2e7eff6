"""What the command of a vLLM server tells: that it is one, its port, its model, how it runs it.

The options are those of `vllm serve` and of vllm.entrypoints.openai.api_server; a command may hold
secrets, so nothing but the values that are asked for here leaves it.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_PORT = re.compile(r"[0-9]{1,5}")
_LAST_PORT = 65535
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NAME = re.compile(r"[^\s=]{1,256}")
_MODULE = "vllm.entrypoints.openai.api_server"
_SHELL = re.compile(r"-[a-z]*c")
_SHORT = {"-tp": "tensor-parallel-size", "-q": "quantization"}


@dataclass(frozen=True, slots=True)
class Command:
    """What a command tells of the server that it starts; empty where it does not.

    Attributes:
        serves: Whether it starts a vLLM server at all.
        port: The TCP port, None when not told.
        model: The name under which the model is served, else the model's own.
        tensor_parallel: How many GPUs each layer is spread over.
        dtype: The type of the weights.
        quantization: How they are quantized.
    """

    serves: bool = False
    port: int | None = None
    model: str = ""
    tensor_parallel: str = ""
    dtype: str = ""
    quantization: str = ""


NO_COMMAND = Command()


def read(command: Sequence[str]) -> Command:
    """Return what `command`, entrypoint included, tells."""
    words = list(_words(command))
    start = _start(words)
    options = dict(_options(words[start or 0 :]))
    served = options.get("served-model-name", ())
    positional = words[start : (start or 0) + 1] if start is not None else []
    models = [*served, *options.get("model", ()), *positional]
    return Command(
        serves=start is not None,
        port=_port(options),
        model=next((one for one in models if _NAME.fullmatch(one) and one[0] != "-"), ""),
        tensor_parallel=_word(options, "tensor-parallel-size"),
        dtype=_word(options, "dtype"),
        quantization=_word(options, "quantization"),
    )


def _words(command: Sequence[str]) -> Iterator[str]:
    """Give the words, those of a shell's command line (`sh -c "vllm serve …"`) one by one."""
    before = ""
    for word in command:
        if not _SHELL.fullmatch(before):
            yield word.strip()
        else:
            try:
                yield from shlex.split(word)
            except ValueError:
                yield from word.split()
        before = word


def _start(words: Sequence[str]) -> int | None:
    """Return where the server's arguments start, None when this is no server."""
    if _MODULE in words:
        return words.index(_MODULE) + 1
    for place, word in enumerate(words[1:], 1):
        if word == "serve" and words[place - 1].rpartition("/")[2] == "vllm":
            return place + 1
    return None


def _options(words: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give each option's name, without dashes in front, and the words that follow it."""
    for place, word in enumerate(words):
        if not word.startswith("-"):
            continue
        option, equals, value = word.partition("=")
        name = _SHORT.get(option, option.lstrip("-").replace("_", "-"))
        if equals:
            yield name, (value,)
            continue
        values = []
        for following in words[place + 1 :]:
            if following.startswith("-"):
                break
            values.append(following)
        yield name, tuple(values)


def _port(options: dict[str, tuple[str, ...]]) -> int | None:
    return port(options.get("port", ("",))[0]) if options.get("port") else None


def port(text: str) -> int | None:
    """Return the TCP port that `text` is, None when it is none."""
    number = int(text) if _PORT.fullmatch(text) else 0
    return number if 0 < number <= _LAST_PORT else None


def _word(options: dict[str, tuple[str, ...]], name: str) -> str:
    values = options.get(name)
    return values[0] if values and _WORD.fullmatch(values[0]) else ""
