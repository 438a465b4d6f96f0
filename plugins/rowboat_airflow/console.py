"""The console in Airflow: an entry in the navigation, and a link in the docs of every DAG."""

from airflow.plugins_manager import AirflowPlugin

from rowboat.health import api_address
from rowboat.settings import settings


def console_address(page: str) -> str:
    """Return the address of a page of the console, as browsers reach it."""
    return f"{(settings().console_url or api_address()).rstrip('/')}{page}"


def documented(text: str, page: str, shows: str) -> str:
    """Return a DAG's docs with a link, below the title, to the console's page of its work.

    An external view of a DAG would be a frame, which the console does not allow.
    """
    title, _, rest = text.strip().partition("\n")
    return f"{title}\n\n**In the console:** [{shows}]({console_address(page)})\n{rest}\n"


class ConsolePlugin(AirflowPlugin):
    """Leads from Airflow's navigation, under Browse, to the console.

    Outside the menus an external view is a button that leads nowhere (Airflow 3.3).
    """

    name = "rowboat"
    external_views = [  # noqa: RUF012  # Airflow reads it so
        {
            "name": "Rowboat",
            "href": console_address("/"),
            "icon": console_address("/static/icon.svg"),
            "destination": "nav",
            "category": "browse",
        }
    ]
