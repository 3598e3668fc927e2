"""docker-compose.temporal.yml, as Compose itself resolves it. No container is started."""

import functools
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest

import worker
from clearance import attributes
from clearance.connect import connect
from cli import embedded
from cli.settings import EmbeddedServer, Settings
from cli.web import config_of
from web import server

from .support import missing, unique

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.temporal.yml"
EXAMPLE = ROOT / ".env.example"
JOBS = {"schema", "namespace"}
LASTING = {"postgresql", "temporal", "ui", "worker", "inbox"}
OURS = ("worker", "inbox")
MONITORING = {"prometheus", "grafana"}
NEEDED = "POSTGRES_PASSWORD=s3cret\nCOMPOSE_PROFILES=inbox\n"

Compose = Callable[[str], "subprocess.CompletedProcess[str]"]
Services = dict[str, dict[str, Any]]


def compose_command() -> list[str]:
    def answers(command: list[str]) -> bool:
        if shutil.which(command[0]) is None:
            return False
        asked = subprocess.run([*command, "version"], capture_output=True, check=False)
        return asked.returncode == 0

    commands = filter(answers, (["docker", "compose"], ["docker-compose"]))
    if (found := next(commands, None)) is None:
        missing(
            "Docker Compose (it needs no engine here)",
            "apt-get install -y --no-install-recommends docker-compose",
        )
    return found


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Compose:
    """``config(text)``: what Compose makes of the file with that text as .env."""
    command = compose_command()
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}

    @functools.cache
    def run(settings: str) -> "subprocess.CompletedProcess[str]":
        env_file = tmp_path_factory.mktemp("compose") / "settings.env"
        env_file.write_text(settings)
        return subprocess.run(
            [*command, "--env-file", str(env_file), "--file", str(FILE), "config"],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    return run


def services_of(answer: "subprocess.CompletedProcess[str]") -> Services:
    assert answer.returncode == 0, answer.stderr
    resolved: Services = yaml.safe_load(answer.stdout)["services"]
    return resolved


@pytest.fixture(scope="module")
def services(config: Compose) -> Services:
    """The services with nothing set but the password and that the inbox is wanted.

    Those of monitoring have tests of their own; Compose 1 lists them whatever is wanted.
    """
    every = services_of(config(NEEDED))
    return {name: service for name, service in every.items() if name not in MONITORING}


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    """The file itself, its variables not yet replaced."""
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


def script(service: dict[str, Any]) -> str:
    """The shell text of a job, as its container gets it."""
    assert service["entrypoint"] == ["/bin/sh", "-euc"]
    (text,) = service["command"]
    return str(text).replace("$$", "$")


def published(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Address and port on the host; Compose 1 answers with text, Compose 2 with a mapping."""
    for port in service.get("ports", []):
        if isinstance(port, str):
            address, _, number = port.rpartition(":")[0].rpartition(":")
            yield address, number
        else:
            yield port.get("host_ip", ""), str(port["published"])


def test_the_deployment_is_these_services(services: Services) -> None:
    assert set(services) == JOBS | LASTING


def test_every_image_has_a_pinned_tag(services: Services) -> None:
    for name, service in services.items():
        assert re.search(r":\d[\w.-]*$", service["image"]), f"{name}: {service['image']}"


def test_the_server_and_its_ui_are_the_versions_that_the_tests_run_on(services: Services) -> None:
    said = subprocess.run(
        [embedded.temporal_command(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    server, ui = re.findall(r"(?:Server|UI) ([\d.]+\d)", said)
    assert services["temporal"]["image"] == f"temporalio/server:{server}"
    assert {services[job]["image"] for job in JOBS} == {f"temporalio/admin-tools:{server}"}
    assert services["ui"]["image"] == f"temporalio/ui:{ui}"


def test_our_image_carries_our_version(services: Services) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {services[name]["image"] for name in OURS} == {f"clearance:{project['version']}"}


def test_the_inbox_is_left_out_until_somebody_wants_it(source: dict[str, Any]) -> None:
    profiles = {name: one.get("profiles") for name, one in source["services"].items()}
    assert {name: found for name, found in profiles.items() if found} == {
        "inbox": ["inbox"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


def test_every_published_port_is_on_loopback_wherever_it_is_moved(config: Compose) -> None:
    ports = (
        "TEMPORAL_PORT=17233\nTEMPORAL_UI_PORT=18233\nCLEARANCE_WEB_PORT=18234\nGRAFANA_PORT=13000"
    )
    moved = services_of(config(NEEDED + ports))
    found = {name: list(published(service)) for name, service in moved.items()}
    assert {name: where for name, where in found.items() if where} == {
        "temporal": [("127.0.0.1", "17233")],
        "ui": [("127.0.0.1", "18233")],
        "worker": [("127.0.0.1", "13000")],  # Grafana's, which shares its network
        "inbox": [("127.0.0.1", "18234")],
    }


def test_what_keeps_running_is_watched_and_restarted(services: Services) -> None:
    for name in LASTING:
        assert services[name]["restart"] == "unless-stopped", name
        assert services[name]["healthcheck"]["test"][0] == "CMD", name
    for name in JOBS:
        assert services[name]["restart"].startswith("on-failure:"), name


def test_every_service_waits_until_what_it_needs_is_ready(services: Services) -> None:
    waits = {
        name: {on: how["condition"] for on, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    healthy, done = "service_healthy", "service_completed_successfully"
    assert waits == {
        "postgresql": {},
        "schema": {"postgresql": healthy},
        "temporal": {"postgresql": healthy, "schema": done},
        "namespace": {"temporal": healthy},
        "ui": {"temporal": healthy},
        "worker": {"temporal": healthy, "namespace": done},
        "inbox": {"temporal": healthy, "namespace": done},
    }


def test_only_the_schema_job_and_the_server_reach_the_database(
    services: Services, source: dict[str, Any]
) -> None:
    assert source["networks"]["database"] == {"internal": True}
    inside = {name for name, service in services.items() if "database" in service["networks"]}
    assert inside == {"postgresql", "schema", "temporal"}
    assert list(services["postgresql"]["networks"]) == ["database"]


def test_what_must_last_is_in_named_volumes(source: dict[str, Any]) -> None:
    assert source["services"]["postgresql"]["volumes"] == ["postgresql:/var/lib/postgresql/data"]
    state, ledger, policy, reviewers, keys = source["services"]["worker"]["volumes"]
    assert state == "state:/var/lib/clearance"
    assert ledger == "ledger:/var/lib/clearance-ledger"
    assert policy.endswith("checkpoints.toml}:/etc/clearance/checkpoints.toml:ro")
    assert reviewers.endswith("/dev/null}:/etc/clearance/reviewers.toml:ro")
    assert keys == "${CLEARANCE_KEYS_FOLDER:-keys}:/etc/clearance/keys:ro"
    kept, shared, listed, known, signing = source["services"]["inbox"]["volumes"]
    assert kept == "inbox:/var/lib/clearance"
    assert signing == "${CLEARANCE_SIGNING_FOLDER:-/dev/null}:/etc/clearance/signing:ro"
    assert (shared, listed, known) == (ledger, reviewers, keys)
    assert source["volumes"] == {
        "postgresql": {"name": "clearance-postgresql"},
        "state": {"name": "clearance-state"},
        "inbox": {"name": "clearance-inbox"},
        "ledger": {"name": "clearance-ledger"},
        "keys": {"name": "clearance-keys"},
        "prometheus": {"name": "clearance-prometheus"},
        "grafana": {"name": "clearance-grafana"},
    }


def test_what_is_ours_can_change_nothing_but_its_volume(services: Services) -> None:
    for name in OURS:
        service = services[name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert list(service["networks"]) == ["default"], name
        assert "user" not in service, "the image's own user is not root"


def test_neither_the_worker_nor_the_inbox_gets_the_others_secrets(config: Compose) -> None:
    every = services_of(config(filled_in()))
    worker, inbox = (set(every[name]["environment"]) for name in OURS)
    assert not {name for name in inbox if name.startswith(("OPENAI_", "CLEARANCE_SMTP"))}
    assert not {name for name in worker if "OIDC" in name or "DATABASE" in name}


def test_the_password_comes_from_env_and_reaches_only_who_needs_it(
    services: Services, source: dict[str, Any]
) -> None:
    holders = {
        name: [key for key, value in service["environment"].items() if value == "s3cret"]
        for name, service in services.items()
        if "s3cret" in str(service)
    }
    assert holders == {
        "postgresql": ["POSTGRES_PASSWORD"],
        "schema": ["SQL_PASSWORD"],
        "temporal": ["POSTGRES_PWD"],
    }
    for name, (key,) in holders.items():
        assert source["services"][name]["environment"][key].startswith("${POSTGRES_PASSWORD:?")


@pytest.mark.parametrize("settings", ["", EXAMPLE.read_text()], ids=["no .env", "unedited example"])
def test_without_a_password_nothing_starts(config: Compose, settings: str) -> None:
    answer = config(settings)
    assert answer.returncode != 0
    assert "set POSTGRES_PASSWORD in .env, see .env.example" in answer.stderr


def test_the_example_lists_exactly_the_variables_that_are_used(source: dict[str, Any]) -> None:
    text = re.sub(r"\$\$", "", FILE.read_text())
    used = set(re.findall(r"\$\{?([A-Z_]+)", text))
    for name in OURS:
        environment = source["services"][name]["environment"]
        used |= {key for key, value in environment.items() if not value}
    used.add("COMPOSE_PROFILES")  # Compose reads it by itself
    listed = re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(used)


def filled_in() -> str:
    """The example with all that it offers set."""
    every = re.sub(r"^#(?=[A-Z_]+=)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    return every.replace("POSTGRES_PASSWORD=", "POSTGRES_PASSWORD=x")


def given(service: dict[str, Any]) -> dict[str, str]:
    """The environment of a service, without what is left out."""
    return {key: value for key, value in service["environment"].items() if value}


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_is_given_settings_that_it_knows(config: Compose, name: str) -> None:
    environment = given(services_of(config(filled_in()))[name])
    known = {f"CLEARANCE_{name.upper()}" for name in Settings.model_fields}
    assert {key for key in environment if key.startswith("CLEARANCE_")} <= known
    assert environment["TEMPORAL_ADDRESS"] == "temporal:7233"


def test_the_worker_is_told_which_model_to_use(config: Compose) -> None:
    worker = services_of(config(filled_in()))["worker"]
    assert given(worker)["OPENAI_BASE_URL"] == "http://host.docker.internal:11434/v1"


@pytest.mark.parametrize("text", [NEEDED, filled_in()], ids=["the least", "everything"])
def test_the_settings_of_the_inbox_make_one_that_listens_to_its_container(
    config: Compose, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in given(services_of(config(text))["inbox"]).items():
        monkeypatch.setenv(key, value)
    made = config_of(Settings())
    assert (made.host, made.port) == ("0.0.0.0", 8234)  # noqa: S104
    assert made.public_url == "http://localhost:8234"
    assert made.temporal_ui == "http://localhost:8233"
    assert (made.oidc is not None) == (text != NEEDED)


def test_the_worker_gets_longer_to_stop_than_it_takes(services: Services) -> None:
    assert int(services["worker"]["stop_grace_period"].removesuffix("s")) > (
        worker._GRACE.total_seconds()
    )


def test_the_inbox_gets_longer_to_stop_than_its_answers_may_take(services: Services) -> None:
    assert int(services["inbox"]["stop_grace_period"].removesuffix("s")) > server._GRACE


def test_the_search_attributes_are_the_codes(services: Services) -> None:
    environment = services["namespace"]["environment"]
    assert environment["SEARCH_ATTRIBUTES"].split() == attributes.cli_types()


@pytest.mark.parametrize("job", sorted(JOBS))
def test_the_script_of_a_job_is_valid_shell(services: Services, job: str) -> None:
    checked = subprocess.run(["sh", "-n"], input=script(services[job]), text=True, check=False)
    assert checked.returncode == 0


async def test_the_namespace_job_makes_a_usable_namespace_and_changes_nothing_when_run_again(
    services: Services, server: EmbeddedServer
) -> None:
    job, name = services["namespace"], unique("namespace")
    here = {"TEMPORAL_ADDRESS": server.address, "TEMPORAL_NAMESPACE": name}
    path = f"{Path(embedded.temporal_command()).parent}:/usr/bin:/bin"

    def run() -> None:
        subprocess.run(
            [*job["entrypoint"], script(job)],
            env={**job["environment"], **here, "PATH": path, "HOME": "/nonexistent"},
            check=True,
            capture_output=True,
            timeout=120,
        )

    run()
    client = await connect({"target_host": server.address, "namespace": name})
    assert await attributes.missing(client) == []

    async def retention() -> int:
        found = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=name)
        )
        return found.config.workflow_execution_retention_ttl.ToTimedelta().days

    assert await retention() == 30
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=name,
            config=NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=90 * 86_400)),
        )
    )
    run()
    assert await retention() == 90
    assert await attributes.missing(client) == []


def test_metrics_stay_in_the_workers_network_and_grafana_asks_for_a_password(
    config: Compose,
) -> None:
    every = services_of(config(NEEDED.replace("inbox", "monitoring") + "GRAFANA_PASSWORD=gr4fana"))
    assert set(every) >= JOBS | LASTING - {"inbox"} | MONITORING
    metrics = every["worker"]["environment"]["CLEARANCE_METRICS"]
    assert metrics in (ROOT / "deploy/monitoring/prometheus.yml").read_text()
    for name in MONITORING:
        assert every[name]["network_mode"] == "service:worker", name
        assert re.search(r":v?\d+\.\d+\.\d+$", every[name]["image"]), name
        assert every[name]["healthcheck"]["test"][0] == "CMD", name
    assert "--web.listen-address=127.0.0.1:9090" in every["prometheus"]["command"]
    grafana = every["grafana"]
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "gr4fana"
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert "gr4fana" not in str({**every, "grafana": None})


def test_grafana_does_not_start_with_the_password_that_everybody_knows(config: Compose) -> None:
    every = services_of(config(NEEDED.replace("inbox", "monitoring")))
    (text,) = every["grafana"]["command"]
    started = subprocess.run(
        [*every["grafana"]["entrypoint"], text.replace("$$", "$")],
        env={"PATH": os.environ["PATH"], **every["grafana"]["environment"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode != 0
    assert "set GRAFANA_PASSWORD in .env" in started.stderr
