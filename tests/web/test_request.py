"""The page of a request, over HTTP: what it tells, and to whom."""

from datetime import timedelta

import httpx
import pytest

from clearance import ApprovalClient, ApprovalRequest
from cli.settings import Settings
from tests.conftest import Serve
from tests.directory import ADA, BOB, EVE, MARY, PEOPLE, kinds, rewrite
from tests.support import eventually, unique
from web.context import Context

from . import reviewed, shared
from .asking import words
from .conftest import SignedIn
from .pressing import forms, opened, path, press
from .reviewed import PAY

settings, web_config = reviewed.settings, reviewed.web_config
approvals, inbox, worker_running = shared.approvals, shared.inbox, shared.worker_running

with_a_worker = pytest.mark.usefixtures("worker_running")


@with_a_worker
async def test_it_tells_all_that_somebody_decides_about(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)

    said = words(await opened(await signed_in(ADA), asked.id))

    for text in (
        *("Waiting", "High risk", "Pay 100 to Ada", "For the lights. And the heating.", "pay"),
        *('to "Ada"', "cents 100", 'ref "1"', "api_key [masked]", "parts 1 entry a [1]"),
        *("The money leaves today.", "It was told Pay the bill", "It says I pay it now."),
        *(f"Asked by {MARY}", "payments", f"{ADA}, {BOB}", asked.digest, asked.id, "7 d"),
        *("created", "Approve", "Reject", "Ask for changes"),
    ):
        assert text in said, text
    assert "sk-123456" not in said
    assert said.index("Pay 100 to Ada") < said.index("What will run") < said.index("Record")


