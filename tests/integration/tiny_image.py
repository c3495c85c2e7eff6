# Copyright (c) 2026 the llmops.monitoring authors
# SPDX-License-Identifier: Apache-2.0

"""Small images made of this machine's own programs, for tests that need a container without a registry."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def imported(name: str, programs: Iterable[str], files: Mapping[str, str] | None = None) -> Iterator[str]:
    """Give the reference of a new image with these programs and files, and remove it in the end."""
    reference = f"llm-monitor-test/{name}:{uuid.uuid4().hex[:8]}"
    archive = root_archive(programs, files or {})
    subprocess.run(["docker", "import", "-", reference], input=archive, check=True, capture_output=True)
    try:
        yield reference
    finally:
        subprocess.run(["docker", "image", "rm", reference], check=True, capture_output=True)


def root_archive(programs: Iterable[str], files: Mapping[str, str]) -> bytes:
    """Return a root file system with `programs`, names or paths, in /bin, the libraries that they need, and `files`."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        libraries = set()
        for program in programs:
            path = shutil.which(program)
            assert path, f"{program} is not on this machine"
            tar.add(os.path.realpath(path), f"bin/{os.path.basename(program)}")
            listing = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
            libraries.update(re.findall(r"(/\S+) \(0x", listing))
        for library in sorted(libraries):
            tar.add(os.path.realpath(library), library.lstrip("/"))
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return archive.getvalue()
