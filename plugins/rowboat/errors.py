"""Every failure that Rowboat explains: a fact about the named thing, then what to do.

The docstring of a class is its default fact, `hint` the default advice, and `status` the HTTP
status of the API's answer; 500 means a fault of the service, not of the request.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from traceback import extract_tb


class RowboatError(Exception):
    """the work could not be done"""

    hint = "fix the cause shown above, then run it again"
    status = 500

    def __init__(self, fact: str | None = None, hint: str | None = None) -> None:
        # A name or a cell in it may hold a NUL, which Postgres cannot store.
        self.fact = (fact or (type(self).__doc__ or "").strip()).replace("\0", "\\u0000")
        self.hint = hint or type(self).hint
        super().__init__(self.fact)

    def __str__(self) -> str:
        return f"{self.fact}\nHINT: {self.hint}"

    # Airflow and multiprocessing pickle errors, and would call the class with `args` alone.
    def __reduce__(self) -> tuple[type["RowboatError"], tuple[str, str]]:
        return type(self), (self.fact, self.hint)


def reason(error: OSError) -> str:
    """Return in words why a file, folder or store could not be used."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


def remedy(error: OSError, usual: str) -> str:
    """Return what to do about an error: its own hint if it has one, else the usual one."""
    return getattr(error, "hint", usual)


class SettingError(RowboatError):
    """a setting has a value that cannot be used"""

    hint = "correct it in the environment or in .env"


class SqlFileError(RowboatError):
    """a file under sql/ cannot be read"""

    hint = "each statement starts with '-- name: NAME' and a line that says what it does"


class ServerError(RowboatError):
    """the embedded Postgres could not be started"""

    hint = "its log is in ROWBOAT_HOME/postgres/server.log"
    status = 503


class HomeUnusable(RowboatError):
    """the folder of ROWBOAT_HOME cannot be used"""

    hint = "free some space and make it writable for this user, or set ROWBOAT_HOME"
    status = 503


class PortTaken(RowboatError):
    """a port that Rowboat needs is taken"""

    hint = "stop the program that listens on it, or choose another port"


class ConnectionLost(RowboatError):
    """the database cannot be reached"""

    hint = "check that Postgres is running and ROWBOAT_DATABASE_URL is right, then run it again"
    status = 503


class DatabaseRefused(RowboatError):
    """the database refused the statement"""

    hint = "`rowboat migrate` brings the schema up to date"


class RowRefused(DatabaseRefused):
    """the database refused a row because of a rule that only it can check"""

    hint = "correct the row"
    status = 422


class RowNotStored(RowRefused):
    """the table did not store a row"""

    hint = "a trigger, rule or policy of the table skips it; change that, or the row"


class StillRefused(RowboatError):
    """the corrected row is refused again; nothing was changed"""

    hint = "correct the row as its reasons say"
    status = 422

    def __init__(
        self,
        fact: str | None = None,
        hint: str | None = None,
        errors: Sequence[Mapping[str, str | None]] = (),
    ) -> None:
        super().__init__(fact, hint)
        self.errors = errors


class MigrationFailed(RowboatError):
    """a migration failed; the schema is unchanged"""

    hint = "correct the file and run `rowboat migrate` again"


class UnknownTable(RowboatError):
    """there is no such table"""

    hint = "`rowboat status` lists the tables"
    status = 404


class UnknownRow(RowboatError):
    """there is no such row"""

    hint = "check the key"
    status = 404


class FileRefused(RowboatError):
    """the file cannot be loaded"""

    hint = "correct the file; the next `rowboat ingest` loads it"
    status = 422


class Unmatched(FileRefused):
    """the file belongs to no table"""

    hint = "name it after its table, move it to a folder of that name, or remove it from raw_data"


class FileChanged(FileRefused):
    """the file changed while it was read"""

    hint = "wait until it has been written, then run `rowboat ingest` again"


class PartLost(RowboatError):
    """a staged part no longer matches its file"""

    hint = "run `rowboat ingest`, which reads the file itself"


class LimitExceeded(FileRefused):
    """more rows are rejected than ROWBOAT_REJECT_LIMIT allows; nothing was kept"""

    hint = "correct the file, or raise ROWBOAT_REJECT_LIMIT"


class AllRefused(FileRefused):
    """all rows of the file are refused"""

    hint = "correct the file, or its table; `rowboat rejects list` shows each row with its reasons"


class BackupRefused(RowboatError):
    """the backup cannot be read"""

    hint = "choose another set: `rowboat backups` lists them, `rowboat verify SET` checks one"
    status = 409


class BodyRefused(RowboatError):
    """the body of the request cannot be read"""

    hint = "send an array of objects, one for each row"
    status = 400


