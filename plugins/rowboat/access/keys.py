"""API keys: creation, lookup, scopes, and limits per minute."""

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
_NO_KEY = "0" * 64  # in place of the hash of an unknown key; no known text hashes to it


@dataclass(frozen=True)
class Key:
    """An API key, or another caller with a scope; `tables` are full names, None for all."""

    id: str
    name: str
    scope: str
    tables: frozenset[str] | None = None
    per_minute: int = PER_MINUTE

    def may(self, scope: str) -> bool:
        """Return whether the key includes a scope: write includes read, operate both."""
        order = ("public", *SCOPES)
        return order.index(scope) <= order.index(self.scope)

    def demand(self, scope: str) -> None:
        """Raise Forbidden unless the key includes a scope."""
        if not self.may(scope):
            raise Forbidden(f"the key {self.id} has the scope {self.scope}; this needs {scope}")

    def sees(self, table: str) -> bool:
        """Return whether the key is valid for a table."""
        return self.tables is None or table in self.tables

    def check(self, table: str) -> None:
        """Raise Forbidden unless the key is valid for a table."""
        if not self.sees(table):
            raise Forbidden(f"the key {self.id} is not valid for {table}")


@dataclass(frozen=True)
class Rate:
    """Requests of a caller in this minute, and seconds (`reset`) until the next one."""

    limit: int
    requests: int
    reset: int

    @property
    def remaining(self) -> int:
        """Number of requests left in this minute."""
        return max(self.limit - self.requests, 0)

    @property
    def exceeded(self) -> bool:
        """Whether this request is over the limit."""
        return self.requests > self.limit


def create_key(
    cursor: Cursor,
    name: str,
    scope: str,
    tables: Sequence[str] | None = None,
    days: int | None = None,
    per_minute: int = PER_MINUTE,
) -> tuple[Key, str]:
    """Create a key that expires after `days`, or never; return it and its token.

    Only a hash of the token is stored. Raises UnknownTable.
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
    """Revoke a key, immediately and permanently; raises UnknownKey."""
    cursor.execute(query("keys.revoke"), {"id": key_id})
    if not cursor.rowcount:
        raise UnknownKey(f"there is no key {key_id}")


def find_key(cursor: Cursor, token: str) -> Key:
    """Return the key of a token; raises KeyRefused.

    An unknown key takes the same steps as a wrong secret, so that timing does not reveal which IDs
    exist.
    """
    form = _TOKEN.fullmatch(token)
    key_id, secret = form.groups() if form else ("", token)
    cursor.execute(query("keys.known"), {"id": key_id})
    found = fetch_rows(cursor)
    stored = found[0]["secret_sha256"] if found else _NO_KEY
    if not hmac.compare_digest(_hash(secret), stored):
        raise KeyRefused("the key is not known")
    row = found[0]
    for state in ("revoked", "expired"):
        if row[state]:
            raise KeyRefused(f"the key {key_id} is {state}")
    tables = None if row["tables"] is None else frozenset(row["tables"])
    return Key(key_id, row["name"], row["scope"], tables, row["per_minute"])


def count_request(cursor: Cursor, caller: str, limit: int) -> Rate:
    """Count a request of a caller in this minute of the database's clock, over all processes.

    The count is exact in autocommit mode. The first request of a minute also records that the key
    is in use and deletes earlier counts, so that all others cost a single statement.
    """
    cursor.execute(query("keys.count"), {"caller": caller})
    requests, reset = fetch_one(cursor)
    if requests == 1:
        cursor.execute(query("keys.used"), {"caller": caller})
        cursor.execute(query("keys.forget"))
    return Rate(limit, requests, reset)


def _hash(secret: str) -> str:
    """Return the hash of 256 random bits: they cannot be guessed, so it need not be a slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
