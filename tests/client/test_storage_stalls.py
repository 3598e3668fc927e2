"""A server whose storage stalls says that there is no such namespace: then nothing is gone."""

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from clearance import ApprovalClient, NotRecorded, consumption
from clearance.away import is_away, is_unknown
from tests.support import unique


@pytest.fixture
def stalled(temporal: Client) -> Client:
    """A client that gets this answer, and no other, from a real server."""
    return Client(
        temporal.service_client, namespace=unique("none"), data_converter=temporal.data_converter
    )


async def test_what_a_stalled_server_does_not_find_is_not_called_unknown(stalled: Client) -> None:
    approvals = ApprovalClient(stalled)

    with pytest.raises(RPCError) as read:
        await approvals.get("pay-1")
    with pytest.raises(RPCError) as consumed:
        await consumption.read(stalled, "pay-1")

    assert [is_away(one.value) for one in (read, consumed)] == [True, True]
    with pytest.raises(NotRecorded):
        await approvals.approve("pay-1", reviewer="ada")


async def test_what_a_server_does_not_know_is(temporal: Client) -> None:
    with pytest.raises(RPCError) as missing:
        await temporal.get_workflow_handle(unique("none")).describe()

    assert is_unknown(missing.value)
    assert not is_away(missing.value)
