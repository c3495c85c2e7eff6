"""Inspections in the shapes of different engines, cut down to what tells them apart."""

from typing import Any

ID = "5f" * 32
IMAGE_ID = "sha256:" + "c0" * 32

# Engine API 1.41. An address stands twice, and a stopped container has empty ones.
DOCKER_20_10: dict[str, Any] = {
    "Id": ID,
    "Created": "2026-11-20T08:00:00.123456789Z",
    "Path": "/bin/sh",
    "Args": ["-c", "serve"],
    "State": {
        "Status": "exited",
        "Running": False,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": True,
        "Dead": False,
        "Pid": 0,
        "ExitCode": 137,
        "Error": "",
        "StartedAt": "2026-11-20T08:00:01Z",
        "FinishedAt": "2026-11-20T09:00:00.5Z",
    },
    "Image": IMAGE_ID,
    "Name": "/vllm-llama",
    "RestartCount": 3,
    "HostConfig": {
        "NetworkMode": "default",
        "Memory": 1 << 30,
        "NanoCpus": 0,
        "CpuPeriod": 0,
        "CpuQuota": 150_000,
        "Devices": [],
        "DeviceRequests": [
            {
                "Driver": "",
                "Count": 0,
                "DeviceIDs": ["0", "GPU-fa4e"],
                "Capabilities": [["gpu"]],
                "Options": {},
            }
        ],
    },
    "Config": {
        "Env": ["PATH=/usr/bin", "HF_TOKEN=hf_secret", "NVIDIA_VISIBLE_DEVICES=all"],
        "Cmd": ["-c", "serve"],
        "Image": "vllm/vllm-openai:v0.32",
        "Entrypoint": ["/bin/sh"],
        "ExposedPorts": {"8000/tcp": {}, "53/udp": {}},
        "Labels": {"com.docker.compose.project": "llm"},
    },
    "NetworkSettings": {
        "Ports": {},
        "IPAddress": "",
        "Networks": {"bridge": {"IPAddress": "", "GlobalIPv6Address": ""}},
    },
}

# Engine API 1.45: no longer the image's ContainerConfig; health checks' logs, a start interval.
DOCKER_26: dict[str, Any] = {
    **DOCKER_20_10,
    "State": {
        **DOCKER_20_10["State"],
        "Status": "running",
        "Running": True,
        "OOMKilled": False,
        "Pid": 4242,
        "ExitCode": 0,
        "Health": {"Status": "unhealthy", "FailingStreak": 4, "Log": [{"Output": "no"}]},
    },
    "HostConfig": {
        **DOCKER_20_10["HostConfig"],
        "NetworkMode": "llm_default",
        "CpuQuota": 0,
        "NanoCpus": 2_500_000_000,
        "DeviceRequests": None,
        "Annotations": {},
    },
    "NetworkSettings": {
        "Ports": {
            "8000/tcp": [
                {"HostIp": "127.0.0.1", "HostPort": "18000"},
                {"HostIp": "::1", "HostPort": "18000"},
            ],
            "8001/tcp": None,
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        },
        "IPAddress": "",
        "Networks": {
            "llm_default": {"IPAddress": "172.18.0.5", "DNSNames": ["vllm-llama", "5f5f"]},
            "v6": {"IPAddress": "", "GlobalIPv6Address": "fd00::5"},
            "none": None,
        },
    },
}

# Engine API 1.52 with the containerd image store: the image is the digest of its manifest, told
# once more in a descriptor; the default bridge's own fields are gone, what is empty is left out.
DOCKER_29: dict[str, Any] = {
    "Id": ID,
    "Created": "2026-11-20T08:00:00.1Z",
    "Path": "vllm",
    "Args": ["serve", "meta/llama"],
    "State": {
        "Status": "created",
        "Running": False,
        "Pid": 0,
        "ExitCode": 0,
        "StartedAt": "0001-01-01T00:00:00Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "none", "FailingStreak": 0},
    },
    "Image": IMAGE_ID,
    "ImageManifestDescriptor": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": IMAGE_ID,
        "size": 4211,
        "platform": {"architecture": "amd64", "os": "linux"},
    },
    "Storage": {"RootFS": {"Snapshot": {"Name": "overlayfs"}}},
    "Name": "/vllm-llama",
    "HostConfig": {
        "NetworkMode": "host",
        "DeviceRequests": [
            {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=1"], "Capabilities": None}
        ],
    },
    "Config": {"Cmd": ["serve", "meta/llama"], "Entrypoint": ["vllm"], "Image": "vllm:local"},
    "NetworkSettings": {"Networks": {"host": {}}, "Ports": {}},
}

# Podman's compatible API: states of its own, local times, an entrypoint as text, null for empty.
PODMAN: dict[str, Any] = {
    "Id": ID,
    "Created": "2026-11-20T10:00:00.123456789+02:00",
    "Path": "/entry",
    "Args": ["serve"],
    "State": {
        "Status": "stopped",
        "Running": False,
        "OOMKilled": False,
        "Pid": 0,
        "ExitCode": 1,
        "StartedAt": "2026-11-20T10:00:01+02:00",
        "FinishedAt": "2026-11-20T11:00:00+02:00",
        "Healthcheck": {"Status": "healthy", "FailingStreak": 0, "Log": None},
    },
    "Image": IMAGE_ID,
    "ImageName": "docker.io/vllm/vllm-openai:v0.32",
    "Name": "vllm-llama",
    "RestartCount": 0,
    "HostConfig": {
        "NetworkMode": "container:" + "6a" * 32,
        "Memory": 0,
        "NanoCpus": 0,
        "Devices": [{"PathOnHost": "nvidia.com/gpu=0", "PathInContainer": ""}],
        "DeviceRequests": None,
    },
    "Config": {
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "Cmd": ["serve"],
        "Entrypoint": "/entry",
        "Labels": None,
        "ExposedPorts": None,
    },
    "NetworkSettings": {"IPAddress": "10.88.0.7", "Ports": None},
}
