"""What comes of the forms of a request's page, sent as a browser without scripts sends them."""

import asyncio

import httpx
import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest

from clearance import ApprovalClient, ApprovalRequest, Stage
from clearance.rules import CHANGED
from cli.settings import Settings
from tests.directory import ADA, BOB, CLEO, EVE, MARY, kinds

from . import reviewed, shared
from .asking import words
from .conftest import SignedIn
from .pressing import forms, opened, path, press
from .reviewed import PAY

STAGED = ApprovalRequest(
    action="Trade",
    requester=MARY,
    stages=(
        Stage(name="lead", audience=(ADA, BOB), quorum=2),
        Stage(name="director", audience=(CLEO,)),
    ),
)

settings, web_config = reviewed.settings, reviewed.web_config
approvals, inbox, worker_running = shared.approvals, shared.inbox, shared.worker_running

with_a_worker = pytest.mark.usefixtures("worker_running")


@with_a_worker
async def test_who_approves_is_told_so_and_it_is_in_the_record(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)

    page = await press(client, await opened(client, asked.id), "approve", reason="Agreed.\nAda")

    assert f"Approved by {ADA}" in words(page)
    assert "Agreed." in words(page)
    assert "approve" not in forms(page)
    decision = (await approvals.get(asked.id)).decision
    assert decision is not None
    assert (decision.reviewer, decision.channel) == (ADA, "inbox")
    assert decision.reason == "Agreed.\nAda"


