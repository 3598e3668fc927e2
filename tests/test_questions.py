"""More than yes or no: an agent asks, a person answers in a known form, and a tool gets the value."""

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from agents import Agent, function_tool
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel, Field, JsonValue, ValidationError, field_validator
from temporalio.client import WorkflowUpdateFailedError

from clearance import ApprovalClient, ApprovalRequest
from clearance.models import Decision
from cli.settings import Settings
from policy.match import Rules
from policy.model import Policy
from tools import inventory, registry
from tools.confirmation import wait_for_confirmation
from tools.examine import answer_error, examine
from tools.gate import response
from tools.questions import asks_itself, question

from .agent_runs import Start, played_by_one, told
from .gating import ACTIVITIES, effect, effects, own
from .office import ADA, decide
from .support import call

POLICY = """
    default = "gate"

    [[checkpoint]]
    checkpoint_id = "colours"
    action_pattern = "^ask_(colour|length)$"
    risk = "low"
    audience = ["ada@example.com"]

    [[checkpoint]]
    checkpoint_id = "seats"
    action_pattern = "^book$"
    response_schema = { required = ["seat"], properties = { seat = { enum = ["aisle", "window"] } } }

    [[checkpoint]]
    checkpoint_id = "pairs"
    action_pattern = "^ask_two$"
    audience = ["ada@example.com", "grace@example.com"]
    quorum = 2
"""


class Colour(BaseModel):
    colour: Literal["red", "green"] = Field(description="Of the fence.")
    coats: int = Field(default=1, ge=1)


class Length(BaseModel):
    metres: int

    @field_validator("metres")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("odd")
        return value


class Seat(BaseModel):
    seat: str


@function_tool
async def book(flight: str) -> str:
    seat = response(Seat).seat
    assert response() == {"seat": seat}
    return await effect("book", flight=flight, seat=seat)


@function_tool
async def look() -> str:
    with pytest.raises(ValidationError):
        response(Seat)
    return f"answered {response()}"


TOOLS = [
    question("ask_colour", Colour, "Ask which colour to paint it."),
    question("ask_length", Length, "Ask how long it is."),
    question("ask_two", Colour, "Ask two people."),
    question("ask_grace", Colour, "Ask Grace.", audience=["grace@example.com"]),
]

AGENTS = {"painter": lambda: Agent(name="painter", tools=[*TOOLS, book, look])}

__all__ = ["ACTIVITIES"]


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return own(lasting, __name__, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


def ask(tool: str = "ask_colour", call_id: str = "call_1", **more: str) -> ResponseFunctionToolCall:
    return call(tool, json.dumps({"question": "Which colour?", **more}), call_id)


async def test_an_answer_reaches_the_agent_as_the_model_it_asked_for(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([ask(details="The fence.")], agent="painter") as (run, model):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert (request.action, request.details) == ("Which colour?", "The fence.")
        assert (request.checkpoint, request.risk, request.audience) == ("colours", "low", (ADA,))
        assert request.response_schema == Colour.model_json_schema()
        await decide(approvals, waiting.id, response={"colour": "green"})
        await run.result()
    assert json.loads(told(model)["call_1"]) == {"colour": "green", "coats": 1}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"colour": "blue"}, "the answer doesn't fit what was asked: colour: must be one of"),
        ({"colour": "red", "coats": 0}, "coats: must be at least 1"),
        ("red", "must be object"),
        (None, ""),
    ],
)
async def test_an_answer_that_was_not_asked_for_does_not_count(
    play: Start, approvals: ApprovalClient, answer: JsonValue, why: str
) -> None:
    async with play([ask()], agent="painter") as (run, model):
        [waiting] = await run.waits_for()
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await decide(approvals, waiting.id, response=answer)
        assert why in str(refused.value.cause)
        assert (await approvals.get(waiting.id)).status == "pending"
        await approvals.reject(waiting.id, reviewer=ADA, reason="Your choice")
        await run.result()
    assert told(model) == {"call_1": "Rejected: Your choice"}


