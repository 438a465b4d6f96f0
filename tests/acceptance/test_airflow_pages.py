"""In Airflow's own pages: the way to the console, and docs that name it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from rowboat.database.credentials import read_credential
from tests.acceptance.conftest import System


@pytest.fixture(scope="module")
def airflow(system: System, browser: Browser) -> Iterator[Page]:
    """A page of Airflow, signed in."""
    context = browser.new_context(
        base_url=system.airflow.address, viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    sign_in(page, read_credential(system.home, "airflow_admin"))
    yield page
    context.close()


def sign_in(page: Page, password: str) -> None:
    """Sign in at Airflow."""
    page.goto("/")
    page.locator('input[name="username"]').fill("admin")
    page.locator('input[name="password"]').fill(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()


def test_the_navigation_leads_to_the_console(system: System, airflow: Page) -> None:
    airflow.get_by_role("button", name="Browse", exact=True).click()
    with airflow.expect_popup() as opened:
        airflow.get_by_role("menuitem", name="Rowboat").click()
    console = opened.value
    expect(console.get_by_role("heading", name="Sign in")).to_be_visible()
    assert console.url.startswith(f"http://127.0.0.1:{system.environment['ROWBOAT_API_PORT']}/")
    console.close()


def test_the_docs_of_a_dag_link_its_page(system: System, airflow: Page) -> None:
    """Of one DAG: tests/unit/airflow/test_dags.py has the links of all."""
    airflow.goto("/dags/ingest")
    airflow.get_by_role("button", name="Dag Docs").click()
    docs = airflow.get_by_role("dialog")
    expect(docs.get_by_role("heading", name="When it fails")).to_be_attached()
    address = f"http://127.0.0.1:{system.environment['ROWBOAT_API_PORT']}/files"
    expect(docs.get_by_role("link").first).to_have_attribute("href", address)
