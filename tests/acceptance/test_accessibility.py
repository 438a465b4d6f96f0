"""Every page of the console holds for everyone: axe-core, any width, light and dark, any text."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.acceptance.conftest import System, until
from tests.support.browser import Watch, hindrances

SCRIPT = "<script>alert(1)</script>"
FORMULA = "=cmd()|' /C calc'!A0"
RIGHT_TO_LEFT = "\u05e9\u05dc\u05d5\u05dd \u202e(1) \u0645\u0631\u062d\u0628\u0627"
LONG = "x" * 10_000
FILE = 'departments-"><img src=x onerror=alert(1)>.csv'
NAMES = (SCRIPT, FORMULA, RIGHT_TO_LEFT, LONG)
SHOWN = ("rows", "row", "edit", "delete", "refused rows", "metrics", "metric", "audit")
PAGES = (
    "metrics", "metric", "tables", "rows", "filtered", "row", "new row", "edit",
    "delete", "files", "file", "runs", "run", "quarantine", "refused rows", "refused row",
    "backups", "set", "restores", "restore", "new restore", "undo", "keys", "new key", "revoke",
    "audit", "entry", "nothing",
)  # fmt: skip


def as_csv(*rows: tuple[object, ...]) -> str:
    """Write rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def done(system: System, *arguments: str) -> dict[str, object]:
    """Run the command line and return what it tells."""
    found: dict[str, object] = json.loads(system.rowboat(*arguments, "--json").stdout)
    return found


@pytest.fixture(scope="module")
def addresses(system: System, key: Callable[[str], str]) -> dict[str, str]:
    """Bring hostile names everywhere, and return the address of every page."""
    rows = [(960 + n, name) for n, name in enumerate(NAMES)]
    bad = [(f"{name[:200]}", name) for name in NAMES]
    system.put("jobs-hostile.csv", as_csv(*rows))
    system.put("departments-hostile.csv", as_csv(*rows))
    hires = [(9_000 + n, SCRIPT, "2021-03-01T00:00:00Z", 960 + max(0, n - 499), 960)
             for n in range(503)]  # fmt: skip
    system.put("hired_employees-hostile.csv", as_csv(*hires))
    system.put(FILE, as_csv(("id", "department"), (970, "Good"), *bad))
    until(lambda: system.query(
        "select 1 from ingest_status.ingest_status having count(*) filter (where state = 'loaded'"
        " and file_name in ('hired_employees-hostile.csv', %s)) = 2", (FILE,)
    ))  # fmt: skip
    api = f"http://127.0.0.1:{system.environment['ROWBOAT_API_PORT']}/api"
    bearer = {"Authorization": f"Bearer {key('operate')}"}
    sent = httpx.post(f"{api}/departments", json={"id": 964, "department": SCRIPT}, headers=bearer)
    assert sent.status_code == 201
    taken = done(system, "backup")
    restored = done(system, "restore", "departments", "--yes")
    known = json.loads(system.rowboat("keys", "list", "--json").stdout)
    key_id = next(each["id"] for each in known if each["name"] == "browser operate")
    [(reject,)] = system.query(
        "select min(id) from ingest_status.rejected_rows where source_name = %s", (FILE,)
    )
    [(entry,)] = system.query("select max(id) from rowboat.audit", role="rowboat_owner")
    run = system.airflow.runs("ingest")[0]["dag_run_id"]
    table = "/tables/hired_employees.departments"
    return {
        "metrics": "/?year=2021", "metric": "/metric/departments?year=2021",
        "tables": "/tables", "rows": table, "row": f"{table}/960", "edit": f"{table}/960/edit",
        "filtered": f"{table}?id=gt.x", "new row": f"{table}/new", "delete": f"{table}/964/delete",
        "files": "/files", "file": f"/file?name={quote(FILE)}",
        "runs": "/runs/ingest", "run": f"/runs/ingest/{quote(run)}",
        "quarantine": "/quarantine", "refused rows": f"/quarantine?file={quote(FILE)}",
        "refused row": f"/quarantine/{reject}",
        "backups": "/backups", "set": f"/backups/{taken['set']}", "restores": "/restores",
        "restore": f"/restores/{restored['id']}", "undo": f"/restores/{restored['id']}/undo",
        "new restore": "/restores/new", "keys": "/keys", "new key": "/keys/new",
        "revoke": f"/keys/{key_id}/revoke", "audit": "/audit", "entry": f"/audit/{entry}",
        "nothing": "/nothing",
    }  # fmt: skip


@pytest.fixture(scope="module")
def watch() -> Watch:
    """What goes wrong in the one window."""
    return Watch()


@pytest.fixture(scope="module")
def window(system: System, browser: Browser, watch: Watch) -> Iterator[Page]:
    """A window that shows one page after the other, as it keeps their styles and scripts."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{system.environment['ROWBOAT_API_PORT']}",
        viewport={"width": 1280, "height": 900},
    )
    watch.over(context)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(window: Page, watch: Watch) -> Iterator[Page]:
    """The window; no fault in it passes."""
    watch.faults.clear()
    yield window
    assert watch.faults == []


@pytest.fixture(scope="module")
def signed_in(window: Page, key: Callable[[str], str]) -> None:
    """Somebody has signed in."""
    window.goto("/sign-in")
    window.get_by_label("API key").fill(key("operate"))
    window.get_by_role("button", name="Sign in").click()
    window.get_by_role("button", name="Sign out").wait_for()


def test_nobody_is_hindered_at_the_door(page: Page) -> None:
    page.goto("/sign-in")
    assert hindrances(page) == []


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_for_everyone(addresses: dict[str, str], page: Page, name: str) -> None:
    answer = page.goto(addresses[name])
    assert answer is not None
    assert answer.status == {"nothing": 404, "filtered": 422}.get(name, 200), answer.text()
    if name in SHOWN:
        typed = page.locator("main input, main textarea").evaluate_all(
            "all => all.map(e => e.value)"
        )
        assert SCRIPT in f"{page.locator('main').text_content()} {typed}"
    assert page.locator("main script, main img").count() == 0
    assert hindrances(page) == []
