"""Airflow's LocalExecutor, which does not go on without a worker that was killed."""

import os
import signal

from airflow.executors.local_executor import LocalExecutor

_WELL = (None, 0, -signal.SIGTERM)  # exit codes of a worker that lives, or was asked to end


class Executor(LocalExecutor):
    """Runs tasks in processes of this machine; ends the scheduler when one of them was killed.

    Airflow 3.3.2 would start another and go on. But the killed one has taken with it a task that is
    queued for ever, or the lock of the queue at which all others wait. A scheduler that is started
    anew gives out again what is open.
    """

    def _check_workers(self) -> None:
        killed = [each.pid for each in self.workers.values() if each.exitcode not in _WELL]
        if killed:
            self.log.error("the workers %s were killed: the scheduler ends, to begin anew", killed)
            os._exit(1)
        super()._check_workers()  # type: ignore[no-untyped-call]
