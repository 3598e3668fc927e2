"""The form that a request's schema makes: each answer arrives as a value of its kind."""

from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalRequest
from tests.directory import ADA, kinds
from web.pages import answering

from . import shared
from .asking import words
from .conftest import SignedIn
from .pressing import forms, opened, press

inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "colour": {"enum": ["red", "green", 3, None], "description": "Of the car"},
        "doors": {"type": "integer", "minimum": 2},
        "price": {"type": "number"},
        "insured": {"type": "boolean"},
        "plate": {"type": "string", "maxLength": 10},
        "note": {"type": "string", "default": "none"},
        "extras": {"type": "array", "items": {"type": "string"}},
        "owner": {"$ref": "#/$defs/owner"},
        "town": {"enum": ["a", "b", "c", "d", "e", "f", "g"], "default": "c"},
    },
    "required": ["colour", "doors", "insured", "owner"],
    "additionalProperties": False,
    "$defs": {"owner": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
ORDER = ApprovalRequest(action="Order a car", response_schema=SCHEMA)

pytestmark = pytest.mark.usefixtures("worker_running")


async def _keys(approvals: ApprovalClient, id: str) -> dict[str, str]:
    return {one.question.name: one.key for one in answering.asked(await approvals.get(id))}


async def _answered(approvals: ApprovalClient, id: str) -> Any:
    decision = (await approvals.get(id)).decision
    assert decision is not None
    return decision.response


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (
            {"colour": "2", "doors": "3", "insured": "false", "owner": '{"name": "1"}'},
            {
                "colour": 3,
                "doors": 3,
                "insured": False,
                "owner": {"name": "1"},
                "note": "none",
                "town": "c",
            },
        ),
        (
            {
                "colour": "0",
                "doors": " 5 ",
                "insured": "true",
                "owner": "{}",
                "price": "9.5",
                "plate": "1",
                "note": "a\nb",
                "extras": '["x"]',
                "town": "6",
            },
            {
                "colour": "red",
                "doors": 5,
                "insured": True,
                "owner": {},
                "price": 9.5,
                "plate": "1",
                "note": "a\nb",
                "extras": ["x"],
                "town": "g",
            },
        ),
    ],
    ids=["what has to be", "all of it"],
)
async def test_each_answer_is_of_the_kind_that_the_schema_names(
    approvals: ApprovalClient, signed_in: SignedIn, typed: dict[str, str], answer: Any
) -> None:
    asked = await approvals.request(ORDER)
    keys = await _keys(approvals, asked.id)
    client = await signed_in(ADA)

    filled = {keys[name]: value for name, value in typed.items()}
    page = await press(client, await opened(client, asked.id), "approve", **filled)

    assert f"Approved by {ADA}" in words(page)
    found = await _answered(approvals, asked.id)
    assert {name: (value, type(value)) for name, value in found.items()} == {
        name: (value, type(value)) for name, value in answer.items()
    }
    assert "The answer colour" in words(page)


async def test_what_does_not_do_is_told_beside_its_field_and_kept(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(ORDER)
    keys = await _keys(approvals, asked.id)
    client = await signed_in(ADA)
    page = await opened(client, asked.id)

    filled = {keys["doors"]: "3.5", keys["extras"]: "tea", keys["colour"]: "7"}
    refused = await press(client, page, "approve", reason="Mine", **filled)
    fields = forms(refused)["approve"][1]

    assert refused.status_code == 422
    said = words(refused)
    for fault in (
        "3.5 is not a whole number",
        "tea is not a JSON list",
        "Choose red, green or 3",
        "This has to be answered",
    ):
        assert fault in said
    assert (fields[keys["doors"]], fields["reason"]) == ("3.5", "Mine")
    assert (await approvals.get(asked.id)).status == "pending"


async def test_what_the_schema_does_not_allow_is_told_beside_its_field_and_leaves_no_trace(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(ORDER)
    keys = await _keys(approvals, asked.id)
    client = await signed_in(ADA)

    given = {"colour": "1", "doors": "1", "insured": "true", "owner": "{}"}
    filled = {keys[name]: value for name, value in given.items()}
    refused = await press(client, await opened(client, asked.id), "approve", **filled)
    right = await press(client, refused, "approve", **{keys["doors"]: "2"})

    assert refused.status_code == 422
    assert "Must be at least 2" in words(refused)
    assert 'aria-invalid="true"' in refused.text
    assert "a whole number, at least 2" in words(refused)
    assert "refused" not in kinds(await approvals.get(asked.id))
    assert f"Approved by {ADA}" in words(right)
    assert (await _answered(approvals, asked.id))["colour"] == "green"


@pytest.mark.parametrize(
    ("schema", "typed", "answer"),
    [
        ({"type": "string"}, "1", "1"),
        ({"type": "integer"}, "-3", -3),
        ({"type": "boolean"}, "false", False),
        ({"enum": ["yes", "no"]}, "1", "no"),
        ({"type": "array"}, "[]", []),
        ({}, "x", "x"),
        ({}, '{"a": 1}', {"a": 1}),
    ],
)
async def test_a_request_that_asks_for_one_value_is_answered_with_it(
    approvals: ApprovalClient, signed_in: SignedIn, schema: dict[str, Any], typed: str, answer: Any
) -> None:
    asked = await approvals.request(ApprovalRequest(action="Ask", response_schema=schema))
    [key] = (await _keys(approvals, asked.id)).values()
    client = await signed_in(ADA)
    page = await opened(client, asked.id)

    empty = await press(client, page, "approve")
    done = await press(client, page, "approve", **{key: typed})

    assert empty.status_code == 422
    assert f"Approved by {ADA}" in words(done)
    assert await _answered(approvals, asked.id) == answer


async def test_only_the_last_stage_is_asked_and_a_rejection_answers_nothing(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    stages = [{"name": one, "audience": [ADA]} for one in ("manager", "director")]
    asked = await approvals.request(
        ApprovalRequest.model_validate(
            {"action": "Order", "response_schema": {"type": "boolean"}, "stages": stages}
        )
    )
    other = await approvals.request(ORDER)
    client = await signed_in(ADA)

    first = await opened(client, asked.id)
    second = await press(client, first, "approve")
    [key] = (await _keys(approvals, asked.id)).values()
    done = await press(client, second, "approve", **{key: "true"})
    rejected = await press(client, await opened(client, other.id), "reject", reason="Not now")

    assert not any(name.startswith("answer-") for name in forms(first)["approve"][1])
    assert f"Approved by {ADA}" in words(done)
    assert await _answered(approvals, asked.id) is True
    assert f"Rejected by {ADA}" in words(rejected)


async def test_a_schema_of_any_shape_makes_a_page(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    client = await signed_in(ADA)
    shapes: list[dict[str, Any]] = [
        {"type": "object", "properties": {"<b>": {"enum": ["</label><script>x</script>"]}}},
        {"type": "object", "properties": {"": {}, "a\u202eb": {"type": ["integer", "null"]}}},
        {"type": "object", "properties": {f"q{n}": {"type": "string"} for n in range(300)}},
        {"anyOf": [{"const": 1}, {"const": "1"}]},
    ]
    for schema in shapes:
        asked = await approvals.request(ApprovalRequest(action="Ask", response_schema=schema))
        page = await opened(client, asked.id)
        assert "<script>x" not in page.text
        assert "\u202e" not in page.text
