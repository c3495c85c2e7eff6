"""The names of simulated things: well-formed, different from each other, and always the same."""

import re

from llm_monitor.mock.identity import container_id, gpu_uuid, pid

SERVERS = range(200)
_GPU_UUID = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_each_gpu_has_a_uuid_of_its_own() -> None:
    uuids = {gpu_uuid(server, index) for server in SERVERS for index in range(8)}

    assert len(uuids) == 200 * 8
    assert all(_GPU_UUID.fullmatch(one) for one in uuids)


def test_each_container_has_an_id_of_its_own() -> None:
    ids = {container_id(server, name) for server in SERVERS for name in ("litellm", "redis")}

    assert len(ids) == 200 * 2
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in ids)


def test_each_process_has_a_number_that_the_kernel_could_give() -> None:
    pids = {
        pid(server, container, process)
        for server in SERVERS
        for container in range(14)
        for process in range(16)
    }

    assert len(pids) == 200 * 14 * 16
    assert 300 < min(pids) <= max(pids) < 2**22


def test_names_stay_from_run_to_run() -> None:
    # Dashboards' links and backfilled data name them, so they must outlive this process.
    assert gpu_uuid(0, 3) == "GPU-b71fcb41-8a32-5c18-880a-516b81dbcf13"
    assert container_id(0, "litellm").startswith("024562cd1ed9")
    assert pid(0, 1, 2) == 4202
