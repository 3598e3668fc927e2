"""``clearance approve`` with a phrase to type, or of further calls too."""

import pytest

from clearance import ApprovalClient, ApprovalRequest

from .conftest import Shell, only_line
from .test_changes import PAY, untouched

SELL = ApprovalRequest(
    action="Sell", tool="trade", arguments={"symbol": "A$(touch x)"}, confirm_phrase="{symbol}"
)


async def test_a_phrase_is_asked_for_on_a_terminal(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(SELL)
    async with cli.terminal("approve", asked.id) as terminal:
        assert "Type A$(touch x)" in await terminal.shows("to confirm: ")
        terminal.types("A$(touch x)")
        ended = await terminal.ends()

    assert ended.code == 0
    assert f"{asked.id} is approved." in ended.out


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("", 2, "nothing was typed, and nothing was sent"),
        ("A$(touch y)", 1, "type 'A$(touch x)' to confirm"),
    ],
)
async def test_another_phrase_approves_nothing(
    cli: Shell,
    approvals: ApprovalClient,
    worker_running: object,
    typed: str,
    code: int,
    says: str,
) -> None:
    asked = await approvals.request(SELL)
    async with cli.terminal("approve", asked.id) as terminal:
        await terminal.shows("to confirm: ")
        terminal.types(typed)
        ended = await terminal.ends()

    assert ended.code == code
    assert says in ended.out
    assert (await approvals.get(asked.id)).status == "pending"


async def test_ctrl_c_at_the_phrase_leaves_the_request_as_it_is(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(SELL)
    async with cli.terminal("approve", asked.id) as terminal:
        await terminal.shows("to confirm: ")
        terminal.interrupts()
        ended = await terminal.ends()

    assert ended.code == 130
    assert await untouched(approvals, asked.id)


async def test_without_a_terminal_the_phrase_is_a_flag(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(SELL)

    said = only_line(await cli.inside("approve", asked.id), 2)
    assert "add --confirm 'A$(touch x)'" in said  # quoted, so that nobody runs it by pasting it
    assert await untouched(approvals, asked.id)
    wrong = only_line(await cli.inside("approve", asked.id, "--confirm", "A"), 1)
    assert "type 'A$(touch x)' to confirm" in wrong
    done = await cli.inside("approve", asked.id, "--confirm", "A$(touch x)")
    assert (done.code, done.err) == (0, "")


async def test_the_phrase_that_is_asked_for_is_that_of_the_changed_arguments(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(SELL.model_copy(update={"editable": True}))

    said = await cli.inside("approve", asked.id, "--set", "symbol=MSFT")

    assert said.code == 2
    assert said.err.splitlines()[-1].endswith("add --confirm MSFT")


async def test_further_calls_are_approved_with_the_terms_that_are_told(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(PAY)

    said = await cli.inside(
        *("approve", asked.id, "--grant", "args.amount <= 100", "--uses", "3", "--for", "2h")
    )

    assert said.code == 0, said.err
    assert said.out == (
        f"{asked.id} is approved. So are up to 3 further calls like it for 2 h, "
        f"if args.amount <= 100: `clearance revoke {asked.id}` ends that.\n"
    )
    granted = (await approvals.wait(asked.id)).grant
    assert granted is not None
    assert (granted.max_uses, granted.expires_in.total_seconds()) == (3, 7_200)


async def test_a_condition_that_does_not_hold_grants_and_approves_nothing(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(PAY)

    said = only_line(await cli.inside("approve", asked.id, "--grant", "args.amount < 100"), 1)

    assert "doesn't hold for this very call" in said
    assert (await approvals.get(asked.id)).status == "pending"
