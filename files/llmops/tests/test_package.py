"""The distribution: what its core needs, and that it is typed."""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

NEEDED = {
    *("llmops_monitoring", "pydantic", "pydantic_settings"),
    # What these two need themselves.
    *("annotated_types", "dotenv", "pydantic_core", "typing_extensions", "typing_inspection"),
}
PROGRAM = """
import sys
before = set(sys.modules)
import llmops_monitoring
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*(name for name in new - set(sys.stdlib_module_names) if not name.startswith("_")))
"""


def test_the_core_needs_pydantic_alone() -> None:
    paths = os.pathsep.join(str(Path(one).absolute()) for one in sys.path if one)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(done.stdout.split()) <= NEEDED


def test_it_is_typed() -> None:
    assert (files("llmops_monitoring") / "py.typed").is_file()
