"""pandas: read_csv in chunks, to_sql(method="multi"), as most scripts load; the driver is psycopg2.

`pandas[postgresql]` names SQLAlchemy and psycopg2. A chunk is one INSERT of many rows.
"""

from pathlib import Path

import pandas as pd
from sqlalchemy import create_engine, make_url

TABLE = "hired_employees"
COLUMNS = ["id", "employee_name", "hired_date", "department_id", "job_id"]
CHUNK = 1_000


def load(address: str, file: Path) -> None:
    """Append the file to the table, in one transaction."""
    engine = create_engine(make_url(address).set(drivername="postgresql+psycopg2"))
    chunks = pd.read_csv(file, names=COLUMNS, parse_dates=["hired_date"], chunksize=CHUNK)
    with engine.begin() as connection, chunks:
        for chunk in chunks:
            chunk.to_sql(
                TABLE, connection, schema=TABLE, if_exists="append", index=False, method="multi"
            )
