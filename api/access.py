"""Who may do what: every view says its scope, every request but public ones bears a key."""

from collections.abc import Callable
from typing import Literal, TypeVar

from flask import Flask, current_app, request

from api.errors import Problem

Scope = Literal["public", "read", "write", "operate"]
View = TypeVar("View", bound=Callable[..., object])


def scope(needed: Scope) -> Callable[[View], View]:
    """Say which scope a view needs; `public` needs no key."""

    def mark(view: View) -> View:
        view.scope = needed  # type: ignore[attr-defined]
        return view

    return mark


def register(app: Flask) -> None:
    """Look at the key of every request before its view does."""
    app.before_request(_enter)


def check(app: Flask) -> None:
    """Raise AssertionError unless every view says its scope."""
    for name, view in app.view_functions.items():
        assert hasattr(view, "scope"), f"{name} does not say which scope it needs"


def _enter() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    needed = getattr(view, "scope", "public")
    if needed == "public":
        return
    raise Problem(401, "the request bears no key that is good")
