"""What a person types or chooses for an id, against everything else that lives on the server."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from temporalio.client import Client

from clearance import (
    AlreadyAsked,
    Ambiguous,
    ApprovalClient,
    ApprovalRequest,
    ClearanceError,
    InvalidRequest,
    NotFound,
    stored,
)
from clearance.contract import AGENT_WORKFLOW, APPROVAL_WORKFLOW
from clearance.ids import pick, resolve
from cli.settings import Settings
from tests.support import eventually, unique


async def are_listed(temporal: Client, ids: Sequence[str], how: str) -> bool:
    """Whether the listing knows all of them as they are now."""
    for id in ids:
        query = f"WorkflowId = '{id}' AND ExecutionStatus {how} 'Running'"
        if not (await temporal.count_workflows(query)).count:
            return False
    return True


async def pending(approvals: ApprovalClient, *ids: str) -> None:
    await asyncio.gather(*(approvals.request("Deploy", id=id) for id in ids))
    await eventually(partial(are_listed, approvals.temporal, ids, "="))


async def ended(approvals: ApprovalClient, *ids: str) -> None:
    await pending(approvals, *ids)
    for id in ids:
        await approvals.temporal.get_workflow_handle(id).terminate()
    await eventually(partial(are_listed, approvals.temporal, ids, "!="))


async def test_a_whole_id_is_found_before_it_is_listed(approvals: ApprovalClient) -> None:
    asked = await approvals.request("Deploy", id=unique("whole"))

    assert await resolve(approvals.temporal, asked.id) == asked.id
    assert await resolve(approvals.temporal, f"  {asked.id}\n") == asked.id


async def test_a_beginning_or_an_end_that_fits_one_is_enough_and_a_whole_id_wins_over_both(
    approvals: ApprovalClient,
) -> None:
    head, tail = unique("head"), unique("tail")
    id = f"{head}-{tail}"
    await pending(approvals, id)

    assert await resolve(approvals.temporal, head) == id
    assert await resolve(approvals.temporal, tail) == id
    assert (await approvals.request("Deploy", id=id)).id == id

    await pending(approvals, f"{id}.1", f"x-{id}")
    assert await resolve(approvals.temporal, id) == id


def test_the_middle_of_an_id_is_not_enough() -> None:
    assert pick("middle", ["a-middle-z"]) is None


async def test_several_that_begin_or_end_with_it_are_listed(approvals: ApprovalClient) -> None:
    word = unique("many")
    ids = {*(f"{word}.{number}" for number in range(1, 12)), f"a-{word}"}
    await pending(approvals, *ids)

    with pytest.raises(Ambiguous) as caught:
        await resolve(approvals.temporal, word)

    assert set(caught.value.candidates) == ids
    text = str(caught.value)
    assert text.startswith(f"'{word}' fits 12 ids: ")
    assert text.endswith(" …. Type more of it")
    assert sum(id in text for id in caught.value.candidates[:10]) == 10
    assert "\n" not in text


async def test_a_program_that_cuts_an_id_off_means_nothing_by_it(
    approvals: ApprovalClient, temporal: Client, settings: Settings
) -> None:
    exact = ApprovalClient(temporal, task_queue=settings.approvals_queue, whole_ids=True)
    asked = await approvals.request("Deploy", id=unique("deploy"))

    assert await exact.summary(asked.id) == asked
    with pytest.raises(NotFound, match="ids are given whole here"):
        await exact.summary(asked.id[:-1])
    with pytest.raises(NotFound):
        await exact.approve(asked.id[1:], reviewer="ada", digest=asked.digest)


async def test_what_is_pending_wins_over_what_has_ended_of_which_one_that_fits_is_found(
    approvals: ApprovalClient,
) -> None:
    head, tail = unique("again"), unique("ended")
    await ended(approvals, f"{head}.1", f"{head}.2", f"x-{tail}")
    with pytest.raises(Ambiguous):
        await resolve(approvals.temporal, head)
    assert await resolve(approvals.temporal, tail) == f"x-{tail}"

    await pending(approvals, f"{head}.3")

    assert await resolve(approvals.temporal, head) == f"{head}.3"
    assert await resolve(approvals.temporal, f"{head}.1") == f"{head}.1"


async def test_an_id_that_was_asked_again_is_one_candidate(approvals: ApprovalClient) -> None:
    """A parent that was reset asks under the same id; the list has the replaced request too."""
    head = unique("reset")
    for _ in range(2):
        handle = await approvals.temporal.start_workflow(
            APPROVAL_WORKFLOW, "Deploy", id=f"{head}.1", task_queue=unique("nobody")
        )
        await handle.terminate()
    query = f"WorkflowId = '{head}.1' AND ExecutionStatus != 'Running'"

    async def both_listed() -> bool:
        return (await approvals.temporal.count_workflows(query)).count == 2

    await eventually(both_listed)

    assert await resolve(approvals.temporal, head) == f"{head}.1"


async def test_an_unknown_id_is_told_with_the_nearest_by_an_error_like_all_others(
    approvals: ApprovalClient,
) -> None:
    id = unique("payroll-november")
    await pending(approvals, id)
    typed = f"{id[:8]}X{id[9:]}"

    with pytest.raises(ClearanceError) as caught:
        await approvals.approve(typed, reviewer="ada")

    assert isinstance(caught.value, NotFound)
    assert caught.value.nearest[0] == id
    assert str(caught.value).startswith(f"nothing has the id '{typed}'; nearest: {id}")


async def test_an_id_like_no_other_is_told_where_to_look(approvals: ApprovalClient) -> None:
    with pytest.raises(NotFound) as caught:
        await resolve(approvals.temporal, "§§§§§§§§")

    assert caught.value.nearest == ()
    assert (
        str(caught.value) == "nothing has the id '§§§§§§§§'; `clearance pending` lists what waits"
    )


async def test_odd_characters_in_an_id_are_only_characters(approvals: ApprovalClient) -> None:
    odds = ("'", "\\", '"', "' OR '1'='1", "%", "a b", "😀")
    parts = [(unique("odd"), odd, unique("end")) for odd in odds]
    ids = ["".join(one) for one in parts]
    await asyncio.gather(*(approvals.request("Deploy", id=id) for id in ids))

    async def found() -> bool:
        return set(ids) <= {waiting.id async for waiting in approvals.pending()}

    await eventually(found)

    for id, (head, odd, tail) in zip(ids, parts, strict=True):
        assert await resolve(approvals.temporal, id) == id
        assert await resolve(approvals.temporal, f"{head}{odd}") == id
        assert await resolve(approvals.temporal, f"{odd}{tail}") == id
        assert pick(f"none{odd}", ids) is None


async def test_a_workflow_of_another_type_is_not_taken_for_an_approval(
    approvals: ApprovalClient,
) -> None:
    id = unique("other")
    await approvals.temporal.start_workflow(AGENT_WORKFLOW, id=id, task_queue=unique("nobody"))

    with pytest.raises(NotFound):
        await approvals.get(id)
    assert await resolve(approvals.temporal, id, workflow_type=AGENT_WORKFLOW) == id

    await pending(approvals, f"{id}.1")
    assert await resolve(approvals.temporal, id) == f"{id}.1"


@pytest.mark.parametrize("typed", ["", "  \n", "x" * 201, "\udcff"])
async def test_what_can_be_no_id_is_refused_without_asking_the_server(
    approvals: ApprovalClient, typed: str
) -> None:
    with pytest.raises(InvalidRequest, match="an id "):
        await approvals.get(typed)


async def test_the_longest_id_works(approvals: ApprovalClient) -> None:
    id = unique("long").ljust(200, "ü")
    await approvals.request("Deploy", id=id)

    assert (await approvals.request("Deploy", id=id)).id == await resolve(approvals.temporal, id)


async def test_asking_again_under_the_same_id_is_asking_once(approvals: ApprovalClient) -> None:
    id = unique("once")

    first = await approvals.request("Deploy", id=id)
    again, and_again = await asyncio.gather(*(approvals.request("Deploy", id=id) for _ in range(2)))

    assert first == again == and_again


async def test_an_id_that_waits_for_something_else_is_refused(approvals: ApprovalClient) -> None:
    asked = await approvals.request("Deploy")

    with pytest.raises(InvalidRequest) as caught:
        await approvals.request("Roll back", id=asked.id)

    assert str(caught.value) == f"the id {asked.id} is used for something else: choose another"
    assert await approvals.request("Deploy", id=asked.id) == asked


async def test_an_id_of_a_workflow_of_another_type_is_refused(approvals: ApprovalClient) -> None:
    id = unique("other")
    await approvals.temporal.start_workflow("Other", "Deploy", id=id, task_queue=unique("nobody"))

    with pytest.raises(InvalidRequest, match="is used for something else"):
        await approvals.request("Deploy", id=id)


@pytest.mark.usefixtures("worker_running")
async def test_asking_again_for_what_has_ended_tells_how_it_ended(
    approvals: ApprovalClient,
) -> None:
    request = ApprovalRequest(action="Pay", tool="pay", arguments={"cents": 1, "pin": "0000-1111"})
    ids = [unique(status) for status in ("approved", "rejected", "withdrawn")]
    for id in ids:
        await approvals.request(request, id=id)
    await approvals.approve(ids[0], reviewer="ada")
    await approvals.reject(ids[1], reviewer="ada")
    await approvals.temporal.get_workflow_handle(ids[2]).terminate()
    for id in ids:
        await approvals.wait(id)

    again = [await approvals.request(request, id=id) for id in ids]

    assert [one.status for one in again] == ["approved", "rejected", "withdrawn"]
    assert [(one.id, one.digest) for one in again] == [(id, request.digest) for id in ids]


async def test_an_id_of_another_request_that_has_ended_is_refused(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request("Deploy")
    await approvals.temporal.get_workflow_handle(asked.id).terminate()

    with pytest.raises(InvalidRequest) as caught:
        await approvals.request("Roll back", id=asked.id)

    assert not isinstance(caught.value, AlreadyAsked)
    assert str(caught.value) == f"the id {asked.id} is used for something else: choose another"


@pytest.mark.parametrize("ended", [False, True])
async def test_a_new_request_under_an_id_that_was_used_is_refused_and_asks_nothing(
    approvals: ApprovalClient, ended: bool
) -> None:
    asked = await approvals.request("Deploy", id=unique("new"), new=True)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    if ended:
        await handle.terminate()
    before = await handle.describe()

    for action in ("Deploy", "Roll back"):
        with pytest.raises(AlreadyAsked) as caught:
            await approvals.request(action, id=asked.id, new=True)
        assert isinstance(caught.value, InvalidRequest)
        assert str(caught.value).startswith(f"the id {asked.id} is in use, or was used before")

    after = await handle.describe()
    assert (after.run_id, after.history_length) == (before.run_id, before.history_length)


async def test_of_many_who_ask_for_a_new_request_at_once_one_does(
    approvals: ApprovalClient,
) -> None:
    id = unique("race")

    asking = [approvals.request(f"Deploy {n}", id=id, new=True) for n in range(8)]
    answers = await asyncio.gather(*asking, return_exceptions=True)

    [asked] = [one for one in answers if not isinstance(one, BaseException)]
    assert sum(isinstance(one, AlreadyAsked) for one in answers) == 7
    assert (await stored.request_of(approvals.temporal.get_workflow_handle(id))).action == (
        asked.action
    )


@pytest.mark.usefixtures("worker_running")
async def test_asking_again_for_what_was_refused_says_why_again(approvals: ApprovalClient) -> None:
    id = unique("refused")
    request = ApprovalRequest(action="Deploy", audience=("group:nobody",))

    for _ in range(2):
        with pytest.raises(InvalidRequest, match="there are no groups without"):
            await approvals.wait((await approvals.request(request, id=id)).id)
    with pytest.raises(InvalidRequest, match="is used for something else"):
        await approvals.request("Deploy", id=id)


@pytest.mark.parametrize("id", ["", " ", " a", "a ", "a\nb", "a\x1b", "\ud800", "x" * 201])
async def test_an_impossible_id_is_refused(approvals: ApprovalClient, id: str) -> None:
    with pytest.raises(InvalidRequest, match="an id has 1 to 200 printable characters"):
        await approvals.request("Deploy", id=id)


@pytest.mark.parametrize("id", [".", "..", "a/../b", "../a", "a/.", "./", "/.."])
async def test_an_id_is_no_way_through_folders(approvals: ApprovalClient, id: str) -> None:
    """A browser would take ``/requests/..`` for another page."""
    with pytest.raises(InvalidRequest, match=r"an id is no path: leave \. and \.\. out"):
        await approvals.request("Deploy", id=id)


async def test_dots_inside_an_id_are_only_characters(approvals: ApprovalClient) -> None:
    for id in (unique("a..b"), unique("..."), f"{unique('v1')}/.hidden", f"{unique('x')}.1"):
        assert (await approvals.request("Deploy", id=id)).id == id
