"""Which container a control group belongs to."""

import re

# Docker, containerd and Podman number containers with 64 hexadecimal digits, which stand in the
# path of the control group whatever its driver (/docker/ID, docker-ID.scope) and version.
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def container_ids(text: str) -> list[str]:
    """Return the containers' ids in the text of a /proc/<pid>/cgroup, the outermost first."""
    return _ID.findall(text)
