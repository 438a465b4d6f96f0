"""A Chromium that reports every fault of a page, and axe-core for its accessibility.

`python -m tests.support.browser` tells by its exit code whether there is one.
"""

import os
import shutil
import sys
from dataclasses import dataclass, field

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Playwright,
    Response,
    expect,
    sync_playwright,
)

os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", "0")  # what is downloaded lies in .venv
expect.set_options(timeout=120_000)  # a DAG may have to run, on a machine that is busy
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_LOOKS = ((1280, "light"), (360, "dark"))  # contrast depends on the colours, all else on the width
_NARROWEST = 320


class NoBrowser(Exception):
    """There is no Chromium"""


def launch(playwright: Playwright) -> Browser:
    """Start Playwright's own Chromium, else the system's; raises NoBrowser."""
    try:
        return playwright.chromium.launch()
    except Error:
        path = next(filter(None, map(shutil.which, _NAMES)), None)
        if path is None:
            raise NoBrowser("there is no Chromium; environments/local/browser gets one") from None
        return playwright.chromium.launch(executable_path=path)


@dataclass
class Watch:
    """What went wrong in a browser: errors of scripts, of the page's policy, of the server."""

    faults: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Look at all that happens in the pages of a context."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text} at {message.location['url']}")

    def _dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _response(self, answer: Response) -> None:
        least = 500 if answer.request.resource_type == "document" else 400
        if answer.status >= least:
            self.faults.append(f"{answer.status}: {answer.request.method} {answer.url}")


def hindrances(page: Page) -> list[str]:
    """Return what axe-core finds on a page, wide and narrow, light and dark; and what makes all
    of it scroll sideways on the narrowest screen.
    """
    found = []
    page.evaluate(AXE_SCRIPT)
    for width, scheme in _LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for each in page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]:
            places = [node["html"][:200] for node in each["nodes"][:3]]
            found.append(f"{width} px {scheme}: {each['id']}: {each['help']}: {places}")
    page.set_viewport_size({"width": _NARROWEST, "height": 900})
    if (wide := page.evaluate("document.documentElement.scrollWidth")) > _NARROWEST:
        found.append(f"the page is {wide} px wide where there are {_NARROWEST}")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    return found


if __name__ == "__main__":
    with sync_playwright() as running:
        try:
            launch(running).close()
        except NoBrowser as none:
            sys.exit(str(none))
