"""The manifests of environments/kubernetes: true to Kubernetes' schemas, and to our own rules."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rowboat.settings import Settings
from tests.conftest import ROOT

FOLDER = ROOT / "environments" / "kubernetes"
VERSIONS = ("1.30", "1.37")  # the oldest that Airflow's chart takes, the newest that is known
KINDS = {"ConfigMap", "Deployment", "Job", "PodDisruptionBudget", "Service", "ServiceAccount"}
VALUES = ("airflow.yaml", "kubernetes-executor.yaml")


def read(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def resources() -> list[Any]:
    """What kustomization.yaml names."""
    return [each for name in read("kustomization.yaml")[0]["resources"] for each in read(name)]


def pods(resources: list[Any]) -> Iterator[Any]:
    yield from (
        each["spec"]["template"]["spec"] for each in resources if "template" in each.get("spec", {})
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_hold(resources: list[Any], version: str) -> None:
    assert {each["kind"] for each in resources} == KINDS
    for each in resources:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_wrong_manifest_breaks_them(resources: list[Any]) -> None:
    (service,) = [each for each in resources if each["kind"] == "Service"]
    wrong = service | {"spec": service["spec"] | {"port": 80}}
    with pytest.raises(kubernetes_validate.ValidationError, match="port"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_no_file_is_left_out() -> None:
    named = {*read("kustomization.yaml")[0]["resources"], "kustomization.yaml", *VALUES}
    assert {path.name for path in FOLDER.iterdir()} == named


def test_pods_are_restricted(resources: list[Any]) -> None:
    """By the pod security standard "restricted", and more: the root is read-only."""
    for pod in pods(resources):
        user = pod["securityContext"]
        assert user["runAsNonRoot"] is True
        assert user["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


def test_user_is_the_images(resources: list[Any]) -> None:
    (user,) = re.findall(
        r"useradd --uid (\d+)", (ROOT / "environments/docker/Dockerfile").read_text()
    )
    values = read("airflow.yaml")[0]
    found = [pod["securityContext"]["runAsUser"] for pod in pods(resources)]
    assert {*found, values["uid"], values["securityContexts"]["pod"]["runAsUser"]} == {int(user)}


def test_secrets_are_named_and_not_held(resources: list[Any]) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    made = set(re.findall(r"create secret generic (\S+)", page))
    used = {
        volume["secret"]["secretName"]
        for pod in pods(resources) for volume in pod["volumes"] if "secret" in volume
    }  # fmt: skip
    values = read("airflow.yaml")[0]
    used |= {value for name, value in values.items() if name.endswith("SecretName")}
    assert used | set(values["data"].values()) == made
    for path in FOLDER.iterdir():
        assert not re.search(r"postgres(ql)?(\+\w+)?://|password:|PASSWORD", path.read_text()), path


def test_settings_are_known(resources: list[Any]) -> None:
    known = {f"ROWBOAT_{name.upper()}" for name in Settings.model_fields}
    (settings,) = [each["data"] for each in resources if each["kind"] == "ConfigMap"]
    assert set(settings) <= known
    assert {each["name"] for each in read("airflow.yaml")[0]["env"]} <= known | {"AIRFLOW_CONFIG"}


def test_no_service_stands_for_a_setting(resources: list[Any]) -> None:
    """Kubernetes tells pods of a service NAME as NAME_PORT and NAME_SERVICE_HOST."""
    known = {f"ROWBOAT_{name.upper()}" for name in Settings.model_fields}
    for each in resources:
        if each["kind"] == "Service":
            name = each["metadata"]["name"].upper().replace("-", "_")
            told = {f"{name}_PORT", f"{name}_SERVICE_HOST", f"{name}_SERVICE_PORT"}
            assert not told & known


def test_migrate_does_what_compose_does(resources: list[Any]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
    (job,) = [each for each in resources if each["kind"] == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == compose["services"]["migrate"]["command"]


def test_the_chart_runs_the_same_image() -> None:
    (image,) = read("kustomization.yaml")[0]["images"]
    chart = read("airflow.yaml")[0]["images"]["airflow"]
    assert (chart["repository"], chart["tag"]) == (image["newName"], image["newTag"])


def test_the_chart_runs_our_airflow() -> None:
    wanted = Path(ROOT / "environments" / "requirements.in").read_text()
    assert f"apache-airflow=={read('airflow.yaml')[0]['airflowVersion']} " in wanted
