"""Writes the dashboards: python -m dashboards.build [--check].

Every module in a folder beside this one is a dashboard: its function `board` returns it. With --check nothing is
written; the exit status is 1 if a file is not what would be written, or has no module.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from .board import Board

HERE = Path(__file__).resolve().parent
OUT = HERE.parent


class MisplacedError(Exception):
    """A dashboard that says of itself what the place of its module does not."""


def boards() -> dict[str, Board]:
    """Return all dashboards, by `<folder>/<uid>`.

    Raises:
        MisplacedError: When a module's place and its dashboard's folder and uid differ.
    """
    found = {}
    for path in sorted(HERE.glob("*/[!_]*.py")):
        folder, name = path.parent.name, path.stem.replace("_", "-")
        board: Board = importlib.import_module(f".{folder}.{path.stem}", __package__).board()
        if (board.folder, board.uid) != (folder, name):
            message = f"{path.relative_to(OUT.parent)} makes {board.folder}/{board.uid}, and not {folder}/{name}"
            raise MisplacedError(message)
        found[f"{folder}/{name}"] = board
    return found


def differences(wanted: Mapping[Path, str]) -> list[str]:
    """Return what is wrong with the files that there are, a line for each."""
    there = set(OUT.glob("*/*.json"))
    lines = [f"{path.relative_to(OUT.parent)} has no module in dashboards/build" for path in there - wanted.keys()]
    for path, text in wanted.items():
        if path not in there:
            lines.append(f"{path.relative_to(OUT.parent)} is not there")
        elif path.read_text(encoding="utf-8") != text:
            lines.append(f"{path.relative_to(OUT.parent)} is not what would be built")
    return sorted(lines)


def write(wanted: Mapping[Path, str]) -> None:
    """Write files, and remove dashboards that nothing builds any more."""
    for path in set(OUT.glob("*/*.json")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main() -> int:
    """Write or check the dashboards; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether the files are up to date")
    wanted = {OUT / f"{name}.json": board.json() for name, board in boards().items()}
    if not parser.parse_args().check:
        write(wanted)
        return 0
    wrong = differences(wanted)
    if wrong:
        print("\n".join([*wrong, "run `make dashboards`"]), file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
