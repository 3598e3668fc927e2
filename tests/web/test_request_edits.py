"""Changing arguments on a request's page: the difference first, then the approval of exactly that."""

import json
from html import unescape
from typing import Any

import httpx
import pytest
from agents import Agent, function_tool
from pydantic import BaseModel

from clearance import ApprovalClient, ApprovalRequest
from cli.settings import Settings
from tests.agent_runs import Start
from tests.directory import ADA, BOB, CLEO, kinds
from tests.gating import ACTIVITIES, effect, effects, own
from tests.support import call, eventually
from web.pages import editing

from .asking import words
from .conftest import SignedIn
from .pressing import forms, opened, press

PAY = ApprovalRequest(
    action="Pay 100 to Ada",
    tool="pay",
    arguments={
        "to": "Ada",
        "cents": 100,
        "rate": 1.0,
        "urgent": False,
        "note": "first line\nsecond line\n",
        "parts": {"a": [1, "1"]},
        "copies": ["kim@example.com", "lee@example.com"],
        "odd": "x\x1by",
        "password": "hunter2!",
    },
    editable=True,
    description_template="Pay {cents} to {to}",
)

with_a_worker = pytest.mark.usefixtures("worker_running")


class Line(BaseModel):
    item: str
    count: int


@function_tool
async def order(lines: list[Line], note: str, gift: bool, token: str) -> str:
    given: Any = [one.model_dump() for one in lines]
    return await effect("order", lines=given, note=note, gift=gift, token=token)


AGENTS = {"buyer": lambda: Agent(name="buyer", tools=[order])}

__all__ = ["ACTIVITIES"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return own(
        settings,
        __name__,
        """
        default = "gate"
        [[checkpoint]]
        checkpoint_id = "orders"
        action_pattern = "^order$"
        editable = true
        """,
    )


def _key(request: ApprovalRequest, name: str) -> str:
    return editing._field(name, request.arguments[name]).key


async def _preview(
    client: httpx.AsyncClient, id: str, request: ApprovalRequest = PAY, **changes: str
) -> httpx.Response:
    filled = {_key(request, name): value for name, value in changes.items()}
    return await press(client, await opened(client, id), "edit", **filled)


@with_a_worker
async def test_the_difference_is_shown_first_and_then_exactly_that_is_approved(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)

    shown = await _preview(
        client,
        asked.id,
        cents="80",
        rate="1.5",
        urgent="true",
        note="first line\nanother line\n",
        parts='{"a": [1, 1]}',
        copies="kim@example.com\n\n max@example.com ",
    )
    before = await approvals.get(asked.id)
    done = await press(client, shown, "approve", reason="Less")

    assert shown.status_code == 200
    for said in (
        "cents before: 100 → now: 80",
        "urgent before: false → now: true",
        "removed: -second line",
        "added: +another line",
        'parts before: {"a": [1, "1"]} → now: {"a": [1, 1]}',
        "It will read: Pay 80 to Ada",
    ):
        assert said in words(shown), said
    assert before.status == "pending"
    assert "Approved with changes" in words(done)
    view = await approvals.get(asked.id)
    assert view.edit is not None
    assert view.edit.arguments == {
        "to": "Ada",
        "cents": 80,
        "rate": 1.5,
        "urgent": True,
        "note": "first line\nanother line\n",
        "parts": {"a": [1, 1]},
        "copies": ["kim@example.com", "max@example.com"],
        "odd": "x\x1by",
        "password": "[masked]",
    }
    assert view.current.action == "Pay 80 to Ada"
    assert kinds(view) == ["created", "viewed", "edited", "approved"]


@with_a_worker
async def test_what_nobody_touched_stays_what_it_was_to_the_last_character(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(
        PAY.model_copy(
            update={
                "arguments": {
                    "crlf": "a\r\nb\nc",
                    "tab": "\ta ",
                    "newline": "\n\nx",
                    "big": 12345678901234567890,
                    "small": 1e-7,
                    "digits": "1",
                    "none": None,
                    "empty": "",
                    "deep": [{"a": 1.0}, []],
                    "html": "</textarea><b>&amp;",
                    "": "no name",
                    "x": 1,
                },
                "description_template": None,
            }
        )
    )
    client = await signed_in(ADA)
    request = (await approvals.get(asked.id)).request

    untouched = await _preview(client, asked.id, request)
    shown = await _preview(client, asked.id, request, x="2")
    await press(client, shown, "approve")

    assert untouched.status_code == 422
    assert "Nothing was changed" in words(untouched)
    view = await approvals.get(asked.id)
    assert view.edit is not None
    assert json.dumps(view.edit.arguments) == json.dumps({**request.arguments, "x": 2})


@with_a_worker
async def test_what_is_none_of_its_kind_is_told_beside_its_field_and_kept(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)

    refused = await _preview(
        client, asked.id, cents="eighty", rate="true", parts='{"a": [1', to="Kim"
    )

    assert refused.status_code == 422
    fields = forms(refused)["edit"][1]
    assert fields[_key(PAY, "cents")] == "eighty"
    assert fields[_key(PAY, "parts")] == '{"a": [1'
    assert fields[_key(PAY, "to")] == "Kim"
    said = words(refused)
    assert "eighty is not a number" in said
    assert "true is not a number" in said
    assert "this is no JSON" in said
    for typed in ("NaN", "1e999", "1,5", "", "9" * 5_000):
        assert (await _preview(client, asked.id, cents=typed)).status_code == 422, typed
    for typed in ('{"a": 1, "a": 2}', "[" * 100_000, '{"a": Infinity}'):
        assert (await _preview(client, asked.id, parts=typed)).status_code == 422, typed
    assert kinds(await approvals.get(asked.id)) == ["created", "viewed"]


@with_a_worker
async def test_a_secret_has_no_field_and_none_comes_in(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)

    page = await opened(client, asked.id)
    refused = await _preview(client, asked.id, parts='{"api_key": "sk-1"}')

    assert _key(PAY, "password") not in forms(page)["edit"][1]
    assert "hunter2!" not in page.text
    assert refused.status_code == 403
    assert "leave secrets out" in words(refused)


@with_a_worker
async def test_only_what_may_be_changed_has_a_field(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    some = await approvals.request(PAY.model_copy(update={"editable": ("cents", "gone")}))
    none = await approvals.request(PAY.model_copy(update={"editable": False}))
    client = await signed_in(ADA)

    fields = forms(await opened(client, some.id))["edit"][1]

    assert [name for name in fields if name.startswith("arg-")] == [_key(PAY, "cents")]
    assert "edit" not in forms(await opened(client, none.id))


@with_a_worker
async def test_what_is_approved_is_what_was_shown_and_nothing_else(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)
    shown = await _preview(client, asked.id, cents="80")
    given = json.loads(unescape(forms(shown)["approve"][1]["arguments"]))

    other = await press(client, shown, "approve", arguments=json.dumps({**given, "cents": 8_000}))

    assert other.status_code == 409
    assert (await approvals.get(asked.id)).status == "pending"


@with_a_worker
async def test_who_changes_may_not_approve_where_others_have_to(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"audience": (ADA, BOB, CLEO)}))
    ada, bob = await signed_in(ADA), await signed_in(BOB)

    mine = await press(ada, await _preview(ada, asked.id, cents="80"), "approve")
    theirs = await press(bob, await opened(bob, asked.id), "approve")

    assert "Your changes are in, but you may not approve them yourself" in words(mine)
    assert "You changed the arguments: somebody else has to approve them" in words(mine)
    assert "approve" not in forms(mine)
    assert f"Changed by {ADA} cents before: 100 → now: 80" in words(mine)
    assert f"Approved with changes by {BOB}" in words(theirs)


@with_a_worker
async def test_changes_made_to_what_others_changed_meanwhile_are_kept_and_not_merged(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"audience": (ADA, BOB, CLEO)}))
    client = await signed_in(ADA)
    page = await opened(client, asked.id)
    shown = await _preview(client, asked.id, cents="70")
    await approvals.approve(asked.id, reviewer=BOB, changes={"cents": 80})

    late = await press(client, page, "edit", **{_key(PAY, "cents"): "60"})
    later = await press(client, shown, "approve")

    assert (late.status_code, later.status_code) == (409, 409)
    assert forms(late)["edit"][1][_key(PAY, "cents")] == "60"
    assert forms(later)["edit"][1][_key(PAY, "cents")] == "70"
    assert (await approvals.get(asked.id)).current.arguments["cents"] == 80


