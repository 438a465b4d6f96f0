"""Examples of bodies other than rows."""

from typing import Any

from api.openapi.parts import Json

REQUEST = "5f0c2b1d9a3e4c77"
RUN_ID = "manual__2026-11-21T14:00:00+00:00"
TIME = "2026-11-21T14:00:00+00:00"

_REPORT = {"read": 1, "inserted": 1, "updated": 0, "unchanged": 0, "rejected": 0}
_FAULT = {"row": 0, "column": "id", "rule": "type", "message": "'x' is not an integer"}
_RUN = {"run": RUN_ID, "state": "success", "started": TIME, "ended": TIME}
_TASK = {"task": "plan", "of": None, "state": "success", "tries": 1, "started": TIME,
         "ended": TIME}  # fmt: skip
_SET = "20261121T020000Z"

STARTED = {"run": RUN_ID, "state": "queued", "url": f"/api/ingest/{RUN_ID}"}
UPLOAD = {"bytes": 4096, "sha256": "0" * 64, **STARTED}
INGEST_RUN = _RUN | {"totals": _REPORT, "files": [], "tasks": [_TASK]}
INGEST = {"files": [], "airflow": True, "runs": [_RUN]}
REJECTS = {"rows": [], "limit": 100, "next": None}
REJECTS_CSV = "table,file,line,why,reasons,row\r\n"
RETRIED: Json = {"tables": {"schema.table": _REPORT}}
SHELF: Json = {
    "sets": [{"name": _SET, "taken_at": TIME, "tables": {"schema.table": 1}, "bytes": 4096,
              "state": "whole", "pinned": False}],
    "restores": [],
}  # fmt: skip
BACKUP_RUN = _RUN | {"set": {"set": _SET}, "tasks": [_TASK]}
RESTORE_RUN = _RUN | {"waits": False, "plan": {"set": _SET}, "question": None, "restore": 1,
                      "undo": "/api/restores/1/undo", "tasks": [_TASK]}  # fmt: skip
HEALTH = {"alive": True, "version": "1.0.0"}
READY = {"ready": True, "database": True, "raw_data": True, "backups": True, "airflow": True}
TABLES: Json = {"tables": [{"table": "schema.table", "key": ["id"], "columns": []}]}
NUMBERS = "# TYPE rowboat_database_up gauge\nrowboat_database_up 1.0\n"


def sample_receipts(keys: dict[str, list[Any]]) -> dict[int, Json]:
    """Return status → example of an answer to a batch; `keys` is table → keys of new rows."""
    tables = dict.fromkeys(keys, _REPORT)
    said = {"request": REQUEST, "dry_run": False, **_REPORT, "tables": {}, "errors": []}
    whole = said | {"tables": {name: _REPORT | {"ids": [1]} for name in keys}}
    some = {"inserted": 0, "rejected": 1}
    return {
        200: said | {"dry_run": True, "tables": tables},
        201: whole,
        207: whole | some | {"errors": [_FAULT]},
    }