class BatchRefused(RowboatError):
    """the request has no rows, or too many"""

    hint = "send 1 to 1,000 rows per request, or upload a file of any size"
    status = 422


class KeyReused(RowboatError):
    """the Idempotency-Key was used for another request"""

    hint = "use a new key for each new request; a key is only repeated with its own request"
    status = 422


class UnknownMetric(RowboatError):
    """there is no such metric"""

    hint = "`rowboat metric` lists them"
    status = 404


class ParameterRefused(RowboatError):
    """a parameter cannot be used"""

    hint = "correct its value"
    status = 422


class KeyRefused(RowboatError):
    """the request has no valid key"""

    hint = "send the header Authorization: Bearer rb_…; `rowboat keys create` creates a key"
    status = 401


class IssuerDown(RowboatError):
    """the keys of the token issuer cannot be fetched"""

    hint = "try again in a minute; the log says why"


class Forbidden(RowboatError):
    """the key does not allow this"""

    hint = "create one that does with `rowboat keys create`"
    status = 403


class UnknownKey(RowboatError):
    """there is no such key"""

    hint = "`rowboat keys list` shows them"
    status = 404


class AskRefused(RowboatError):
    """the query parameters cannot be used"""

    hint = "`errors` says why; /api/tables lists the columns"
    status = 422

    def __init__(
        self,
        fact: str | None = None,
        hint: str | None = None,
        errors: Sequence[Mapping[str, str | None]] = (),
    ) -> None:
        super().__init__(fact, hint)
        self.errors = errors


class HasDependents(RowboatError):
    """other rows refer to the row"""

    hint = "delete those first, or delete them too with ?cascade=true"
    status = 409

    def __init__(
        self,
        fact: str | None = None,
        hint: str | None = None,
        dependents: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(fact, hint)
        self.dependents = dependents or {}


class UnknownSet(RowboatError):
    """there is no such set"""

    hint = "`rowboat backups` lists the sets"
    status = 404


class ShelfUnusable(RowboatError):
    """the backup shelf cannot be written to"""

    hint = "free some space and make it writable for this user, or set ROWBOAT_BACKUPS"
    status = 503


class RestoreRefused(RowboatError):
    """the backup cannot be restored into this table"""

    hint = "`rowboat restore TABLE --plan` shows what it would do"
    status = 409


class WouldCascade(RestoreRefused):
    """the restore would delete rows that others refer to"""

    hint = "see them with --plan; --cascade affects them too, --mode merge deletes nothing"


class PlanChanged(RestoreRefused):
    """the plan no longer holds; nothing was changed"""

    hint = "look at the new plan, then restore again"


class UnloadRefused(RowboatError):
    """the file cannot be unloaded"""

    hint = "`rowboat unload FILE --plan` shows what became of its rows"
    status = 409


class UnknownRestore(RowboatError):
    """there is no such restore"""

    hint = "`rowboat backups` lists the restores too"
    status = 404


class Unholdable(RowboatError):
    """a value cannot be stored in an AVRO file"""

    hint = "correct the row; until then its table cannot be backed up"


class FileExists(RowboatError):
    """the file to be written already exists"""

    hint = "name another file with --to"
    status = 409


class Unwritable(RowboatError):
    """the file cannot be written"""

    hint = "name another file with --to"
    status = 503


class Stopped(RowboatError):
    """the load was stopped; the rows loaded so far are kept"""

    hint = "run `rowboat ingest` again; it continues where it stopped"


class Contended(RowboatError):
    """other writers kept changing the same rows"""

    hint = "run it again when they have finished"
    status = 409


class BrokenPromise(RowboatError):
    """the counts of a load do not add up; it was rolled back"""

    hint = "this is a bug in Rowboat and nothing was changed; please report it with the file"


class Defect(RowboatError):
    """a defect of Rowboat, not of the file, stopped the load"""

    hint = "please report it with the lines of the log; other files are loaded all the same"

    @classmethod
    def at(cls, error: Exception) -> "Defect":
        """Return what is told of an exception that nothing foresaw, with its place in the code."""
        *_, last = extract_tb(error.__traceback__)
        place = f"{Path(last.filename).name}, line {last.lineno}"
        return cls(f"was stopped by a defect of Rowboat: {type(error).__name__} in {place}")


class AirflowUnreachable(RowboatError):
    """Airflow does not answer"""

    hint = "look in ROWBOAT_HOME/logs, or start it with `rowboat up`"
    status = 503


class AirflowRefused(AirflowUnreachable):
    """Airflow refused the request"""

    hint = "its message says why"
    status = 409


class UnknownRun(AirflowUnreachable):
    """there is no such run"""

    hint = "Airflow's page lists the runs"
    status = 404


class NotUp(RowboatError):
    """Airflow or the API did not start"""

    hint = "its logs are in ROWBOAT_HOME/logs"
