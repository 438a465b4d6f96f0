"""What a page of the console says, as a reader sees it."""

import html
import re

from werkzeug.test import TestResponse

from tests.integration.conftest import Visitor

RUN = "manual__1"


def words(answer: TestResponse) -> str:
    """Return what a page says, without its tags."""
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", f"<main{main}")).split())


def table(answer: TestResponse) -> list[list[str]]:
    """Return the cells of the first table."""
    found = re.findall(r"(?s)<tr>(.*?)</tr>", answer.text.partition("</table>")[0])
    cells = (re.findall(r"(?s)<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found)
    strip = re.compile(r"<[^>]*>")
    return [[" ".join(html.unescape(strip.sub(" ", c)).split()) for c in row] for row in cells]


def said(visitor: Visitor, answer: TestResponse) -> str:
    """Follow a form's answer; return what the next page says was done."""
    assert answer.status_code == 303
    page = visitor.get(answer.location)
    assert page.status_code == 200
    [found] = re.findall(r'<p class="said" role="status">(.*?)</p>', page.text)
    return html.unescape(found)