@with_a_worker
async def test_each_end_is_told_once_with_its_reason_and_the_record_speaks_plainly(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    expired = await approvals.request(
        ApprovalRequest(action="Pay", expires_in=timedelta(milliseconds=200))
    )
    withdrawn = await approvals.request("Pay")
    await approvals.withdraw(withdrawn.id, who=ADA, reason="Enough")
    await approvals.wait(expired.id, timedelta(seconds=20))
    client = await signed_in(ADA)

    pages = [await opened(client, one.id) for one in (expired, withdrawn)]
    late, gone = map(words, pages)

    assert "Expired: nobody decided in time" in late
    for page in pages:
        assert set(forms(page)) == {"/sign-out", ""}

    for said in (late, gone):
        assert "(engine)" not in said
        assert "(timer)" not in said
    assert late.partition("Record")[0].count("nobody decided") == 1
    assert gone.partition("Record")[0].count("Enough") == 1
    assert f"Withdrawn by {ADA}" in gone
    assert f"withdrawn by {ADA} (client): Enough" in gone.partition("Record")[2]


@with_a_worker
async def test_what_follows_an_approval_is_promised_only_where_a_run_waits_for_it(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    outside = await approvals.request(PAY)
    inside = await approvals.request(PAY.model_copy(update={"run_id": unique("run")}))
    client = await signed_in(ADA)

    assert "Whoever asked may then do exactly this, once." in words(
        await opened(client, outside.id)
    )
    assert "It runs at once, exactly as shown here." in words(await opened(client, inside.id))


@with_a_worker
async def test_a_page_is_opened_by_the_whole_id_only(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request("Pay", id=unique("pay"))
    client = await signed_in()

    unknown = await client.get("/requests/nothing-has-this-id")
    short = await client.get(path(asked.id[:-1]))
    long = await client.get(path("x" * 300))

    assert {unknown.status_code, short.status_code, long.status_code} == {404}
    assert asked.id not in words(short)


@with_a_worker
@pytest.mark.parametrize("odd", ["a/b", "100%", "a?b#c&d=e", "ä 猫", "x\"'><b>", "%2F"])
async def test_any_id_has_a_page_that_works(
    approvals: ApprovalClient, signed_in: SignedIn, odd: str
) -> None:
    id = f"{unique('odd')}{odd}"
    await approvals.request("Pay", id=id)
    client = await signed_in(ADA)

    page = await press(client, await opened(client, id), "comment", text="Hm")
    page = await press(client, page, "approve")

    assert f"Approved by {ADA}" in words(page)
    assert (await approvals.get(id)).status == "approved"


class TestWithoutAWorker(reviewed.WithoutAWorker):
    """What is known without one."""

    async def test_it_is_read_as_far_as_it_is_known_and_a_decision_is_kept(
        self, approvals: ApprovalClient, signed_in: SignedIn, serve: Serve
    ) -> None:
        asked = await approvals.request(PAY)
        client = await signed_in(ADA)

        page = await opened(client, asked.id)
        done = await press(client, page, "reject", reason="No")

        assert "No worker answers now" in words(page)
        assert "Your rejection is recorded; it takes effect when a worker is back." in words(done)
        assert "Waiting" in words(done)
        assert "Decide differently" in words(done)
        async with serve():
            await approvals.wait(asked.id, timedelta(seconds=20))
            back = await opened(client, asked.id)
        assert f"Rejected by {ADA}" in words(back)


@with_a_worker
async def test_a_reading_is_recorded_once_and_only_of_who_loads_the_page(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client, other = await signed_in(ADA), await signed_in(BOB)

    for headers in (
        {"HX-Request": "true"},
        {"Sec-Purpose": "prefetch"},
        {"Sec-Fetch-Dest": "empty"},
    ):
        await client.get(path(asked.id), headers=headers)
    await opened(client, asked.id)

    async def seen() -> bool:
        return "viewed" in kinds(await approvals.get(asked.id))

    await eventually(seen)
    await opened(client, asked.id)
    await opened(other, asked.id)
    await approvals.comment(asked.id, "after", who=ADA)

    events = (await approvals.get(asked.id)).events
    assert [one.who for one in events if one.kind == "viewed"] == [ADA, BOB]


@with_a_worker
async def test_what_was_done_is_said_only_by_us_and_to_whom_it_happened(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    ada, bob = await signed_in(ADA), await signed_in(BOB)
    fields = forms(await opened(ada, asked.id))["comment"][1]
    sent = await ada.post(path(asked.id), data={**fields, "text": "Hm"})
    where = sent.headers["location"]

    assert "Your comment is in the record." in words(await ada.get(where))
    assert "Your comment is in the record." not in words(await bob.get(where))
    assert "made up" not in (await ada.get(f"{path(asked.id)}?said=made%20up")).text


@with_a_worker
async def test_what_an_agent_outside_did_with_the_permission_is_told(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    done, failed = await approvals.request(PAY), await approvals.request(PAY)
    for asked, succeeded in ((done, True), (failed, False)):
        await approvals.approve(asked.id, reviewer=ADA)
        permit = await approvals.consume(asked.id, digest=asked.digest, taker="shop-bot")
        assert permit.approval_id == asked.id
        await approvals.report(asked.id, taker="shop-bot", succeeded=succeeded, summary="No. 17")
    client = await signed_in(ADA)

    good, bad = words(await opened(client, done.id)), words(await opened(client, failed.id))

    assert "shop-bot took the permission" in good
    assert "✓ pay has run" in good
    assert "No. 17" in good
    assert "pay was tried, and it failed: No. 17" in bad


@with_a_worker
async def test_a_group_that_a_sign_in_vouches_for_decides(
    approvals: ApprovalClient, inbox: Context, settings: Settings
) -> None:
    rewrite(settings, PEOPLE + '\n[sign_in]\ngroups = ["treasury"]\n')
    asked = await approvals.request(PAY.model_copy(update={"audience": ("group:treasury",)}))
    secret, _ = await inbox.store.sessions.begin(BOB)
    async with httpx.AsyncClient(base_url=inbox.url, cookies={"clearance": secret}) as client:
        refused = await opened(client, asked.id)
    secret, _ = await inbox.store.sessions.begin(EVE, ("group:treasury",))
    async with httpx.AsyncClient(base_url=inbox.url, cookies={"clearance": secret}) as client:
        done = await press(client, await opened(client, asked.id), "approve")

    assert "approve" not in forms(refused)
    assert "You are not in the audience" in words(refused)
    assert f"Approved by {EVE}" in words(done)
