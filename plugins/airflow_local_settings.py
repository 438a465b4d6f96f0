"""Imported by every Airflow process as it starts.

Tasks are forked from it, so what is imported here need not be imported again by each of them: a
load through Airflow becomes visible a quarter sooner.
"""

from rowboat import ingest, show

__all__ = ["ingest", "show"]
