"""Tasks for Celery that report their calls to the folder REPORTING_FOLDER."""

import os
from pathlib import Path

from celery import Celery

from llmops_monitoring import MonitorConfig, initialize_monitoring, monitor_llm
from llmops_monitoring.config import StorageConfig

app = Celery("tasks", broker=os.environ["REPORTING_BROKER"])
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)

initialize_monitoring(
    MonitorConfig(
        storage=StorageConfig(
            output_dir=Path(os.environ["REPORTING_FOLDER"]), flush_interval_seconds=600
        )
    )
)


@app.task(name="answer")  # type: ignore[untyped-decorator]  # Celery has no types.
@monitor_llm("answer", session_id_from="number")
def answer(number: str) -> None:
    with (Path(os.environ["REPORTING_FOLDER"]).with_name("done")).open("a") as done:
        done.write(f"{number} {os.getpid()}\n")
