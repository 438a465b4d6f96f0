"""The check of the locks against advisories says what it found, and when it could check nothing."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FLASK = re.search(
    r"^flask==(\S+)", (ROOT / "environments" / "requirements.lock").read_text(), re.MULTILINE
)
assert FLASK
VERSION = FLASK[1]


def check(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "environments" / "local" / "advisories"), *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.stderr
    return done.returncode, done.stdout


def advisory(name: str = "Flask", ecosystem: str = "PyPI", **affected: Any) -> dict[str, Any]:
    package = {"ecosystem": ecosystem, "name": name}
    return {"id": "X-1", "summary": "It leaks", "affected": [{"package": package, **affected}]}


def span(**events: str) -> list[dict[str, Any]]:
    listed = [{name: version} for name, version in events.items()]
    return [{"type": "ECOSYSTEM", "events": listed}]


def test_without_a_copy_nothing_is_checked() -> None:
    code, said = check()
    assert code == 2
    assert said.startswith("not checked: there is no copy")


def test_a_copy_that_knows_no_package_of_ours_checks_nothing(tmp_path: Path) -> None:
    (tmp_path / "X-1.json").write_text(json.dumps(advisory(ecosystem="npm", versions=[VERSION])))
    code, said = check(str(tmp_path))
    assert code == 2
    assert "not checked" in said


@pytest.mark.parametrize(
    ("affected", "hit"),
    [
        ({"versions": [VERSION]}, True),
        ({"versions": ["0.1", "odd version"]}, False),
        ({"ranges": span(introduced="0")}, True),
        ({"ranges": span(introduced="0", fixed=VERSION)}, False),
        ({"ranges": span(introduced="0", last_affected=VERSION)}, True),
        ({"ranges": span(introduced="99")}, False),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, False),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_versions_and_ranges(
    tmp_path: Path, affected: dict[str, Any], hit: bool, packed: bool
) -> None:
    text = json.dumps(advisory(**affected))
    if packed:
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            archive.writestr("X-1.json", text)
    else:
        (tmp_path / "X-1.json").write_text(text)
    code, said = check(str(tmp_path / "all.zip" if packed else tmp_path))
    assert code == int(hit)
    assert (f"flask {VERSION}" in said and "X-1 It leaks" in said) == hit
    assert f"1 of them have advisories, {int(hit)} hit" in said


def test_an_advisory_that_was_withdrawn_counts_for_nothing(tmp_path: Path) -> None:
    gone = advisory(versions=[VERSION]) | {"withdrawn": "2026-01-01T00:00:00Z"}
    (tmp_path / "X-1.json").write_text(json.dumps(gone))
    (tmp_path / "X-2.json").write_text(json.dumps(advisory(versions=["0.1"])))
    assert check(str(tmp_path))[0] == 0
