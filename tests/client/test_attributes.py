"""What the server's index knows of a request, and the lists that are filtered by it."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey

from clearance import (
    ApprovalClient,
    ApprovalRequest,
    CannotConnect,
    Stage,
    attributes,
    connect,
)
from tests.support import eventually, unique

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
ADA = {"reviewer": "ada@example.com"}


def plain(request: ApprovalRequest, deadline: datetime | None) -> dict[str, Any]:
    found = attributes.of(request, status="pending", deadline=deadline)
    return {pair.key.name: pair.value for pair in found}


def test_a_whole_request_sets_every_attribute() -> None:
    request = ApprovalRequest(
        action="Send it",
        details="secret",
        tool="send_email",
        arguments={"to": "secret"},
        requester="grace",
        checkpoint="mail",
        risk="high",
        audience=("Ada", "bob"),
    )

    assert plain(request, START) == {
        "ApprovalStatus": "pending",
        "ApprovalTool": "send_email",
        "ApprovalCheckpoint": "mail",
        "ApprovalRequester": "grace",
        "ApprovalRisk": "high",
        "ApprovalAudience": ["ada", "bob"],
        "ApprovalDeadline": START,
    }


def test_what_a_request_does_not_name_is_left_out() -> None:
    assert plain(ApprovalRequest(action="Deploy"), None) == {
        "ApprovalStatus": "pending",
        "ApprovalRisk": "medium",
    }


def test_of_a_request_with_stages_the_people_of_the_first_are_set() -> None:
    stages = (
        Stage(name="manager", audience=("Ada", "bob", "ADA", "group:Leads")),
        Stage(name="cfo", audience=("eve",)),
    )

    found = plain(ApprovalRequest(action="Deploy", stages=stages), None)

    assert found["ApprovalAudience"] == ["ada", "bob", "group:leads"]


def test_the_command_line_of_the_server_gets_all_of_them() -> None:
    """Temporal allows ten Keyword attributes and three of each other type, for everybody together."""
    assert attributes.cli_types() == [
        "ApprovalStatus=Keyword",
        "ApprovalTool=Keyword",
        "ApprovalCheckpoint=Keyword",
        "ApprovalRequester=Keyword",
        "ApprovalRisk=Keyword",
        "ApprovalAudience=KeywordList",
        "ApprovalDeadline=Datetime",
        "ApprovalReviewer=Keyword",
        "ApprovalClosed=Datetime",
        "ApprovalGrants=Int",
    ]
    assert len(attributes.KEYS) == 10


async def bare(temporal: Client, connection: dict[str, Any]) -> Client:
    """A connection to a new namespace, which has none of our attributes."""
    name = unique("bare")
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    await temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )

    async def known() -> Client | None:
        with contextlib.suppress(CannotConnect):
            return await connect({**connection, "namespace": name})
        return None

    client = await eventually(known, within=60)
    assert client is not None
    return client


async def test_the_embedded_servers_namespace_lacks_nothing(temporal: Client) -> None:
    assert await attributes.missing(temporal) == []
    assert await attributes.register(temporal) == []


async def test_registering_adds_what_is_missing_and_only_that(
    temporal: Client, connection: dict[str, Any]
) -> None:
    client = await bare(temporal, connection)
    names = [key.name for key in attributes.KEYS]
    assert [key.name for key in await attributes.missing(client)] == names

    assert await attributes.register(client) == names

    async def complete() -> bool:
        return not await attributes.missing(client)

    await eventually(complete, within=60)
    assert await attributes.register(client) == []


@pytest.mark.parametrize(
    ("reviewer", "listed_as"),
    [
        (None, None),
        ("Ada", "ada"),
        ("😀" * 200, None),
        ("\u0390" * 200, None),
        ("ß" * 100, "ss" * 100),
    ],
)
def test_who_closed_a_request_is_kept_if_the_index_takes_it(
    reviewer: str | None, listed_as: str | None
) -> None:
    """What it doesn't take would fail the workflow's task, again and again."""
    updates = {one.key.name: one.value for one in attributes.closing("approved", reviewer)}

    assert updates.pop("ApprovalStatus") == "approved"
    assert updates == ({"ApprovalReviewer": listed_as} if listed_as else {})


@pytest.mark.usefixtures("worker_running")
async def test_the_index_follows_a_request_to_its_end(approvals: ApprovalClient) -> None:
    asked = await approvals.request(ApprovalRequest(action="Deploy", audience=("ada@example.com",)))
    handle = approvals.temporal.get_workflow_handle(asked.id)

    async def value(key: SearchAttributeKey[Any]) -> Any:
        return (await handle.describe()).typed_search_attributes.get(key)

    assert await value(attributes.STATUS) == "pending"
    assert await value(attributes.AUDIENCE) == ["ada@example.com"]

    await approvals.reject(asked.id, **ADA)
    await handle.result()

    assert await value(attributes.STATUS) == "rejected"
