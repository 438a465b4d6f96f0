"""Every failure that Rowboat explains: a fact about the named thing, then what to do.

The docstring of a class is its default fact, `hint` its default remedy, `status` the HTTP status
with which the API answers it; 500 stands for a defect of the service.
"""

from collections.abc import Mapping, Sequence


class RowboatError(Exception):
    """the work could not be done"""

    hint = "look at the cause above and run it again"
    status = 500

    def __init__(self, fact: str | None = None, hint: str | None = None) -> None:
        self.fact = fact or (type(self).__doc__ or "").strip()
        self.hint = hint or type(self).hint
        super().__init__(self.fact)

    def __str__(self) -> str:
        return f"{self.fact}\nHINT: {self.hint}"

    def __reduce__(self) -> tuple[type["RowboatError"], tuple[str, str]]:
        return type(self), (self.fact, self.hint)


def reason(error: OSError) -> str:
    """Word why a file, a folder or a store could not be used."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


def remedy(error: OSError, usual: str) -> str:
    """Return what to do about it: the error's own hint, or the usual one."""
    return getattr(error, "hint", usual)


class SettingError(RowboatError):
    """a setting has a value that cannot be used"""

    hint = "correct it in the environment or in .env"


class SqlFileError(RowboatError):
    """a file under sql/ cannot be read"""

    hint = "each statement starts with '-- name: NAME' and a line that tells what it does"


class ServerError(RowboatError):
    """the embedded Postgres could not be started"""

    hint = "its log is in ROWBOAT_HOME/postgres/server.log"
    status = 503


class HomeUnusable(RowboatError):
    """the folder of ROWBOAT_HOME cannot be used"""

    hint = "make room there and give the user the right to write, or set ROWBOAT_HOME"
    status = 503


class PortTaken(RowboatError):
    """a port that Rowboat needs is taken"""

    hint = "stop the program that listens there, or choose another port"


class ConnectionLost(RowboatError):
    """the database cannot be reached"""

    hint = "check that Postgres runs and that ROWBOAT_DATABASE_URL is right, then run it again"
    status = 503


class DatabaseRefused(RowboatError):
    """the database refused the statement"""

    hint = "`rowboat migrate` brings the schema up to date"


class RowRefused(DatabaseRefused):
    """the database refused a row by a rule that cannot be judged set by set"""

    hint = "correct the row"
    status = 422


class MigrationFailed(RowboatError):
    """a migration failed; everything is as it was before"""

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

    hint = "correct the file; the next `rowboat ingest` takes it again"
    status = 422


class Unmatched(FileRefused):
    """the file belongs to no table"""

    hint = "name it after its table, put it into a folder of that name, or take it out of raw_data"


class FileChanged(FileRefused):
    """the file changed while it was read"""

    hint = "wait until it is written, then run `rowboat ingest` again"


class PartLost(RowboatError):
    """a part that was staged is not what it was"""

    hint = "run `rowboat ingest`: it reads the file itself"


class LimitExceeded(FileRefused):
    """more rows are rejected than ROWBOAT_REJECT_LIMIT allows; nothing was kept"""

    hint = "correct the file, or raise ROWBOAT_REJECT_LIMIT"


class BackupRefused(RowboatError):
    """the backup cannot be read"""

    hint = "take another: `rowboat backups` lists them, `rowboat verify SET` proves one"
    status = 409


class BodyRefused(RowboatError):
    """the body of the request cannot be read"""

    hint = "send an array of objects, one for each row"
    status = 400


class BatchRefused(RowboatError):
    """the request has no rows, or too many"""

    hint = "send 1 to 1,000 at once, or upload a file of any length"
    status = 422


class KeyReused(RowboatError):
    """the Idempotency-Key was used for another request"""

    hint = "send a new key with a new request; the same key repeats the same request"
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
    """the request bears no key that is good"""

    hint = "send the header Authorization: Bearer rb_…; `rowboat keys create` makes a key"
    status = 401


class IssuerDown(RowboatError):
    """the issuer of tokens cannot be asked for its keys"""

    hint = "try it again in a minute; the log tells why"


class Forbidden(RowboatError):
    """the key does not allow this"""

    hint = "`rowboat keys create` makes one that does"
    status = 403


class UnknownKey(RowboatError):
    """there is no such key"""

    hint = "`rowboat keys list` shows them"
    status = 404


class AskRefused(RowboatError):
    """the parameters of the address cannot be used"""

    hint = "errors tells why; /api/tables lists the columns"
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

    hint = "delete those first, or let them go too with ?cascade=true"
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
    """the shelf of backups cannot be written"""

    hint = "make room and give the user the right to write, or set ROWBOAT_BACKUPS"
    status = 503


class RestoreRefused(RowboatError):
    """the backup cannot be restored into this table"""

    hint = "`rowboat restore TABLE --plan` tells what it would do"
    status = 409


class WouldCascade(RestoreRefused):
    """the restore would delete rows that others refer to"""

    hint = "look at them with --plan; --cascade lets them go, --mode merge deletes nothing"


class PlanChanged(RestoreRefused):
    """the plan no longer holds; nothing was changed"""

    hint = "look at the new plan, then restore again"


class UnknownRestore(RowboatError):
    """there is no such restore"""

    hint = "`rowboat backups` lists the restores too"
    status = 404


class Unholdable(RowboatError):
    """a value has no place in an AVRO file"""

    hint = "correct the row; until then its table cannot be backed up"


class FileExists(RowboatError):
    """the file to write is there already"""

    hint = "name another file with --to"
    status = 409


class Unwritable(RowboatError):
    """the file cannot be written"""

    hint = "name another file with --to"
    status = 503


class Stopped(RowboatError):
    """the load was stopped; what had passed the door stays"""

    hint = "run `rowboat ingest` again: it goes on where it stopped"


class Contended(RowboatError):
    """other writers kept changing the same rows"""

    hint = "run it again when they are done"
    status = 409


class BrokenPromise(RowboatError):
    """the counts of a load do not add up; it was rolled back"""

    hint = "this is a defect of Rowboat: nothing was changed; please report it with the file"


class AirflowUnreachable(RowboatError):
    """Airflow does not answer"""

    hint = "look into ROWBOAT_HOME/logs, or start it with `rowboat up`"
    status = 503


class AirflowRefused(AirflowUnreachable):
    """Airflow refuses what it was asked for"""

    hint = "its own words tell why"
    status = 409


class UnknownRun(AirflowUnreachable):
    """there is no such run"""

    hint = "Airflow's page lists the runs"
    status = 404


class NotUp(RowboatError):
    """Airflow or the API did not come up"""

    hint = "its logs are in ROWBOAT_HOME/logs"
