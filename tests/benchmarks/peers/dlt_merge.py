"""dlt: from Arrow by CSV files, merged on the key, into a schema of its own without foreign keys.

As in its documentation of Postgres, "Fast loading with Arrow tables and CSV"; the strategy of the
merge is its default, delete-insert. The table gets no primary key.
"""

import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Literal

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import pyarrow
from dlt.destinations import postgres
from peers.hires import TABLE, batches

DATASET = "peer_dlt"

# what dlt imports as it works, so that no load waits for it
for name in (
    *("pandas", "dlt.common.libs.sql_alchemy_compat", "dlt.sources.helpers.requests"),
    "dlt.destinations.impl.postgres.postgres",
):
    import_module(name)


def load(address: str, file: Path) -> None:
    """Merge the file into DATASET.TABLE."""
    merge(address, file, "csv")


def merge(address: str, file: Path, file_format: Literal["csv", "parquet"]) -> None:
    """Merge the file by way of files in this format."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "peer",
            pipelines_dir=folder,
            destination=postgres(address),
            dataset_name=DATASET,
        )
        pipeline.run(hires(file), loader_file_format=file_format).raise_on_failed_jobs()


@dlt.resource(name=TABLE, primary_key="id", write_disposition="merge")
def hires(file: Path) -> Iterator[pyarrow.RecordBatch]:
    """Yield the rows of the file."""
    yield from batches(file)
