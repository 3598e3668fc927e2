"""What is recorded and has not taken effect, on a page that is loaded again."""

from clearance import ApprovalClient, ApprovalRequest, contract
from tests.conftest import Serve
from tests.raw import decision

from .asking import words
from .conftest import SignedIn
from .pressing import press

ADA, BOB = "ada@example.com", "bob@example.com"
RECORDED = "is recorded; it takes effect when a worker is back."


async def test_a_page_says_what_is_only_recorded_until_a_worker_has_taken_it(
    approvals: ApprovalClient, serve: Serve, signed_in: SignedIn
) -> None:
    request = ApprovalRequest(action="Pay", quorum=2, audience=(ADA, BOB))
    ada, bob = await signed_in(ADA), await signed_in(BOB)
    ada.timeout = bob.timeout = 30
    async with serve():
        asked = await approvals.request(request)
        await approvals.approve(asked.id, reviewer=BOB)  # which no page has to wait for
    path = f"/requests/{asked.id}"
    page = await ada.get(path)
    assert RECORDED not in words(page)

    pressed = await press(ada, page, "approve")
    handle = approvals.temporal.get_workflow_handle(asked.id)
    await handle.signal(contract.SIGNAL_APPROVE, False)
    for said in ("rubbish", {"approved": "<b>"}, decision(request, reviewer="<i>", approved=False)):
        await handle.signal(contract.SIGNAL_DECIDE, said)
    mine, theirs = words(await ada.get(path)), words(await bob.get(path))

    assert words(pressed).count(f"Your approval {RECORDED}") == 1
    assert mine.count(f"Your approval {RECORDED}") == 1
    assert f"An approval by {ADA} {RECORDED}" in theirs
    for page_now in (mine, theirs):
        assert "without a name" not in page_now  # it can't count where an audience is named
        assert f"A rejection by <i> {RECORDED}" in page_now
        assert page_now.count(RECORDED) == 2
        assert f"by {BOB} {RECORDED}" not in page_now
    assert "Decide differently" in mine
    assert "Decide differently" not in theirs

    async with serve():
        await approvals.wait(asked.id)
        assert RECORDED not in words(await ada.get(path))