async def test_an_answer_that_only_the_model_itself_refuses_is_asked_for_anew(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([ask("ask_length")], agent="painter") as (run, model):
        [waiting] = await run.waits_for()
        await decide(approvals, waiting.id, response={"metres": 3})
        await run.result()
    assert told(model) == {
        "call_1": "The answer can't be taken: metres: odd. Call ask_length again to ask anew."
    }


async def test_the_tool_names_who_answers_where_the_policy_does_not(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([ask("ask_grace")], agent="painter") as (run, _):
        [waiting] = await run.waits_for()
        assert waiting.audience == ("grace@example.com",)
        await approvals.reject(waiting.id, reviewer="grace@example.com")
        await run.result()


async def test_terms_that_take_no_answer_are_told_as_not_to_be_helped(play: Start) -> None:
    async with play([ask("ask_two")], agent="painter") as (run, model):
        await run.result()
    assert told(model)["call_1"] == (
        "Nothing was asked and nothing ran: response_schema: one person answers, so the quorum is 1."
        " Calling again doesn't help: somebody has to change the policy, or somebody else has to ask."
    )


async def test_a_gated_tool_reads_the_answer_that_its_checkpoint_asks_for(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [[call("book", '{"flight": "LH1"}')], [call("look", "{}", "call_2")]]
    async with play(*turns, agent="painter") as (run, model):
        [waiting] = await run.waits_for()
        assert not (await approvals.get(waiting.id)).request.grantable
        await decide(approvals, waiting.id, response={"seat": "aisle"})
        [looking] = await run.waits_for()
        await decide(approvals, looking.id)
        await run.result()
    assert effects(run) == [("book", {"flight": "LH1", "seat": "aisle"})]
    assert told(model)["call_2"] == "answered None"


def test_outside_a_call_there_is_no_answer() -> None:
    with pytest.raises(LookupError):
        response()


def test_a_question_is_known_as_a_tool_that_asks_by_itself() -> None:
    assert all(map(asks_itself, TOOLS))
    assert asks_itself(wait_for_confirmation)
    assert not asks_itself(book)
    registry.load([__name__])
    seen = {one.tool: one.asks for one in inventory.tools(Rules(Policy()))}
    assert seen == {
        **dict.fromkeys((one.name for one in TOOLS), True),
        "book": False,
        "look": False,
    }


def test_a_question_whose_answer_nobody_could_check_is_refused_when_it_is_made() -> None:
    class Odd(BaseModel):
        name: str = Field(json_schema_extra={"pattern": "(?=a)"})

    with pytest.raises(
        ValueError, match="ask: no answer could be checked against Odd: its pattern"
    ):
        question("ask", Odd, "Ask.")


@pytest.mark.parametrize(
    ("schema", "answer", "why"),
    [
        ({"type": "integer"}, 5, None),
        ({"type": "integer"}, "5", "must be integer"),
        ({"enum": ["yes", "no"]}, "maybe", 'must be one of ["yes", "no"]'),
        (
            {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"minimum": 3}}},
            [2],
            "0:",
        ),
        ({"$ref": "#/none"}, 5, "the schema can't be applied"),
        (None, 5, "this request asks for no answer"),
    ],
)
def test_an_answer_is_of_any_kind_that_json_schema_knows(
    schema: Any, answer: JsonValue, why: str | None
) -> None:
    request = ApprovalRequest(action="-", response_schema=schema)
    said = answer_error(request, answer)
    assert said is None if why is None else said is not None and why in said
    decision = Decision.model_validate(
        {
            "approved": True,
            "reviewer": ADA,
            "digest": request.digest,
            "response": answer,
            "decision_id": "one",
            "decided_at": "2026-11-21T12:00:00Z",
        }
    )
    assert examine(request, decision) == said
