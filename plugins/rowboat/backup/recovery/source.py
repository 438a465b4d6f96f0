"""Sources of restored rows: a table of a set, or a single AVRO file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rowboat.address import Address
from rowboat.backup import shelf
from rowboat.backup.avro.container import Reader
from rowboat.backup.avro.digests import Digest
from rowboat.backup.avro.schema import Schema
from rowboat.backup.verify import Progress, check_copy
from rowboat.catalog.tables import Table
from rowboat.database import copy_binary
from rowboat.door.stage import Cargo
from rowboat.errors import BackupRefused
from rowboat.storage import opening


@dataclass(frozen=True)
class Source:
    """One table of a backup, verified: `set` is the name of its set, or the path of a file."""

    set: str
    path: Address
    schema: Schema
    rows: int
    digest: str

    @property
    def name(self) -> str:
        """The name of the source in loads and in the quarantine."""
        return f"{self.set}/{self.path.name}" if self.set != str(self.path) else self.set

    def cargo(self, table: Table) -> Cargo:
        """Return the rows as a cargo: those columns that the table has too."""
        common = self.common(table)
        typed = frozenset(name for name in common if self._is_typed(table, name))
        return Cargo(common, lambda: _Stream(self, common, typed), self.rows, typed=typed)

    def common(self, table: Table) -> tuple[str, ...]:
        """Return the columns that both the backup and the table have."""
        held = self.schema.by_column
        return tuple(column.name for column in table.stored if column.name in held)

    def _is_typed(self, table: Table, name: str) -> bool:
        """Return whether values of the column need not be judged by type."""
        # Values of a domain or of a type with a length still have to be judged.
        column, field = table.by_name[name], self.schema.by_column[name]
        same = (field.type, field.base) == (column.type, column.base)
        fits = field.kind.native and same and not column.is_domain
        return fits and not (column.modifier >= 0 and column.is_text)


def source_of_set(name: str, table: str, progress: Progress = lambda *_: None) -> Source:
    """Verify a table of a set and return it; raises BackupRefused, UnknownSet."""
    copy = shelf.read_manifest(name).copy(table)
    found = check_copy(name, copy, progress)
    if found.findings:
        raise BackupRefused(f"{name}/{copy.file} {found.findings[0]}")
    path = shelf.set_path(name, copy.file)
    return Source(name, path, shelf.schema_of_copy(copy), copy.rows, copy.digest)


def source_of_file(path: Address, table: str) -> Source:
    """Read an AVRO file of any origin and return it.

    Raises BackupRefused if it cannot be read or Rowboat would not have written it.
    """
    try:
        with opening.open_file(path) as file:
            reader = Reader(file, file.size)
            schema, digest = reader.schema(table), Digest()
            for part in reader.rows(schema):
                digest.add(part.buffer, part.at, part.size)
                for column in schema.by_column:
                    part.cells(column)
    except OSError as error:
        raise BackupRefused(
            f"{path} cannot be read: {error.strerror}", "name a set or a file"
        ) from error
    except BackupRefused as error:
        raise BackupRefused(f"{path.name} {error.fact}", error.hint) from None
    return Source(str(path), path, schema, digest.rows, str(digest))


class _Stream:
    """The rows of a source in COPY's binary format, as a file that COPY reads."""

    def __init__(self, source: Source, columns: Sequence[str], typed: frozenset[str]) -> None:
        self._parts = self._copy(source, columns, typed)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._parts, b""))
        part, self._rest = self._rest[:size], self._rest[size:]
        return bytes(part)

    def _copy(
        self, source: Source, columns: Sequence[str], typed: frozenset[str]
    ) -> Iterator[bytes]:
        """Yield the rows; raises BackupRefused if they are not those that were verified."""
        # The file is read a second time and may have changed; then the transaction is rolled back.
        yield copy_binary.HEADER
        kinds = {name: source.schema.by_column[name].kind for name in columns}
        digest = Digest()
        try:
            with opening.open_file(source.path) as file:
                for part in Reader(file, file.size).rows(source.schema):
                    digest.add(part.buffer, part.at, part.size)
                    cells = {name: part.cells(name) for name in columns}
                    yield copy_binary.rows_as_copy([
                        kinds[name].literal(cells[name])
                        if kinds[name].native and name not in typed
                        else cells[name]
                        for name in columns
                    ])  # fmt: skip
        except OSError as error:
            raise BackupRefused(f"{source.name} cannot be read: {error.strerror}") from error
        except BackupRefused as error:
            raise BackupRefused(f"{source.name} {error.fact}", error.hint) from None
        if str(digest) != source.digest:
            raise BackupRefused(f"{source.name} changed after it was checked", "run it again")
        yield copy_binary.TRAILER
