"""What the benchmarks share that measure beside a peer: its packages, whose turn it is, and what is printed."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from measuring import environment

T = TypeVar("T")


def with_packages(name: str, packages: Sequence[str]) -> Path:
    """Return the programs' folder of a virtual environment of that name which has these packages."""

    def fill(pip: list[str]) -> None:
        subprocess.run([*pip, *packages], check=True)

    return environment(name, " ".join(packages).encode(), fill)


def in_turn(subjects: Sequence[T], rounds: int) -> Iterator[T]:
    """Give all `subjects` once a round; each round begins with another, so that none always comes first."""
    for number in range(rounds):
        first = number % len(subjects)
        yield from [*subjects[first:], *subjects[:first]]


def print_conditions(measured: str) -> None:
    """Print what was measured on which machine."""
    load = os.getloadavg()[0]
    print(f"{measured}; Python {platform.python_version()}, {os.cpu_count()} CPUs, load {load:.1f}\n")


def print_ratios(heading: str, ratios: Mapping[str, float]) -> None:
    """Print our figures as multiples of the peer's."""
    print(f"\n{heading}:")
    for name, ratio in ratios.items():
        print(f"  {name:<38}{ratio:>7.3f}")
