"""Sign-ins at the console: a cookie with 256 random bits, of which the database keeps the hash.

Every visitor has such a cookie, and what proves that a form is the console's own is derived from
it; a session begins with a new one at sign-in (OWASP Session Management Cheat Sheet).
"""

import hashlib
import hmac
import secrets

from rowboat.access.keys import PER_MINUTE, Key
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.settings import settings

COOKIE = "rowboat"
LONGEST = 12  # hours
_MARK = 64  # characters of a mark


def new_token() -> str:
    """Return a cookie's value that nobody can guess."""
    return secrets.token_urlsafe(32)


def sign_text(token: str, use: str, text: str = "") -> str:
    """Return what only who has a visitor's cookie can write under a text, for one use."""
    return hmac.new(token.encode(), f"{use}\0{text}".encode(), hashlib.sha256).hexdigest()


def form_token(token: str) -> str:
    """Return what every form of a visitor must bring: only who can read his pages knows it."""
    return sign_text(token, "form")


def is_form_token(token: str, given: str) -> bool:
    """Tell whether a form's token is that of the visitor, who must have a cookie."""
    return bool(token) and hmac.compare_digest(form_token(token).encode(), given.encode())


def seal_text(token: str, use: str, text: str) -> str:
    """Return a text that goes by way of the visitor and must come back as it is."""
    return sign_text(token, use, text) + text


def unseal_text(token: str, use: str, given: str) -> str | None:
    """Return a sealed text, None where it is not the visitor's own."""
    text = given[_MARK:]
    right = sign_text(token, use, text).encode()
    return text if token and hmac.compare_digest(right, given[:_MARK].encode()) else None


def begin_session(cursor: Cursor, caller: Key, before: str = "") -> str:
    """Sign a caller in, and out where the cookie `before` was; return the value of the new one."""
    token = new_token()
    end_session(cursor, before)
    cursor.execute(query("sessions.forget"), _limits())
    facts = {"token": _hash(token), "caller": caller.id, "name": caller.name, "scope": caller.scope}
    cursor.execute(query("sessions.begin"), facts)
    return token


def find_session(cursor: Cursor, token: str) -> Key | None:
    """Return who is signed in by a cookie, and note that the session is in use."""
    facts = {"token": _hash(token)}
    cursor.execute(query("sessions.known"), facts | _limits())
    found = fetch_rows(cursor)
    if not found:
        return None
    row = found[0]
    if row["stale"]:
        cursor.execute(query("sessions.seen"), facts)
    tables = None if row["tables"] is None else frozenset(row["tables"])
    return Key(row["caller"], row["name"], row["scope"], tables, row["per_minute"] or PER_MINUTE)


def end_session(cursor: Cursor, token: str) -> None:
    """Sign a caller out."""
    cursor.execute(query("sessions.end"), {"token": _hash(token)})


def _limits() -> dict[str, int]:
    return {"idle": settings().session_minutes, "longest": LONGEST}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
