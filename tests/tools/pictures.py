"""Takes the README's pictures from a running system: python -m tests.tools.pictures."""

import sys
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from rowboat.access import keys
from rowboat.airflow_client import connect_to_airflow
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.database.credentials import read_credential
from rowboat.health import api_address
from rowboat.settings import settings
from tests.conftest import ROOT
from tests.support.browser import launch

FOLDER = ROOT / "docs" / "pictures"
_SIZE = {"width": 1000, "height": 760}


def metrics(page: Page) -> None:
    """Take the first page of the console, by a key that is gone afterwards."""
    with connections.session("owner") as connection:
        with transaction(connection) as cursor:
            key, token = keys.create_key(cursor, "pictures", "operate", days=1)
        page.goto(f"{api_address()}/sign-in")
        page.get_by_label("API key").fill(token)
        page.keyboard.press("Enter")
        page.get_by_role("img").first.wait_for()
        page.screenshot(path=FOLDER / "metrics.png")
        with transaction(connection) as cursor:
            keys.revoke_key(cursor, key.id)


def ingest(page: Page) -> None:
    """Take Airflow's graph of the DAG `ingest`, as its first run left it."""
    with connect_to_airflow() as airflow:
        address, runs = airflow.address, airflow.runs("ingest", order_by="start_date")
    page.goto(address)
    page.locator('input[name="username"]').fill("admin")
    page.locator('input[name="password"]').fill(read_credential(settings().home, "airflow_admin"))
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Dags", exact=True).wait_for()
    page.set_viewport_size({"width": 1500, "height": 640})
    page.goto(f"{address}/dags/ingest/runs/{quote(runs[0]['dag_run_id'])}")
    for name in ("Show Graph", "Expand all task groups", "Collapse Details Panel", "Fit View"):
        page.get_by_role("button", name=name).click()
        page.wait_for_timeout(1000)  # it moves there
    page.screenshot(path=FOLDER / "ingest.png")


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for take in (metrics, ingest):
            take(browser.new_page(viewport=_SIZE))
            print(f"{FOLDER / take.__name__}.png", file=sys.stderr)
        browser.close()


if __name__ == "__main__":
    main()