@with_a_worker
async def test_the_phrase_is_that_of_the_changed_arguments(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"confirm_phrase": "pay {cents}"}))
    client = await signed_in(ADA)
    shown = await _preview(client, asked.id, cents="80")

    old = await press(client, shown, "approve", confirmation="pay 100")
    new = await press(client, old, "approve", confirmation="pay 80")

    assert "Type pay 80 to confirm" in words(shown)
    assert old.status_code == 422
    assert "cents before: 100 → now: 80" in words(old)
    assert f"Approved with changes by {ADA}" in words(new)


@with_a_worker
async def test_the_gate_refuses_what_the_schema_does_not_allow_and_the_changes_stay(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    schema = {"properties": {"cents": {"type": "integer", "maximum": 100}}}
    asked = await approvals.request(PAY.model_copy(update={"arguments_schema": schema}))
    client = await signed_in(ADA)

    refused = await press(client, await _preview(client, asked.id, cents="101"), "approve")

    assert refused.status_code == 403
    assert "cents" in words(refused)
    assert "cents before: 100 → now: 101" in words(refused)
    assert forms(refused)["edit"][1][_key(PAY, "cents")] == "101"


async def test_the_tool_of_an_agent_gets_exactly_the_changes_and_the_page_says_that_it_ran(
    play: Start, approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    given = {
        "lines": [{"item": "tea", "count": 1}],
        "note": "1",
        "gift": False,
        "token": "tok-123456",
    }
    async with play([call("order", json.dumps(given))], agent="buyer") as (run, _):
        [waiting] = await run.waits_for()
        client = await signed_in(ADA)
        request = (await approvals.get(waiting.id)).request
        shown = await _preview(
            client,
            waiting.id,
            request,
            lines='[{"item": "tea", "count": 2}]',
            note="01",
            gift="true",
        )
        await press(client, shown, "approve")
        await run.result()

        async def told() -> bool:
            return "order has run" in words(await opened(client, waiting.id))

        await eventually(told)
        page = await opened(client, waiting.id)

    [(tool, arguments)] = effects(run)
    assert (tool, arguments) == (
        "order",
        {**given, "lines": [{"item": "tea", "count": 2}], "note": "01", "gift": True},
    )
    assert f'href="/runs/{run.handle.id}"' in page.text
    assert "executed" in words(page)
