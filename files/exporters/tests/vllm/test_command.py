import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_monitor.vllm.server.command import Command, read


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["vllm", "serve", "meta/llama"], Command(True, None, "meta/llama")),
        (["/usr/local/bin/vllm", "serve", "m", "--port", "9000"], Command(True, 9000, "m")),
        (
            ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model=m", "--port=80"],
            Command(True, 80, "m"),
        ),
        (
            ["vllm", "serve", "m", "--served-model-name", "a", "b", "--dtype", "bfloat16"],
            Command(True, None, "a", dtype="bfloat16"),
        ),
        (
            ["sh", "-c", "exec vllm serve m -tp 8 -q fp8 --port 8001 > /log"],
            Command(True, 8001, "m", "8", quantization="fp8"),
        ),
        (
            ["vllm", "serve", "--tensor_parallel_size=4", "--model", "m"],
            Command(True, None, "m", "4"),
        ),
        (["vllm", "serve", "m", "--port", "0"], Command(True, None, "m")),
        (["vllm", "serve", "m", "--port", "99999"], Command(True, None, "m")),
        (["vllm", "serve", "m", "--port"], Command(True, None, "m")),
        (["sh", "-c", 'vllm serve "unclosed'], Command(True, None, '"unclosed')),
        (["vllm", "serve"], Command(True)),
        (["--model", "m", "--port", "8005"], Command(False, 8005, "m")),
        (["vllm", "bench", "serve"], Command()),
        (["serve"], Command()),
        (["sh", "-c", "echo vllm"], Command()),
        ([], Command()),
    ],
)
def test_what_a_command_tells(command: list[str], told: Command) -> None:
    assert read(command) == told


def test_what_may_be_secret_stays_there() -> None:
    told = read(["vllm", "serve", "m", "--api-key", "planted", "--dtype", "planted secret=1"])
    assert told == Command(True, None, "m")


@given(st.lists(st.text(max_size=20), max_size=10))
def test_no_command_breaks_it(command: list[str]) -> None:
    read(command)
