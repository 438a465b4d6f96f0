"""Imported by every Airflow process as it starts.

Tasks are forked from it, so what is imported here need not be imported again by each of them: a
load through Airflow becomes visible a quarter sooner.
"""

from rowboat.ingest import run
from rowboat.rendering import loads

__all__ = ["loads", "run"]
