"""Sessions of the console: a cookie with 256 random bits, of which the database stores a hash.

Every visitor has such a cookie. Form tokens (against cross-site request forgery) and seals are
derived from it. Signing in always sets a new one (OWASP Session Management Cheat Sheet).
"""

import hashlib
import hmac
import secrets

from rowboat.access.keys import PER_MINUTE, Key
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.settings import settings

COOKIE = "rowboat"
LONGEST = 12  # hours after which a session ends even if it is in use
_MARK = 64  # characters of a signature in hexadecimal


def new_token() -> str:
    """Return a random value for the cookie."""
    return secrets.token_urlsafe(32)


def sign_text(token: str, use: str, text: str = "") -> str:
    """Return the HMAC of a text under a visitor's cookie; `use` separates kinds of texts."""
    return hmac.new(token.encode(), f"{use}\0{text}".encode(), hashlib.sha256).hexdigest()


def form_token(token: str) -> str:
    """Return the token that every form of a visitor contains, which other sites cannot read."""
    return sign_text(token, "form")


def is_form_token(token: str, given: str) -> bool:
    """Return whether the token of a form is the visitor's; False without a cookie."""
    # compare_digest: its time does not reveal how much of a guess is right.
    return bool(token) and hmac.compare_digest(form_token(token).encode(), given.encode())


def seal_text(token: str, use: str, text: str) -> str:
    """Return a text with a signature, to be sent to the visitor and received unchanged."""
    return sign_text(token, use, text) + text


def unseal_text(token: str, use: str, given: str) -> str | None:
    """Return the text that was sealed; None if it was changed, or sealed for another visitor."""
    text = given[_MARK:]
    right = sign_text(token, use, text).encode()
    return text if token and hmac.compare_digest(right, given[:_MARK].encode()) else None


def begin_session(cursor: Cursor, caller: Key, before: str = "") -> str:
    """Begin a session, end the one of the cookie `before`, and return the new cookie."""
    token = new_token()
    end_session(cursor, before)
    cursor.execute(query("sessions.forget"), _limits())
    facts = {"token": _hash(token), "caller": caller.id, "name": caller.name, "scope": caller.scope}
    cursor.execute(query("sessions.begin"), facts)
    return token


def find_session(cursor: Cursor, token: str) -> Key | None:
    """Return the caller signed in by a cookie, and record that the session is in use."""
    facts = {"token": _hash(token)}
    cursor.execute(query("sessions.known"), facts | _limits())
    found = fetch_rows(cursor)
    if not found:
        return None
    row = found[0]
    if row["stale"]:  # not at every request, to spare a write
        cursor.execute(query("sessions.seen"), facts)
    tables = None if row["tables"] is None else frozenset(row["tables"])
    return Key(row["caller"], row["name"], row["scope"], tables, row["per_minute"] or PER_MINUTE)


def end_session(cursor: Cursor, token: str) -> None:
    """End the session of a cookie."""
    cursor.execute(query("sessions.end"), {"token": _hash(token)})


def _limits() -> dict[str, int]:
    return {"idle": settings().session_minutes, "longest": LONGEST}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
