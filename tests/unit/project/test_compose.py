"""docker-compose.yaml and its image, as far as no Docker is needed."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from airflow.configuration import retrieve_configuration_description

from rowboat import __version__
from rowboat.database import embedded
from rowboat.errors import ServerError
from rowboat.settings import Settings
from tests.conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES = COMPOSE["services"].items()


@pytest.mark.parametrize(("name", "service"), SERVICES, ids=[name for name, _ in SERVICES])
def test_services_are_contained(name: str, service: dict[str, Any]) -> None:
    """None has root's rights, writes into its image, is open to the network or without bounds."""
    by_itself = service["image"].startswith(("prom/", "grafana/"))  # their images name one
    assert by_itself or service["user"] != "root"
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    job = name == "migrate"
    assert ("healthcheck" in service) is not job
    assert service["restart"] == ("no" if job else "unless-stopped")


def test_image_tells_its_version() -> None:
    text = (ROOT / "environments" / "docker" / "Dockerfile").read_text()
    assert f'org.opencontainers.image.version="{__version__}"' in text


def test_airflow_knows_what_the_image_sets() -> None:
    """A misspelt option would be none at all."""
    known = retrieve_configuration_description()
    chosen = configparser.ConfigParser(interpolation=None)
    chosen.read(ROOT / "environments" / "docker" / "airflow.cfg")
    options = [(name, each) for name in chosen.sections() for each in chosen.options(name)]
    assert len(options) > 20
    for section, option in options:
        assert option.removesuffix("_cmd") in known[section]["options"], f"{section}.{option}"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """Each is private and stays; every secret that compose mounts is made."""
    script = tmp_path / "environments" / "docker" / "secrets"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "environments" / "docker" / "secrets", script)
    for name in ("raw_data", "backups"):
        (tmp_path / name).mkdir()
    (tmp_path / ".env").write_text("ROWBOAT_UID=77\n")
    folder = tmp_path / ".rowboat" / "docker"

    def made() -> dict[str, str]:
        subprocess.run([script], check=True, capture_output=True)
        assert folder.stat().st_mode & 0o777 == 0o700
        return {path.name: path.read_text() for path in folder.iterdir()}

    first = made()
    assert first.keys() == COMPOSE["secrets"].keys()
    assert len(set(first.values())) == len(first)
    (folder / "airflow_jwt").unlink()
    second = made()
    assert {name for name in first if first[name] != second[name]} == {"airflow_jwt"}
    group = os.getgid() or 10001
    wanted = f"ROWBOAT_UID=77\nROWBOAT_SECRETS=./.rowboat/docker\nROWBOAT_GID={group}\n"
    assert (tmp_path / ".env").read_text() == wanted


def test_setting_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment comes first."""
    monkeypatch.delenv("ROWBOAT_AIRFLOW_PASSWORD", raising=False)
    (tmp_path / "rowboat_airflow_password").write_text("of the file")

    def password() -> str | None:
        found = Settings(_secrets_dir=tmp_path).airflow_password  # type: ignore[call-arg]
        return found.get_secret_value() if found else None

    assert password() == "of the file"
    monkeypatch.setenv("ROWBOAT_AIRFLOW_PASSWORD", "of the environment")
    assert password() == "of the environment"


def test_no_embedded_server_in_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_WHEEL", None)
    with pytest.raises(ServerError) as raised:
        embedded.EmbeddedServer(tmp_path).acquire()
    assert (raised.value.fact, raised.value.hint) == (
        "this installation has no Postgres", "set ROWBOAT_DATABASE_URL"
    )  # fmt: skip
