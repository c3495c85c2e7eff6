"""The binding over fake GPUs."""

from collections.abc import Iterator

import pytest

from exporter_testing.gpu.nvml import FakeNvml
from exporter_testing.gpu.session import Session, session


@pytest.fixture
def nvml(fake: FakeNvml) -> Iterator[Session]:
    with session(fake) as one:
        yield one
