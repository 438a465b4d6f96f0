"""The fingerprint of a table: whether rows that were refused may be judged otherwise now."""

import json
from dataclasses import asdict
from hashlib import sha256
from typing import Any

# what decides about no row: words, and what others do with the rows that are in
_APART = {"comment", "sequence", "on_delete", "ring", "is_referenced", "has_deferred", "oid"}


def fingerprint_of(table: Any) -> str:
    """Return the sha256 of all that decides whether a row may enter a table: its columns with types
    and defaults, keys, references, CHECKs, and the rules that only the database checks.

    Comments and other tables do not count, nor do functions that a CHECK calls.
    """
    return sha256(json.dumps(asdict(table, dict_factory=_telling)).encode()).hexdigest()


def _telling(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in fields if name not in _APART}
