"""The version of a row in headers: ETag, If-Match and If-None-Match (RFC 9110)."""

from flask import request

from api.shared.problems import Problem


def etag_header(version: str) -> dict[str, str]:
    """Return the header ETag with the version of a row."""
    return {"ETag": f'"{version}"'}


def is_known(version: str) -> bool:
    """Return whether the caller has this version already (If-None-Match)."""
    return request.if_none_match.contains_weak(version)


def require_if_match() -> None:
    """Raise Problem (428) for a request without If-Match: it might undo a change of others."""
    if "If-Match" not in request.headers:
        hint = "send the row's ETag in the header If-Match, or * for any version"
        raise Problem(428, "the request does not say which version of the row it is about", hint)


def check_version(version: str) -> None:
    """Raise Problem (412) if the request is about another version than the current one."""
    if version not in request.if_match:
        hint = "read the row again: it has been changed"
        raise Problem(412, "the row has another version", hint, headers=etag_header(version))
