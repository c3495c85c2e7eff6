"""Every example of the README runs, and its table of settings is that of the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmops_monitoring import MonitorConfig, StorageConfig

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ROWS = re.findall(r"^\| `([a-z_.]+)` \| (?:`(.*?)`)? ?\| .+ \|$", README, re.MULTILINE)


def _default(value: object) -> str:
    if value is None or value == {}:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number: int, tmp_path: Path) -> None:
    paths = [str(Path(one).absolute()) for one in sys.path if one]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXAMPLES[number]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # The log is silent: nothing of the library went wrong either.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 9


def test_settings_are_those_of_the_code() -> None:
    expected = {}
    for prefix, model in (("storage.", StorageConfig), ("", MonitorConfig)):
        for name, field in model.model_fields.items():
            if name != "storage":
                expected[prefix + name] = _default(field.get_default(call_default_factory=True))
    told = {name: default for name, default in ROWS if name in expected}
    assert told == expected
