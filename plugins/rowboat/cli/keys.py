"""The commands for API keys."""

from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from rowboat.access import keys
from rowboat.access.keys import PER_MINUTE, SCOPES
from rowboat.cli.terminal import command, main
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.rendering.elements import plain_text, table_of

_COLOURS = {"good": "green", "expired": "yellow", "revoked": "red"}


@main.group("keys")
def keys_() -> None:
    """Create, list and revoke API keys."""


@command(keys_)
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(SCOPES), required=True,
    help="What the key may do: write includes read, operate includes both.",
)  # fmt: skip
@click.option(
    "--table", "tables", multiple=True, help="Limit the key to this table; may be repeated."
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Days until the key expires.")
@click.option(
    "--per-minute", type=click.IntRange(1, 2**31 - 1), default=PER_MINUTE, show_default=True,
    help="Requests that the key may send per minute.",
)  # fmt: skip
def create(
    name: str, scope: str, tables: tuple[str, ...], days: int | None, per_minute: int
) -> Any:  # fmt: skip
    """Create a key and show it; it cannot be shown again."""
    with connections.session("owner") as connection, transaction(connection) as cursor:
        key, token = keys.create_key(cursor, name, scope, tables or None, days, per_minute)
    shown = Text(f"{token}\n")
    shown.append("this is shown only once: store it where only its user can read it", "yellow")
    listed = None if key.tables is None else sorted(key.tables)
    return vars(key) | {"tables": listed, "days": days, "token": token}, shown, True


@command(keys_, "list")
def list_() -> Any:
    """List all keys, newest first."""
    with connections.session("owner") as connection, transaction(connection) as cursor:
        found = keys.list_keys(cursor)
    if not found:
        return found, "there are no keys: `rowboat keys create` creates one", True
    return found, _table(found), True


@command(keys_)
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> Any:
    """Revoke a key, immediately and permanently."""
    with connections.session("owner") as connection, transaction(connection) as cursor:
        keys.revoke_key(cursor, key_id)
    return {"id": key_id, "state": "revoked"}, f"{key_id} is revoked", True


def _table(found: list[dict[str, Any]]) -> Table:
    table = table_of(
        "id", "name", "scope", "tables", "state", "expires", "last used", numbers=("per minute",)
    )
    for each in found:
        table.add_row(
            *(each["id"], plain_text(each["name"]), each["scope"]),
            "all" if each["tables"] is None else plain_text(", ".join(each["tables"])),
            f"[{_COLOURS[each['state']]}]{each['state']}[/]",
            *(_time(each[name]) for name in ("expires_at", "used_at")),
            f"{each['per_minute']:,}",
        )
    return table


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"
