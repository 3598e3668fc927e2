"""deploy/kubernetes, by Kubernetes' own schemas and by what our image and settings are."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import worker
from clearance import attributes
from cli.settings import Settings
from policy import reviewers, source

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "kubernetes"
KUBERNETES = "1.29"
"""The oldest that these are for; a field that a later one brought fails here."""

BUILD = "app.kubernetes.io/version"
"""The label of what belongs to one build, which is its workers' CLEARANCE_BUILD_ID."""

Manifest = dict[str, Any]


def documents(name: str = "*") -> list[Manifest]:
    """All manifests of the files with this name, in order."""
    files = [path for path in sorted(FOLDER.glob(f"{name}.yaml")) if path.stem != "kustomization"]
    return [one for path in files for one in yaml.safe_load_all(path.read_text())]


def pods() -> Iterator[tuple[str, Manifest]]:
    """What runs, each with its name."""
    for one in documents():
        if one["kind"] in ("Deployment", "Job"):
            yield one["metadata"]["name"], one["spec"]["template"]


def containers() -> Iterator[tuple[str, Manifest]]:
    for name, pod in pods():
        (container,) = pod["spec"]["containers"]
        yield name, container


def rendered(image: str, images: list[dict[str, str]] | None = None) -> str:
    """An image as Kustomize makes it, by these replacements or those of the file."""
    if images is None:
        images = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["images"]
    name, _, tag = image.partition(":")
    (one,) = (one for one in images if one["name"] == name)
    return f"{one['newName']}:{one.get('newTag', tag)}"


def by_name(kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in documents() if one["kind"] == kind}


@pytest.mark.parametrize("version", [KUBERNETES, kubernetes_validate.latest_version()])
def test_every_manifest_fits_the_schema_of_its_kind_strictly(version: str) -> None:
    for manifest in documents():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    manifest = by_name("Deployment")["inbox"]
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"

    with pytest.raises(kubernetes_validate.ValidationError, match="imagePullPolice"):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_kustomize_applies_every_file_but_the_example_of_secrets() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    files = {path.name for path in FOLDER.glob("*.yaml")}

    assert set(listed) == files - {"kustomization.yaml", "secrets.example.yaml"}
    assert len(listed) == len(set(listed))


def test_everything_is_in_the_namespace() -> None:
    for one in documents():
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == "clearance"


def test_the_image_is_ours_and_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, pod in pods():
        (box,) = pod["spec"]["containers"]
        assert rendered(box["image"]) == f"clearance:{version}", name
        if BUILD in pod["metadata"]["labels"]:
            assert pod["metadata"]["labels"][BUILD] == version
            assert name.endswith(version.replace(".", "-"))


def test_another_tag_reaches_the_inbox_alone_and_no_build_runs_under_the_name_of_another() -> None:
    images = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["images"]
    for image in images:
        if "newTag" in image:
            image["newTag"] = "0.2.0"

    for name, pod in pods():
        (box,) = pod["spec"]["containers"]
        build = pod["metadata"]["labels"].get(BUILD)
        assert rendered(box["image"], images) == f"clearance:{build or '0.2.0'}", name
        assert (build is None) == (name == "inbox")


