"""The table of hires, and its CSV as Arrow reads it."""

from pathlib import Path

import pyarrow
from pyarrow import csv

SCHEMA = TABLE = "hired_employees"
# as narrow as the columns of Postgres: ADBC sends them as they are
TYPES = {
    "id": pyarrow.int32(),
    "employee_name": pyarrow.string(),
    "hired_date": pyarrow.timestamp("us", "UTC"),
    "department_id": pyarrow.int32(),
    "job_id": pyarrow.int32(),
}


def batches(file: Path) -> pyarrow.RecordBatchReader:
    """Read the file, which has no header, batch by batch."""
    return csv.open_csv(
        file,
        read_options=csv.ReadOptions(column_names=list(TYPES)),
        convert_options=csv.ConvertOptions(column_types=TYPES),
    )
