"""Stands in for the script by which ansible-test installs pip: takes it from the wheel beside this file.

ansible-test fetches its own script from a server that an offline machine does not reach, whereas the wheel comes from
the package index. It runs this file with the Python of an empty virtual environment and pip's own arguments.
"""

import sys
from importlib import import_module
from pathlib import Path

folder = Path(__file__).resolve().parent
sys.path.insert(0, str(next(folder.glob("pip-*.whl"))))
options = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(import_module("pip._internal.cli.main").main(["install", f"--find-links={folder}", *options]))
