import os
import threading
import time

import pytest

from llmops_monitoring.transport import gate as gate_module
from llmops_monitoring.transport.gate import Gate


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_waits_until_the_thread_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "_PATIENCE_SECONDS", 60)
    gate = Gate()
    working = threading.Event()
    states = {"at work": False}

    def work() -> None:
        gate.enter()
        states["at work"] = True
        working.set()
        time.sleep(0.1)
        states["at work"] = False
        gate.leave()

    thread = threading.Thread(target=work)
    thread.start()
    working.wait()
    child = os.fork()
    if not child:
        os._exit(states["at work"])
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    # It is open again.
    gate.enter()
    gate.leave()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_thread_that_forks_while_it_works_does_not_wait_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate_module, "_PATIENCE_SECONDS", 60)
    gate = Gate()
    gate.enter()
    begin = time.monotonic()
    child = os.fork()
    if not child:
        os._exit(0)
    assert time.monotonic() - begin < 30
    assert os.waitpid(child, 0)[1] == 0
    gate.leave()


def test_a_fork_that_did_not_wait_long_enough_does_not_end_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate_module, "_PATIENCE_SECONDS", 0.01)
    gate = Gate()
    entered = threading.Event()

    def fork_beside() -> None:
        gate.close()
        gate.open()

    def work() -> None:
        gate.enter()
        entered.set()
        gate.leave()

    gate.close()
    beside = threading.Thread(target=fork_beside)
    beside.start()
    beside.join()
    worker = threading.Thread(target=work)
    worker.start()
    assert not entered.wait(0.05)
    gate.open()
    assert entered.wait(5)
    worker.join()
