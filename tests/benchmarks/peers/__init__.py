"""What others load, back up and serve with, each used as its documentation recommends.

It runs in `.venv-peers`, which `environments/local/peers` makes: its packages conflict with
Airflow's. So it imports nothing of the project; `tests/benchmarks/rivals.py` calls it.
"""

import re
import shutil
import subprocess
from importlib.metadata import version

PACKAGES = (
    *("pandas", "sqlalchemy", "psycopg2-binary", "dlt", "pyarrow", "adbc-driver-postgresql"),
    *("fastavro", "fastapi", "pydantic", "sqlmodel", "uvicorn"),
)


def versions() -> dict[str, str]:
    """Return the version of every peer that is installed."""
    found = {name: version(name) for name in PACKAGES}
    if shutil.which("pgloader"):
        said = subprocess.run(["pgloader", "--version"], capture_output=True, text=True, check=True)
        if match := re.search(r'"(.+)"', said.stdout):
            found["pgloader"] = match[1]
    return found
