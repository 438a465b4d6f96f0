"""The console in a real browser, over a real Airflow: every action, with JavaScript and without."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Download, Locator, Page, expect

from rowboat.csvfile.writer import guard_formula
from tests.acceptance.conftest import System

PageOf = Callable[..., Page]
both = pytest.mark.parametrize("javascript", [True, False], ids=["script", "plain"])


def button(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def link(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("link", name=name, exact=True)


def said(page: Page) -> Locator:
    """What a page says of the form that led to it."""
    return page.locator(".said")


def downloaded(page: Page, name: str) -> bytes:
    """Follow a link to a file and return its bytes."""
    with page.expect_download() as waiting:
        link(page, name).first.click()
    found: Download = waiting.value
    return Path(found.path()).read_bytes()


def await_state(page: Page, state: str, javascript: bool) -> None:
    """Wait until a live region tells a state; without JavaScript by looking again."""
    reached = page.locator("[role=status] .state, #file > p .state", has_text=state)
    if not javascript:
        for _ in range(100):
            if reached.is_visible():
                break
            page.wait_for_timeout(500)
            link(page, "Refresh").click()
    expect(reached).to_be_visible()


def count(system: System, *ids: int) -> int:
    """Return how many departments there are with these ids."""
    statement = "select count(*) from hired_employees.departments where id = any(%s)"
    [(found,)] = system.query(statement, [list(ids)])
    return int(found)


@both
def test_signing_in_leads_to_what_was_asked_for(
    visit: PageOf, key: Callable[[str], str], javascript: bool
) -> None:
    page = visit(javascript)
    page.goto("/keys?from=here")
    expect(page).to_have_title("Sign in · Rowboat")
    page.keyboard.type("rb_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("key")
    expect(page.get_by_label("API key")).to_be_focused()  # else the first letters go nowhere
    page.keyboard.type(key("operate"))
    page.keyboard.press("Enter")
    expect(page).to_have_url("/keys?from=here")
    button(page, "Sign out").press("Enter")
    expect(said(page)).to_have_text("You are signed out.")
    page.goto("/keys")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@both
def test_metrics_of_a_year(signed_in: PageOf, javascript: bool) -> None:
    page = signed_in("read", javascript)
    page.goto("/")
    page.get_by_label("Year").first.select_option("2021")
    button(page, "Show").first.click()
    expect(page).to_have_url("/?year=2021")
    section = page.locator("section.metric").last
    title = section.get_by_role("heading").inner_text()
    expect(section.get_by_role("img").first).to_be_visible()
    rows = list(csv.reader(downloaded(page, f"CSV of {title}").decode("utf-8-sig").splitlines()))
    assert len(rows) > 1
    shown = [each.split("\t") for each in section.locator("tbody tr").all_inner_texts()]
    guarded = [list(map(guard_formula, each)) for each in shown]  # as in files for spreadsheets
    assert guarded == rows[1 : len(shown) + 1]
    assert downloaded(page, f"XLSX of {title}").startswith(b"PK")
    assert downloaded(page, f"PNG of {title}").startswith(b"\x89PNG")
    section.locator("summary").press("Enter")
    expect(section.locator("pre")).to_contain_text("select")


@both
def test_a_file_is_sent_loaded_and_corrected(
    system: System, signed_in: PageOf, javascript: bool
) -> None:
    first, name = (930, "script") if javascript else (940, "plain")
    content = f"{first},Quay\n{first + 1},\n{first + 2},\n{first + 3},\n"
    page = signed_in("operate", javascript)
    link(page, "Files").click()
    file = {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": content.encode()}
    page.get_by_label("Table").first.select_option("hired_employees.departments")
    page.get_by_label("File", exact=True).set_input_files([file])
    button(page, "Upload").press("Enter")
    expect(said(page)).to_contain_text(f"departments-{name}.csv")
    await_state(page, "success", javascript)
    expect(page.get_by_text("4 rows read: 1 inserted")).to_be_visible()
    assert count(system, first) == 1
    link(page, f"3 rejected rows of departments-{name}.csv").first.click()
    correct_one(page, f"departments-{name}.csv", 2)
    assert count(system, first + 1) == 1
    button(page, "Retry all 2").press("Enter")
    expect(said(page)).to_contain_text("2 ")
    link(page, "Quarantine").first.click()
    link(page, "required: department").first.click()
    assert f"{first + 2},".encode() in downloaded(page, "CSV for spreadsheets")


def correct_one(page: Page, file: str, line: int) -> None:
    """Correct a refused row: first wrong, then right, by the keyboard."""
    page.get_by_role("link", name="Correct").first.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(file)
    field = page.get_by_label("department", exact=True)
    field.fill("   ")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is refused too")
    field = page.get_by_label("department", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("Pier")
    field.press("Enter")
    expect(said(page)).to_contain_text("has been loaded as corrected")


def test_an_upload_shows_its_progress_and_can_be_stopped(signed_in: PageOf) -> None:
    page = signed_in()
    page.goto("/files")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 50_000}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    page.locator("form[data-upload]").evaluate(
        """form => {
            const data = new DataTransfer();
            data.items.add(new File(["1,x\\n".repeat(500000)], "departments-slow.csv"));
            form.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        }"""
    )
    expect(page.get_by_role("progressbar")).to_be_visible()
    button(page, "Stop departments-slow.csv").click()
    expect(page.get_by_text("Stopped: nothing was kept.").first).to_be_visible()
    page.goto("/files?q=slow")
    expect(page.get_by_text("departments-slow.csv")).to_have_count(0)


@both
def test_ingest_now(signed_in: PageOf, javascript: bool) -> None:
    page = signed_in("operate", javascript)
    page.goto("/files")
    page.get_by_label("Dry run").check()
    button(page, "Ingest now").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("dry run")
    await_state(page, "success", javascript)
    expect(page.get_by_role("link", name="this run in Airflow")).to_be_visible()


def test_a_table_is_restored_and_that_undone(system: System, signed_in: PageOf) -> None:
    page = signed_in()
    page.goto("/backups")
    button(page, "Take a backup").press("Enter")
    await_state(page, "success", javascript=True)
    page.locator("main").get_by_role("link", name="Z").first.click()
    name = page.get_by_role("heading", level=1).inner_text().removeprefix("Set ")
    button(page, "Verify").press("Enter")
    await_state(page, "success", javascript=True)
    page.goto(f"/backups/{name}")
    button(page, "Pin").press("Enter")
    expect(page.locator(".state", has_text="pinned")).to_be_visible()
    system.put("departments-tide.csv", "950,Tide\n")
    page.goto("/file?name=departments-tide.csv")
    await_state(page, "loaded", javascript=True)
    page.goto(f"/backups/{name}")
    link(page, "Restore hired_employees.departments").click()
    button(page, "Plan the restore").press("Enter")
    carry_out(page, "Run the restore")
    assert count(system, 950) == 0
    link(page, "Undo").click()
    button(page, "Plan the undo").press("Enter")
    carry_out(page, "Run the undo")
    assert count(system, 950) == 1


def carry_out(page: Page, name: str) -> None:
    """Approve a plan when it is there; a wrong name approves nothing."""
    field = page.get_by_label("Type the table's name")
    field.fill("something")
    field.press("Enter")
    expect(page.get_by_text("that is not departments")).to_be_visible()
    field.fill("departments")
    button(page, name).press("Enter")
    expect(page.get_by_role("heading", name="Report")).to_be_visible()


def test_a_plan_is_rejected_without_javascript(system: System, signed_in: PageOf) -> None:
    page = signed_in("operate", javascript=False)
    page.goto("/restores/new")
    page.get_by_label("Table", exact=True).select_option("hired_employees.jobs")
    button(page, "Plan the restore").press("Enter")
    await_state(page, "waits for approval", javascript=False)
    button(page, "Reject the plan").press("Enter")
    await_state(page, "rejected", javascript=False)
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()


@both
def test_a_key_is_made_shown_once_and_revoked(
    signed_in: PageOf, visit: PageOf, javascript: bool
) -> None:
    name = f"made here {javascript}"
    page = signed_in("operate", javascript)
    link(page, "Keys").click()
    link(page, "Create a key").press("Enter")
    page.get_by_label("Name").fill(name)
    page.get_by_label("read", exact=True).check()
    button(page, "Create the key").press("Enter")
    token = page.locator("#token").inner_text()
    assert token.startswith("rb_")
    guest = visit(javascript)
    guest.goto("/sign-in")
    guest.get_by_label("API key").fill(token)
    button(guest, "Sign in").press("Enter")
    expect(link(guest, "Metrics")).to_be_visible()
    page.goto("/keys")
    assert token not in page.content()
    page.get_by_role("link", name=f"Revoke {name}").first.press("Enter")
    button(page, "Revoke it").press("Enter")
    guest.reload()
    expect(guest.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_audit_tells_who_wrote(signed_in: PageOf) -> None:
    page = signed_in()
    link(page, "Audit").click()
    page.get_by_label("Table").select_option("hired_employees.departments")
    button(page, "Show").press("Enter")
    expect(page).to_have_url("/audit?table=hired_employees.departments&action=&actor=&from=&to=")
    expect(page.get_by_text("browser operate").first).to_be_visible()


@both
def test_a_read_key_sees_nothing_to_operate(signed_in: PageOf, javascript: bool) -> None:
    page = signed_in("read", javascript)
    for address in ("/", "/files", "/runs/ingest"):
        page.goto(address)
        shown = page.locator("main form[method=post]")
        expect(shown).to_have_count(0)
    for address in ("/backups", "/keys", "/audit", "/restores/new", "/quarantine"):
        page.goto(address)
        expect(page.get_by_role("heading", name="Forbidden")).to_be_visible()
        assert link(page, address.strip("/").capitalize()).count() == 0


@both
def test_a_row_is_added_changed_and_deleted(
    system: System, signed_in: PageOf, javascript: bool
) -> None:
    page = signed_in("write", javascript)
    link(page, "Tables").click()
    expect(page.get_by_role("group", name="Entity diagram")).to_be_visible()
    page.get_by_role("link", name="of hired_employees.departments").click()
    link(page, "New row").press("Enter")
    page.get_by_label("department", exact=True).fill(" ")
    button(page, "Add row").press("Enter")
    expect(page.get_by_label("department", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("department", exact=True).fill("Slip")
    button(page, "Add row").press("Enter")
    expect(page.get_by_role("heading", name="Where it came from")).to_be_visible()
    link(page, "Edit").press("Enter")
    page.get_by_label("department", exact=True).fill("Slipway")
    button(page, "Save").press("Enter")
    expect(page.get_by_role("region", name="Values")).to_contain_text("Slipway")
    number = int(page.get_by_role("heading", level=1).inner_text().split()[-1])
    assert count(system, number) == 1
    page.goto("/tables/hired_employees.departments")
    page.get_by_label("Column").first.select_option("department")
    page.get_by_label("Value").first.fill("Slipway")
    button(page, "Show").press("Enter")
    page.get_by_role("region", name="Rows of").get_by_role("link").get_by_text(str(number)).click()
    link(page, "Delete").press("Enter")
    button(page, "Delete").press("Enter")
    expect(said(page)).to_be_visible()
    assert count(system, number) == 0
