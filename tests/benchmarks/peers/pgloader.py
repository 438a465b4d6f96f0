"""pgloader: Debian's package, told by a command file, into the keyed table.

The options are the defaults of its documentation for CSV: flawed rows are set aside, and batches of
25,000 rows go in by COPY, each a transaction.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = """
LOAD CSV
    FROM '{file}' WITH ENCODING utf-8
        HAVING FIELDS (id, employee_name, hired_date, department_id, job_id)
    INTO {address}
        TARGET TABLE hired_employees.hired_employees
        TARGET COLUMNS (id, employee_name, hired_date, department_id, job_id)
    WITH fields optionally enclosed by '"',
        fields escaped by double-quote,
        fields terminated by ',';
"""


def load(address: str, file: Path) -> None:
    """Load the file, the start of the program included."""
    with tempfile.TemporaryDirectory() as folder:
        command = Path(folder) / "hires.load"
        command.write_text(COMMAND.format(file=file, address=address))
        subprocess.run(["pgloader", "--root-dir", folder, command], check=True, stdout=sys.stderr)
