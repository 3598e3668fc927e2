"""What a request asks to be answered, read from its JSON Schema."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from clearance import ApprovalRequest, ApprovalView
from clearance.answers import Question, questions
from clearance.models import Recorded
from clearance.render import sections

START = datetime(2026, 11, 21, 10, tzinfo=UTC)


class Colour(Enum):
    """As pydantic writes them: by reference."""

    RED = "red"
    GREEN = "green"


class Part(BaseModel):
    """An object inside another."""

    count: int


class Order(BaseModel):
    """One property of every kind."""

    colour: Colour = Field(description="Of the car")
    size: Literal["S", "M"] = "M"
    doors: Literal[3, 5]
    amount: int = Field(title="How many")
    price: float
    insured: bool
    note: str = ""
    until: str | None = None
    shade: Colour = Field(Colour.RED, description="Of the seats")
    parts: list[Part] = []
    first: Part
    either: int | str


def test_every_kind_of_a_pydantic_model_is_a_question() -> None:
    asked = {one.name: one for one in questions(Order.model_json_schema())}

    assert asked["colour"] == Question("colour", "Of the car", "choice", ("red", "green"))
    assert asked["size"] == Question("size", "", "choice", ("S", "M"), False, "M")
    assert (asked["doors"].choices, asked["doors"].wanted) == ((3, 5), "3 or 5")
    assert asked["amount"] == Question("amount", "How many", "integer")
    assert asked["price"].wanted == "a number"
    assert asked["insured"].wanted == "yes or no"
    assert (asked["note"].kind, asked["note"].default) == ("text", "")
    assert asked["until"] == Question("until", "", "text", (), False, None)
    assert (asked["shade"].words, asked["shade"].default) == ("Of the seats", "red")
    assert (asked["parts"].kind, asked["first"].kind) == ("list", "object")
    assert asked["either"].kind == "any"


def test_a_schema_of_one_value_is_one_question_without_a_name() -> None:
    assert questions({"type": "integer", "title": "How many?"}) == [
        Question("", "How many?", "integer")
    ]
    [one] = questions({"enum": ["a", None, 3]})
    assert (one.kind, one.wanted) == ("choice", "a or 3")
    [titled] = questions({"oneOf": [{"const": "x"}, {"const": "y"}, {"type": "null"}]})
    assert titled.choices == ("x", "y")


def test_many_choices_are_counted() -> None:
    [one] = questions({"enum": list(range(60))})

    assert one.wanted.endswith("48, 49 or one of 10 more")


SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("properties", "required", "$ref", "$defs", "anyOf", "oneOf", "allOf", "enum"),
                    *("const", "type", "title", "description", "default", "a"),
                ]
            ),
            inner | st.sampled_from(["#", "#/$defs/a", "#/properties/a", "string", "object"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["properties", "$ref", "anyOf", "$defs"]), SCHEMAS))
def test_no_schema_is_too_odd_to_be_read(schema: dict[str, Any]) -> None:
    for one in questions(schema):
        assert one.wanted
        assert "\n" not in one.words + one.wanted


def test_references_in_a_circle_end() -> None:
    circle: dict[str, Any] = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    }

    assert [one.kind for one in questions(circle)] == ["any"]


def test_of_the_largest_schema_a_bounded_part_is_told() -> None:
    big = {f"p{n}": {"$ref": "#/$defs/a"} for n in range(900)}
    schema: dict[str, Any] = {
        "properties": big,
        "$defs": {"a": {"enum": [f"choice {n}" for n in range(2_000)]}},
    }
    request = ApprovalRequest(action="x", response_schema=schema)

    [(title, rows)] = sections(_view(request))

    assert title == "To be answered"
    assert len(rows) == 21
    assert rows[-1] == ("", "and more: the schema in the request has all")


def _view(request: ApprovalRequest, **said: Any) -> ApprovalView:
    base: dict[str, Any] = {"id": "a.1", "status": "pending", "request": request}
    base |= {"digest": request.digest, "requested_at": START, "deadline": None}
    return ApprovalView(**{**base, **said})


def test_what_has_to_be_answered_is_told_while_it_waits_and_the_answer_afterwards() -> None:
    request = ApprovalRequest(action="x", response_schema=Order.model_json_schema())
    answer = {"colour": "red", "note": "two\nlines", "amount": 3}
    decision = Recorded(
        approved=True,
        reviewer="ada",
        channel="cli",
        digest=request.digest,
        at=START,
        response=answer,
    )

    [(waiting, asked)] = sections(_view(request))
    [(after, given)] = sections(_view(request, status="approved", decision=decision))

    assert waiting == "To be answered"
    assert asked[:4] == [
        ("colour", "Of the car (red or green)"),
        ("size", "S or M; else M"),
        ("doors", "3 or 5"),
        ("amount", "How many (a whole number)"),
    ]
    assert ("until", "text, or nothing") in asked
    assert (after, given) == (
        "Answer",
        [("colour", '"red"'), ("note", "two\nlines"), ("amount", "3")],
    )


@pytest.mark.parametrize(("answer", "shown"), [(3, "3"), ("red", '"red"'), (False, "false")])
def test_an_answer_of_one_value_stands_alone(answer: Any, shown: str) -> None:
    request = ApprovalRequest(action="x", response_schema={"title": "How\nmany?"})
    decision = Recorded(
        approved=True,
        reviewer="ada",
        channel="cli",
        digest=request.digest,
        at=START,
        response=answer,
    )

    assert sections(_view(request)) == [
        ("To be answered", [("The answer", "How many? (JSON, or text)")])
    ]
    assert sections(_view(request, status="approved", decision=decision)) == [
        ("Answer", [("", shown)])
    ]