def test_every_variable_is_a_setting_or_one_of_temporal() -> None:
    known = {f"CLEARANCE_{name.upper()}" for name in Settings.model_fields}
    known |= {"OPENAI_API_KEY", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY"}
    named = {one["name"] for _, box in containers() for one in box.get("env", [])}
    named |= set(by_name("ConfigMap")["clearance"]["data"])
    for secret in by_name("Secret").values():
        named |= set(secret["stringData"])

    assert named <= known


def test_the_settings_are_ones_that_load(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in by_name("ConfigMap")["clearance"]["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLEARANCE_BUILD_ID", "0.1.0")

    assert Settings().deployment == "clearance"


def test_the_files_are_ones_that_load(tmp_path: Path) -> None:
    files = by_name("ConfigMap")["clearance-files"]["data"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert source.load(tmp_path / "checkpoints.toml").policy.default == "gate"
    assert reviewers.load(tmp_path / "reviewers.toml").summary()


def test_no_secret_is_in_any_file() -> None:
    secrets = by_name("Secret")
    assert {value for one in secrets.values() for value in one["stringData"].values()} == {""}
    used = {
        source["secretRef"]["name"]
        for _, box in containers()
        for source in box["envFrom"]
        if "secretRef" in source
    }
    assert used == set(secrets)


def test_only_the_inbox_gets_its_database_and_agents_get_no_ledger() -> None:
    holders = {name: set(one["stringData"]) for name, one in by_name("Secret").items()}
    held = {name for name, keys in holders.items() if "CLEARANCE_DATABASE_URL" in keys}

    assert held == {"clearance-inbox"}
    assert "CLEARANCE_LEDGER_URL" not in holders["clearance-agents"]


def test_whatever_runs_is_no_root_writes_nowhere_and_has_no_token_of_the_cluster() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for name, pod in pods():
        around, (box,) = pod["spec"]["securityContext"], pod["spec"]["containers"]
        assert around["runAsNonRoot"] is True, name
        assert f"USER {around['runAsUser']}:{around['runAsGroup']}" in dockerfile
        assert box["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert box["resources"]["limits"]["memory"]
        mounted = {one["mountPath"] for one in box["volumeMounts"] if not one.get("readOnly")}
        assert mounted == {"/var/lib/clearance", "/tmp"}


def test_a_worker_has_longer_to_stop_than_it_gives_what_runs() -> None:
    for name, pod in pods():
        if "--only" in pod["spec"]["containers"][0]["args"]:
            assert pod["spec"]["terminationGracePeriodSeconds"] > worker._GRACE.total_seconds(), (
                name
            )


def test_probes_ask_what_the_image_has() -> None:
    assert "deploy/healthy.py deploy/ready.py /opt/clearance/" in (ROOT / "Dockerfile").read_text()
    for name, box in containers():
        if "--only" in box["args"]:
            kind = box["args"][-1]
            command = ["python", "/opt/clearance/healthy.py", kind]
            assert box["livenessProbe"]["exec"]["command"] == command, name
            assert box["startupProbe"]["exec"]["command"] == command, name


def test_the_service_and_the_network_lead_to_the_port_of_the_inbox() -> None:
    inbox = by_name("Deployment")["inbox"]["spec"]["template"]
    (port,) = inbox["spec"]["containers"][0]["ports"]
    service = by_name("Service")["inbox"]["spec"]
    admitted = by_name("NetworkPolicy")["inbox"]["spec"]

    assert f"EXPOSE {port['containerPort']}" in (ROOT / "Dockerfile").read_text()
    assert [one["targetPort"] for one in service["ports"]] == [port["name"]]
    assert admitted["ingress"][0]["ports"][0]["port"] == port["name"]
    for selector in (service["selector"], admitted["podSelector"]["matchLabels"]):
        assert selector.items() <= inbox["metadata"]["labels"].items()


def test_the_docs_add_every_search_attribute_to_the_cloud() -> None:
    told = (ROOT / "docs" / "scaling.md").read_text()

    assert set(re.findall(r"Approval\w+=\w+", told)) == set(attributes.cli_types())


def test_the_steps_of_a_new_build_make_manifests_of_that_build() -> None:
    for kind in ("approvals", "agents"):
        text = (FOLDER / f"{kind}.yaml").read_text().replace("0.1.0", "0.2.0")
        deployment = next(yaml.safe_load_all(text.replace("0-1-0", "0-2-0")))
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["metadata"]["name"] == f"{kind}-0-2-0"
        assert labels[BUILD] == deployment["metadata"]["labels"][BUILD] == "0.2.0"
        (box,) = deployment["spec"]["template"]["spec"]["containers"]
        assert rendered(box["image"]) == "clearance:0.2.0"
        path = f"metadata.labels['{BUILD}']"
        build = {"name": "CLEARANCE_BUILD_ID", "valueFrom": {"fieldRef": {"fieldPath": path}}}
        assert build in box["env"]


def test_each_disruption_budget_is_of_pods_that_there_are() -> None:
    labels = [pod["metadata"]["labels"] for _, pod in pods()]
    budgets = by_name("PodDisruptionBudget")

    assert set(budgets) == {"approvals", "agents", "inbox"}
    for one in budgets.values():
        wanted = one["spec"]["selector"]["matchLabels"]
        assert any(wanted.items() <= found.items() for found in labels)