@with_a_worker
async def test_a_rejection_says_why_to_everybody(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(BOB)

    page = await press(client, await opened(client, asked.id), "reject", reason="Too much")

    assert f"Rejected by {BOB}" in words(page)
    assert "Too much" in words(page)
    assert (await approvals.get(asked.id)).status == "rejected"


@with_a_worker
async def test_changes_are_asked_for_with_words_and_never_without(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)
    page = await opened(client, asked.id)

    empty = await press(client, page, "changes", reason=" \n")
    page = await press(client, page, "changes", reason="Half of it")

    assert empty.status_code == 422
    assert "Say what to change" in words(empty)
    assert f"Changes were asked for by {ADA}" in words(page)
    view = await approvals.get(asked.id)
    assert view.decision is not None
    assert view.decision.changes_requested
    assert kinds(view) == ["created", "viewed", "rejected"]


@with_a_worker
async def test_nothing_is_rejected_without_a_word(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)

    empty = await press(client, await opened(client, asked.id), "reject", reason=" \n")

    assert empty.status_code == 422
    assert "Nothing was sent: say why not" in words(empty)
    assert 'aria-describedby="reject-reason-fault"' in empty.text
    assert "refused" not in kinds(await approvals.get(asked.id))
    assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_a_wrong_phrase_opens_nothing_and_keeps_what_was_typed(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(
        PAY.model_copy(update={"confirm_phrase": "pay {cents}", "audience": ()})
    )
    client = await signed_in(ADA)
    page = await opened(client, asked.id)
    assert "Type pay 100 to confirm" in words(page)

    wrong = await press(client, page, "approve", confirmation="pay 10", reason="I mean it")
    fields = forms(wrong)["approve"][1]
    right = await press(client, wrong, "approve", confirmation=" pay  100 ")

    assert wrong.status_code == 422
    assert "Type exactly: pay 100" in words(wrong)
    assert (fields["confirmation"], fields["reason"]) == ("pay 10", "I mean it")
    assert f"Approved by {ADA}" in words(right)
    assert kinds(await approvals.get(asked.id)) == ["created", "viewed", "approved"]


@with_a_worker
async def test_two_stages_are_decided_by_those_they_ask_and_show_how_far_they_are(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(STAGED)
    ada, bob, cleo = [await signed_in(who) for who in (ADA, BOB, CLEO)]

    early = await opened(cleo, asked.id)
    first = await press(ada, await opened(ada, asked.id), "approve")
    second = await press(bob, await opened(bob, asked.id), "approve")
    last = await press(cleo, await opened(cleo, asked.id), "approve")

    assert "approve" not in forms(early)
    assert "You are not in the audience" in words(early)
    assert "lead asked now" in words(early)
    assert "director to come" in words(early)
    assert "Your approval counts: 1 of 2 approvals in the stage “lead”." in words(first)
    assert "1 of 2 approved" in words(first)
    assert "You have approved already" in words(first)
    assert "The stage “lead” is done; “director” is asked now." in words(second)
    assert "lead done" in words(second)
    assert f"Approved by {CLEO}" in words(last)


@with_a_worker
async def test_a_request_is_handed_over_and_decided_for_somebody_else(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    ada, cleo = await signed_in(ADA), await signed_in(CLEO)

    before = await opened(cleo, asked.id)
    missing = await press(ada, await opened(ada, asked.id), "delegate", to=" ", text="On leave")
    wrong = await press(ada, missing, "delegate", to="nobody@example.com")
    done = await press(ada, wrong, "delegate", to=CLEO)
    page = await press(cleo, await opened(cleo, asked.id), "approve")

    assert "approve" not in forms(before)
    assert (missing.status_code, wrong.status_code) == (422, 403)
    assert forms(missing)["delegate"][1]["text"] == "On leave"
    assert "is it misspelt?" in words(wrong)
    assert forms(wrong)["delegate"][1]["to"] == "nobody@example.com"
    assert f"{CLEO} may decide this for you." in words(done)
    assert f"Approved by {CLEO} for {ADA}" in words(page)


@with_a_worker
async def test_people_talk_about_it_and_who_asked_answers(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    ada, mary = await signed_in(ADA), await signed_in(MARY)

    page = await press(ada, await opened(ada, asked.id), "comment", text="Hm.\nWell")
    page = await press(ada, page, "comment", text="With tax?", do="ask")
    answering = await opened(mary, asked.id)
    empty = await press(mary, answering, "answer", text=" ")
    answered = await press(mary, answering, "answer", text="Yes")

    assert "answer" not in forms(page)
    assert "Your question is in the record." in words(page)
    assert "With tax?" in words(answering)
    assert empty.status_code == 422
    assert "Your answer is in the record." in words(answered)
    assert "answer" not in forms(answered)
    view = await approvals.get(asked.id)
    talk = [(one.kind, one.reason) for one in view.events if one.who in (ADA, MARY) and one.reason]
    assert talk == [("commented", "Hm.\nWell"), ("asked", "With tax?"), ("answered", "Yes")]


@with_a_worker
async def test_only_who_asked_withdraws_it(approvals: ApprovalClient, signed_in: SignedIn) -> None:
    asked = await approvals.request(PAY)
    ada, mary = await signed_in(ADA), await signed_in(MARY)

    assert "withdraw" not in forms(await opened(ada, asked.id))
    page = await press(mary, await opened(mary, asked.id), "withdraw", text="Not needed")

    assert f"Withdrawn by {MARY} ," in words(page)
    assert words(page).count("Not needed") == 2, "how it ended, and in the record"
    assert (await approvals.get(asked.id)).status == "withdrawn"


@with_a_worker
async def test_who_asked_may_not_approve_and_is_told_why(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"audience": (MARY, ADA)}))
    client = await signed_in(MARY)

    page = await opened(client, asked.id)

    assert "approve" not in forms(page)
    assert "reject" in forms(page)
    assert "You asked for this: somebody else has to approve it" in words(page)


@with_a_worker
async def test_the_gate_refuses_who_sends_a_form_that_is_not_offered(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    ada, eve = await signed_in(ADA), await signed_in(EVE)
    fields = forms(await opened(ada, asked.id))["approve"][1]
    own = forms(await opened(eve, asked.id))
    token = own["/sign-out"][1]["csrf"]

    forged = await eve.post(path(asked.id), data=fields)
    refused = await eve.post(path(asked.id), data={**fields, "csrf": token, "reviewer": ADA})

    assert not set(own) & {"approve", "reject", "changes", "comment", "delegate", "withdraw"}
    assert (forged.status_code, refused.status_code) == (403, 403)
    assert "You are not in the audience" in words(refused)
    assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_what_somebody_else_decided_meanwhile_is_told_and_nothing_typed_is_lost(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)
    page = await opened(client, asked.id)
    await approvals.reject(asked.id, reviewer=BOB, reason="No money")

    late = await press(client, page, "approve", reason="A long and careful thought")

    assert late.status_code == 409
    assert f"Already decided: rejected by {BOB}" in words(late)
    assert f"Rejected by {BOB}" in words(late)
    assert "A long and careful thought" in words(late)


@with_a_worker
async def test_what_has_changed_since_it_was_read_is_read_again_first(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    terms = {"editable": True, "audience": (ADA, BOB, CLEO), "quorum": 2}
    asked = await approvals.request(PAY.model_copy(update=terms))
    client = await signed_in(ADA)
    page = await opened(client, asked.id)
    await approvals.approve(asked.id, reviewer=BOB, changes={"cents": 90})

    stale = await press(client, page, "approve", reason="A thought")
    again = await press(client, stale, "approve")

    assert stale.status_code == 409
    assert CHANGED[1:] in words(stale)
    assert forms(stale)["approve"][1]["reason"] == "A thought"
    assert "cents before: 100 → now: 90" in words(stale)
    assert again.status_code == 200
    assert [one.by for one in (await approvals.get(asked.id)).approvals] == [ADA]


@with_a_worker
async def test_a_form_sent_twice_is_one_decision(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(STAGED)
    alone = await approvals.request(PAY)
    client = await signed_in(ADA)

    for id in (asked.id, alone.id):
        page = await opened(client, id)
        first = await press(client, page, "approve")
        second = await press(client, page, "approve")
        assert (first.status_code, second.status_code) == (200, 200)
        assert kinds(await approvals.get(id)).count("approved") == 1


@with_a_worker
async def test_a_form_that_no_page_of_ours_sends_does_nothing(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)
    fields = forms(await opened(client, asked.id))["approve"][1]

    for change in (
        {"do": "open"},
        {"do": ""},
        {"stage": "x"},
        {"stage": "-1"},
        {"digest": ""},
        {"digest": "0" * 64},
        {"decision_id": "a b"},
        {"reason": "x" * 4_001},
        {"arguments": "{"},
        {"arguments": "[]"},
        {"arguments": '{"a": NaN}'},
        {"arguments": "{}", "previewed": "0" * 64},
    ):
        answer = await client.post(path(asked.id), data={**fields, **change})
        assert answer.status_code in (403, 409, 422), change
    assert (await approvals.get(asked.id)).status == "pending"


class TestWithoutAWorker(reviewed.WithoutAWorker):
    """One that has died with a task in its hands."""

    async def test_a_worker_that_is_silent_is_not_taken_for_a_temporal_that_is_away(
        self,
        approvals: ApprovalClient,
        settings: Settings,
        signed_in: SignedIn,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("clearance.away.PATIENCE", 0.5)  # less than a worker may take
        temporal, queue = approvals.temporal, TaskQueue(name=settings.approvals_queue)
        poll = PollWorkflowTaskQueueRequest(namespace=temporal.namespace, task_queue=queue)
        dead = asyncio.create_task(temporal.workflow_service.poll_workflow_task_queue(poll))
        asked = await approvals.request(PAY.model_copy(update={"editable": True}))
        await dead  # it has taken the task, still counts, and will never answer
        client = await signed_in(ADA)
        client.timeout = httpx.Timeout(60)

        pressed = await press(client, await opened(client, asked.id), "approve")

        assert "Your approval is recorded; it takes effect when a worker is back" in words(pressed)
        receipt = await approvals.approve(asked.id, reviewer=BOB, changes={"cents": 50})
        assert (receipt.in_effect, receipt.recorded_at) == (False, None)
