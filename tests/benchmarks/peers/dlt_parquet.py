"""dlt as in dlt_merge, but by Parquet files, which ADBC ingests.

As in its documentation of Postgres, "Fast loading with Arrow tables and parquet".
"""

from pathlib import Path

from peers.dlt_merge import merge


def load(address: str, file: Path) -> None:
    """Merge the file into dlt_merge.DATASET.TABLE."""
    merge(address, file, "parquet")
