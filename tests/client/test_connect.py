"""How Temporal is found, and what is said where it isn't there."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter

from clearance import ApprovalClient, CannotConnect, ClearanceError, connect
from clearance.connect import load_settings
from tests.support import unique

ADVICE = "start one with `clearance up`, or set TEMPORAL_ADDRESS"


@pytest.fixture
def no_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration file but the one that the test writes here."""
    file = tmp_path / "temporal.toml"
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    return file


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
async def namespace(temporal: Client) -> str:
    """A second namespace on the server."""
    name = unique("namespace")
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    await temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    return name


async def connected(settings: dict[str, Any] | None = None) -> Client:
    """A connection; a namespace takes the server a moment to know everywhere."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await connect(settings)
            except CannotConnect as error:
                if "is not found" not in str(error):
                    raise
                await asyncio.sleep(0.1)


async def refusal(settings: dict[str, Any], **how: Any) -> str:
    with pytest.raises(CannotConnect) as caught:
        await connect(settings, **how)
    assert isinstance(caught.value, ClearanceError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_connection_has_the_one_data_converter(connection: dict[str, Any]) -> None:
    client = await connect(connection)

    assert client.data_converter.payload_converter_class is PydanticPayloadConverter
    assert client.namespace == "default"


async def test_an_address_where_nothing_listens_is_told_in_one_line(closed: str) -> None:
    said = await refusal({"target_host": closed})

    assert said == f"cannot reach Temporal at {closed}: {ADVICE}"


async def test_a_server_that_never_answers_is_given_up_after_the_timeout(silent: str) -> None:
    async with asyncio.timeout(60):
        said = await refusal({"target_host": silent}, timeout=0.2)

    assert said == f"cannot reach Temporal at {silent}: {ADVICE}"


@pytest.mark.parametrize("address", ["no host at all", "127.0.0.1", "127.0.0.1:x", ":7233", ""])
async def test_what_is_no_address_is_told_in_one_line(address: str) -> None:
    said = await refusal({"target_host": address}, timeout=5)

    assert said == f"cannot reach Temporal at {address}: {ADVICE}"


async def test_an_unknown_namespace_is_named(connection: dict[str, Any]) -> None:
    said = await refusal({**connection, "namespace": "nowhere"})

    assert said == (
        f"Temporal at {connection['target_host']} refused: Namespace nowhere is not found."
    )


async def test_the_environment_names_address_and_namespace(
    connection: dict[str, Any], namespace: str, no_profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not no_profiles.exists()
    monkeypatch.setenv("TEMPORAL_ADDRESS", connection["target_host"])
    monkeypatch.setenv("TEMPORAL_NAMESPACE", namespace)

    client = await connected()

    assert client.namespace == namespace
    assert client.service_client.config.target_host == connection["target_host"]


async def test_a_profile_names_address_and_namespace(
    connection: dict[str, Any], namespace: str, no_profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_profiles.write_text(
        '[profile.default]\naddress = "127.0.0.1:1"\n\n'
        f'[profile.staging]\naddress = "{connection["target_host"]}"\nnamespace = "{namespace}"\n'
    )
    with pytest.raises(CannotConnect, match=r"cannot reach Temporal at 127\.0\.0\.1:1:"):
        await connect()

    monkeypatch.setenv("TEMPORAL_PROFILE", "staging")

    assert (await connected()).namespace == namespace


async def test_the_environment_wins_over_the_profile(
    connection: dict[str, Any], no_profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_profiles.write_text('[profile.default]\naddress = "127.0.0.1:1"\nnamespace = "other"\n')
    monkeypatch.setenv("TEMPORAL_ADDRESS", connection["target_host"])
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "default")

    async with await ApprovalClient.connect() as client:
        assert client.temporal.namespace == "default"


async def test_the_approval_client_of_another_queue_lists_that_queue(
    connection: dict[str, Any], no_profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", connection["target_host"])
    queue = unique("queue")

    async with await ApprovalClient.connect(task_queue=queue) as client:
        asked = await client.request("Deploy")
        description = await client.temporal.get_workflow_handle(asked.id).describe()

    assert description.task_queue == queue


@pytest.mark.usefixtures("no_profiles")
def test_without_settings_it_is_the_usual_address_or_the_one_given() -> None:
    assert load_settings()["target_host"] == "localhost:7233"
    assert load_settings("127.0.0.1:9")["target_host"] == "127.0.0.1:9"


@pytest.mark.parametrize(
    ("content", "said"),
    [("[profile.default]\n", "gone"), ("[profile", "expected"), ("profile = 1\n", "invalid type")],
)
async def test_a_configuration_that_cannot_be_used_is_told_in_one_line(
    no_profiles: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    no_profiles.write_text(content)
    monkeypatch.setenv("TEMPORAL_PROFILE", "gone")

    with pytest.raises(CannotConnect) as caught:
        await connect()

    text = str(caught.value)
    assert text.startswith("the Temporal configuration can't be read: ")
    assert said in text
    assert "\n" not in text
