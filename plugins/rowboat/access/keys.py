"""Keys of the API: who holds one, for what, how often a minute."""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rowboat.catalog.tables import read_catalog
from rowboat.database.connections import Cursor, fetch_one, fetch_rows
from rowboat.database.statements import query
from rowboat.errors import Forbidden, KeyRefused, UnknownKey

SCOPES = ("read", "write", "operate")
PER_MINUTE = 600
_TOKEN = re.compile(r"rb_([a-z0-9]{8})_([\w-]{43})", re.ASCII)
_NOBODY = "0" * 64  # stands for the hash of a key that is not there; no known text has it


@dataclass(frozen=True)
class Key:
    """Who calls: `tables` limits it to some by full name."""

    id: str
    name: str
    scope: str
    tables: frozenset[str] | None = None
    per_minute: int = PER_MINUTE

    def may(self, scope: str) -> bool:
        """Tell whether it holds for a scope: write includes read, operate both."""
        order = ("public", *SCOPES)
        return order.index(scope) <= order.index(self.scope)

    def demand(self, scope: str) -> None:
        """Raise Forbidden unless it holds for a scope."""
        if not self.may(scope):
            raise Forbidden(f"the key {self.id} has the scope {self.scope}; this needs {scope}")

    def sees(self, table: str) -> bool:
        """Tell whether it holds for a table."""
        return self.tables is None or table in self.tables

    def check(self, table: str) -> None:
        """Raise Forbidden unless it holds for a table."""
        if not self.sees(table):
            raise Forbidden(f"the key {self.id} does not hold for {table}")


@dataclass(frozen=True)
class Rate:
    """How much of a minute's requests a caller has used; seconds until the next minute."""

    limit: int
    requests: int
    reset: int

    @property
    def remaining(self) -> int:
        """How many more it may send."""
        return max(self.limit - self.requests, 0)

    @property
    def exceeded(self) -> bool:
        """Tell whether this request is one too many."""
        return self.requests > self.limit


def create_key(
    cursor: Cursor,
    name: str,
    scope: str,
    tables: Sequence[str] | None = None,
    days: int | None = None,
    per_minute: int = PER_MINUTE,
) -> tuple[Key, str]:
    """Make a key, good for some days or without end; return it and its token, kept nowhere.

    Raises UnknownTable.
    """
    known_tables = read_catalog(cursor)
    full = None if tables is None else frozenset(known_tables.table(t).full_name for t in tables)
    alphabet = string.ascii_lowercase + string.digits
    key = Key("".join(secrets.choice(alphabet) for _ in range(8)), name, scope, full, per_minute)
    secret = secrets.token_urlsafe(32)
    stored = {"secret_sha256": _hash(secret), "days": days}
    listed = {"tables": None if full is None else sorted(full)}
    cursor.execute(query("keys.create"), vars(key) | stored | listed)
    return key, f"rb_{key.id}_{secret}"


def list_keys(cursor: Cursor) -> list[dict[str, Any]]:
    """Return all keys, the newest first; `state` is good, expired or revoked."""
    cursor.execute(query("keys.every"))
    return fetch_rows(cursor)


def revoke_key(cursor: Cursor, key_id: str) -> None:
    """End a key at once and for good; raises UnknownKey."""
    cursor.execute(query("keys.revoke"), {"id": key_id})
    if not cursor.rowcount:
        raise UnknownKey(f"there is no key {key_id}")


def find_key(cursor: Cursor, token: str) -> Key:
    """Return the key of a token; raises KeyRefused, after the same work whatever is wrong."""
    form = _TOKEN.fullmatch(token)
    key_id, secret = form.groups() if form else ("", token)
    cursor.execute(query("keys.known"), {"id": key_id})
    found = fetch_rows(cursor)
    stored = found[0]["secret_sha256"] if found else _NOBODY
    if not hmac.compare_digest(_hash(secret), stored):
        raise KeyRefused("the key is not known")
    row = found[0]
    for state in ("revoked", "expired"):
        if row[state]:
            raise KeyRefused(f"the key {key_id} is {state}")
    tables = None if row["tables"] is None else frozenset(row["tables"])
    return Key(key_id, row["name"], row["scope"], tables, row["per_minute"])


def count_request(cursor: Cursor, caller: str, limit: int) -> Rate:
    """Count a request of a caller, all processes together, in the minute of the database's clock.

    Exact where each statement is a transaction of its own. The first of a minute also notes that
    the key is in use and forgets the minutes before, so that the others cost nothing more.
    """
    cursor.execute(query("keys.count"), {"caller": caller})
    requests, reset = fetch_one(cursor)
    if requests == 1:
        cursor.execute(query("keys.used"), {"caller": caller})
        cursor.execute(query("keys.forget"))
    return Rate(limit, requests, reset)


def _hash(secret: str) -> str:
    """Hash 256 random bits: nobody guesses them, so a slow hash would protect nothing more."""
    return hashlib.sha256(secret.encode()).hexdigest()
