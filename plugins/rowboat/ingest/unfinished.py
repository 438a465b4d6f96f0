"""Takes back the last line of a file that was loaded before its newline came, if it goes on."""

from rowboat.catalog.tables import Table
from rowboat.csvfile.text import FileText
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.position import Position


def take_back(
    cursor: Cursor, found: FoundFile, table: Table, before: Position, only_refused: bool
) -> bool:
    """Undo the load of a file's unfinished last line; return whether that was possible.

    With `only_refused`, a newline followed it: then it goes on only if a quote in it was open.
    Such a line is loaded in a transaction of its own, so its row is the one with that transaction's
    ID. It cannot be taken back if it updated another row, or has been changed since.
    """
    place = {"file_name": before.file_name, "version": before.version}
    cursor.execute(query("position.last_load"), place | {"last_byte": before.loaded_bytes})
    loads = fetch_rows(cursor)
    if not loads or loads[0]["read"] != 1 or loads[0]["updated"]:
        return False
    if only_refused and not loads[0]["rejected"]:
        return False
    last = loads[0]
    if last["inserted"]:
        cursor.execute(query("position.delete_written", table=table.identifier), last)
        if cursor.rowcount != 1:
            return False
    with FileText(found.path) as text:
        prefix = text.prefix(last["first_byte"])
    cursor.execute(query("position.step_back"), place | last | {"prefix_sha256": prefix.sha256})
    return True
