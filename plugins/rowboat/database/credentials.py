"""Generated secrets of this machine, in a file that only its owner can read."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rowboat.errors import HomeUnusable, reason


def read_credential(home: Path, name: str) -> str:
    """Return the secret of that name, generated at first use (256 bits, URL-safe).

    They are stored in HOME/secrets.json, with mode 0600. Raises HomeUnusable.
    """
    path = home / "secrets.json"
    with ensure_usable(home), (home / ".secrets.lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)  # two processes must not generate different secrets
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(32)
            write_private(path, json.dumps(known, indent=2) + "\n")
    return known[name]


@contextmanager
def ensure_usable(home: Path) -> Iterator[None]:
    """Create the home if there is none; raise HomeUnusable for any OSError in the block."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise HomeUnusable(f"{error.filename or home} cannot be used: {reason(error)}") from error


def write_private(path: Path, text: str) -> None:
    """Replace a file by one of mode 0600, whole, so that no reader sees half of it."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        os.fsync(file.fileno())
    aside.replace(path)
