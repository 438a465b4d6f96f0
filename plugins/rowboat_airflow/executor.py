"""A LocalExecutor that survives the kill of a worker by restarting the scheduler."""

import os
import signal

from airflow.executors.local_executor import LocalExecutor

_WELL = (None, 0, -signal.SIGTERM)  # exit codes of a worker that runs, or ended on request


class Executor(LocalExecutor):
    """Runs tasks in processes on this machine; ends the scheduler if one of them was killed.

    Airflow 3.3.2 would start another worker and continue. But the killed one may have taken a task
    off the queue, which then stays queued forever, or hold the lock of the queue, for which all
    others wait. A restarted scheduler hands out open tasks again.
    """

    def _check_workers(self) -> None:
        killed = [each.pid for each in self.workers.values() if each.exitcode not in _WELL]
        if killed:
            self.log.error("the workers %s were killed: the scheduler ends and restarts", killed)
            os._exit(1)
        super()._check_workers()  # type: ignore[no-untyped-call]
