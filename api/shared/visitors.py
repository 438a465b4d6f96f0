"""The cookie of a visitor of the console: its name, its value, how it is set."""

from flask import Response, request

from rowboat.access import sessions


def cookie_name() -> str:
    """Return the name of a visitor's cookie; over https it is one that no other host can set."""
    return ("__Host-" if request.is_secure else "") + sessions.COOKIE


def visitor_token() -> str:
    """Return the cookie of who looks at the page; empty where he has none yet."""
    return request.cookies.get(cookie_name(), "")


def give_token(answer: Response, token: str) -> None:
    """Set a visitor's cookie: no script reads it, no other site sends it with a form."""
    answer.set_cookie(cookie_name(), token, httponly=True, samesite="Lax", secure=request.is_secure)
