"""Problem documents: answers that say why a request was refused."""

from typing import Any


def wrong(answer: Any) -> tuple[int, str, list[str]]:
    """Return status, detail, and the messages of a problem."""
    assert answer.content_type == "application/problem+json"
    said = answer.get_json()
    assert {"type", "title", "status", "detail", "errors", "request"} <= set(said)
    return said["status"], said["detail"], [each["message"] for each in said["errors"]]
