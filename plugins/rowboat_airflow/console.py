"""Links from Airflow to the console: in the navigation, and in the docs of every DAG."""

from airflow.plugins_manager import AirflowPlugin

from rowboat.health import api_address
from rowboat.settings import settings


def console_address(page: str) -> str:
    """Return the URL at which browsers reach a page of the console."""
    return f"{(settings().console_url or api_address()).rstrip('/')}{page}"


def documented(text: str, page: str, shows: str) -> str:
    """Return a DAG's docs with a link, below the title, to the console page that shows its work.

    A link, not an external view of the DAG: Airflow shows that in a frame, which the console
    forbids.
    """
    title, _, rest = text.strip().partition("\n")
    return f"{title}\n\n**In the console:** [{shows}]({console_address(page)})\n{rest}\n"


class ConsolePlugin(AirflowPlugin):
    """Adds an entry for the console to Airflow's menu *Browse*.

    It must be in a menu: at the top level an external view is a button without effect
    (Airflow 3.3).
    """

    name = "rowboat"
    external_views = [  # noqa: RUF012  # Airflow expects a plain attribute
        {
            "name": "Rowboat",
            "href": console_address("/"),
            "icon": console_address("/static/icon.svg"),
            "destination": "nav",
            "category": "browse",
        }
    ]
