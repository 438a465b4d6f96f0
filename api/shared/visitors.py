"""The cookie of a visitor of the console: its name, its value, its attributes."""

from flask import Response, request

from rowboat.access import sessions


def cookie_name() -> str:
    """Return the name of a visitor's cookie.

    Over https it has the prefix __Host-, with which browsers accept it from this host only.
    """
    return ("__Host-" if request.is_secure else "") + sessions.COOKIE


def visitor_token() -> str:
    """Return the token in the visitor's cookie, or an empty string without one."""
    return request.cookies.get(cookie_name(), "")


def give_token(answer: Response, token: str) -> None:
    """Set a visitor's cookie; scripts cannot read it, and forms of other sites do not send it."""
    answer.set_cookie(cookie_name(), token, httponly=True, samesite="Lax", secure=request.is_secure)
