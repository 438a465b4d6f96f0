"""A row's version in headers: ETag, If-Match and If-None-Match (RFC 9110)."""

from flask import request

from api.shared.problems import Problem


def etag(version: str) -> dict[str, str]:
    """Return the header that tells a row's version."""
    return {"ETag": f'"{version}"'}


def known(version: str) -> bool:
    """Tell whether the caller has this version already."""
    return request.if_none_match.contains_weak(version)


def demand() -> None:
    """Refuse a request that does not say which version it means."""
    if "If-Match" not in request.headers:
        hint = "send the row's ETag in the header If-Match, or * for whatever it is now"
        raise Problem(428, "the request does not say which version of the row it means", hint)


def match(version: str) -> None:
    """Refuse a request that means another version than the row has."""
    if version not in request.if_match:
        hint = "read the row again: somebody has changed it"
        raise Problem(412, "the row has another version", hint, headers=etag(version))
