"""Gives Airflow its users and the connection `rowboat`, as the secrets say; safe to run again."""

from pathlib import Path

from airflow.models.connection import Connection as Stored
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.session import create_session
from sqlalchemy import delete

SECRETS = Path("/run/secrets")
API = "rowboat-api"  # who starts runs, follows them and passes on the approval of a person
API_RIGHTS = (
    ("can_read", "DAGs"),
    ("can_edit", "DAGs"),  # whoever starts a run must have it
    ("can_read", "DAG Runs"),
    ("can_create", "DAG Runs"),
    ("can_read", "Task Instances"),
    ("can_read", "XComs"),
    ("can_read", "HITL Detail"),
    ("can_edit", "HITL Detail"),
)


def users() -> None:
    """Make the administrator and the API's user, or give them the passwords of today."""
    with get_application_builder() as builder:
        manager = builder.sm
        own = manager.add_role(API)
        for action, resource in API_RIGHTS:
            manager.add_permission_to_role(own, manager.create_permission(action, resource))
        for name, role, secret in (
            ("admin", manager.find_role("Admin"), "airflow_admin"),
            (API, own, "airflow_api"),
        ):
            password = (SECRETS / secret).read_text()
            if found := manager.find_user(name):
                manager.reset_password(found.id, password)
            elif not manager.add_user(name, name, "", f"{name}@rowboat.invalid", role, password):
                raise SystemExit(f"Airflow's user {name} could not be made")


def connection() -> None:
    """Let the connection `rowboat` lead to the database, as the loader."""
    address = (SECRETS / "database_loader").read_text()
    with create_session() as session:
        session.execute(delete(Stored).where(Stored.conn_id == "rowboat"))
        session.add(Stored(conn_id="rowboat", uri=address))


users()
connection()
