"""``clearance approve`` of a request that asks for more than a yes."""

import json
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from clearance import ApprovalClient, ApprovalRequest
from clearance.answers import Question
from cli.answering import read

from .conftest import Shell, only_line


class Colour(Enum):
    """A choice by reference."""

    RED = "red"
    GREEN = "green"


class Order(BaseModel):
    """What has to be answered."""

    colour: Colour = Field(description="Of the car")
    doors: int = Field(ge=2)
    note: str = "none"
    insured: bool | None = None


_ORDER = ApprovalRequest(action="Order a car", response_schema=Order.model_json_schema())


async def _answered(approvals: ApprovalClient, id: str) -> Any:
    return (await approvals.wait(id)).response


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        (["colour=red", "doors=3"], {"colour": "red", "doors": 3, "note": "none"}),
        (["colour=GREEN", "doors=5", "note=5"], {"colour": "green", "doors": 5, "note": "5"}),
        (["colour=red", "doors=2", "note=a=b"], {"colour": "red", "doors": 2, "note": "a=b"}),
        (["colour=red", "doors=2", "note="], {"colour": "red", "doors": 2, "note": ""}),
        (
            ["insured=no", "colour=red", "doors=2"],
            {"insured": False, "colour": "red", "doors": 2, "note": "none"},
        ),
        (['{"colour": "red", "doors": 4}'], {"colour": "red", "doors": 4}),
    ],
    ids=" ".join,
)
async def test_an_answer_is_typed_as_the_schema_has_it(
    cli: Shell,
    approvals: ApprovalClient,
    worker_running: object,
    flags: list[str],
    answer: dict[str, Any],
) -> None:
    asked = await approvals.request(_ORDER)

    words = [word for one in flags for word in ("--answer", one)]
    said = await cli.inside("approve", asked.id, *words)

    assert (said.code, said.err, said.out) == (0, "", f"{asked.id} is approved.\n")
    assert await _answered(approvals, asked.id) == answer


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (
            [],
            2,
            "this has to be answered: add --answer colour=... (red or green) "
            "--answer doors=... (a whole number)",
        ),
        (["colour=red"], 2, "add --answer doors=... (a whole number)"),
        (["colour=blue", "doors=3"], 2, "--answer: colour: blue is not red or green"),
        (["colour=red", "doors=3.5"], 2, "--answer: doors: 3.5 is not a whole number"),
        (["colour=red", "doors=true"], 2, "--answer: doors: true is not a whole number"),
        (["colour=red", "doors=1"], 1, "doors"),  # the gate's own judgement
        (["color=red", "doors=3"], 2, "color is not asked for, only colour, doors, note, insured"),
        (["colour=red", "colour=green", "doors=3"], 2, "colour is there twice"),
        (["colour"], 2, "write NAME=VALUE, or JSON"),
        (["{", "doors=3"], 2, "either the whole as JSON, once, or NAME=VALUE for each"),
        (["{"], 2, "--answer: not JSON"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_an_answer_that_does_not_do_is_told_and_leaves_the_gate_shut(
    cli: Shell,
    approvals: ApprovalClient,
    worker_running: object,
    flags: list[str],
    code: int,
    says: str,
) -> None:
    asked = await approvals.request(_ORDER)

    words = [word for one in flags for word in ("--answer", one)]
    said = await cli.inside("approve", asked.id, *words)

    assert says in only_line(said, code)
    assert (await approvals.get(asked.id)).status == "pending"


async def test_a_request_that_asks_for_one_value_is_answered_with_it(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    schemas: dict[str, dict[str, Any]] = {"{x}": {"type": "string"}, "3": {"type": "integer"}}
    for typed, schema in schemas.items():
        asked = await approvals.request(ApprovalRequest(action="Ask", response_schema=schema))
        missing = only_line(await cli.inside("approve", asked.id), 2)
        assert "this has to be answered: add --answer ... (" in missing
        assert "say it once" in only_line(
            await cli.inside("approve", asked.id, "--answer", typed, "--answer", typed), 2
        )
        assert (await cli.inside("approve", asked.id, "--answer", typed)).code == 0
        assert str(await _answered(approvals, asked.id)) == typed


async def test_what_asks_for_nothing_takes_no_answer_and_a_rejection_needs_none(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    plain = await approvals.request("Deploy")
    asked = await approvals.request(_ORDER)

    said = only_line(await cli.inside("approve", plain.id, "--answer", "colour=red"), 2)

    assert "asks for no answer: leave --answer out" in said
    assert (await cli.inside("reject", asked.id)).code == 0


async def test_at_a_terminal_the_answers_are_asked_for_one_by_one(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_ORDER)

    async with cli.terminal("approve", asked.id) as terminal:
        shown = await terminal.shows(r"\(1 to 2\): ")
        assert "colour: Of the car" in shown
        assert "  1 red\r\n  2 green\r\n" in shown
        terminal.types("2")
        await terminal.shows(r"doors\r\n\(a whole number\): ")
        terminal.types("")
        await terminal.shows(r"\(a whole number\): ")
        terminal.types("four")
        await terminal.shows(r"four is not a whole number\r\n\(a whole number\): ")
        terminal.types("4")
        await terminal.shows(r"note\r\n\(text; Enter for none\): ")
        terminal.types("")
        await terminal.shows(r"insured\r\n\(yes or no; Enter for nothing\): ")
        terminal.types("")
        ended = await terminal.ends()

    assert ended.code == 0
    assert f"{asked.id} is approved." in ended.out
    assert await _answered(approvals, asked.id) == {"colour": "green", "doors": 4, "note": "none"}


async def test_what_is_given_is_not_asked_for_again_and_ctrl_d_sends_nothing(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_ORDER)

    async with cli.terminal("approve", asked.id, "--answer", "colour=red") as terminal:
        assert "Of the car" not in await terminal.shows("a whole number")
        terminal.keys("\x04")
        ended = await terminal.ends()

    assert ended.code == 2
    assert "nothing was typed, and nothing was sent" in ended.out
    assert (await approvals.get(asked.id)).status == "pending"


async def test_only_the_last_stage_is_asked_for_the_answer(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(
        ApprovalRequest.model_validate(
            {
                "action": "Order a car",
                "response_schema": {"type": "boolean"},
                "stages": [
                    {"name": "manager", "audience": ["ada@example.com"]},
                    {"name": "director", "audience": ["ada@example.com"]},
                ],
            }
        )
    )

    first = await cli.inside("approve", asked.id)
    second = only_line(await cli.inside("approve", asked.id), 2)
    third = await cli.inside("approve", asked.id, "--answer", "yes")

    assert first.out.endswith("The stage “manager” is done; “director” is asked now.\n")
    assert "this has to be answered: add --answer ... (yes or no)" in second
    assert third.out == f"{asked.id} is approved.\n"
    assert await _answered(approvals, asked.id) is True


async def test_a_waiting_script_gets_the_answer_on_a_line_of_its_own(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    (cli.folder / "order.json").write_text(json.dumps(Order.model_json_schema()))
    flags = ("--response-schema", "@order.json", "--wait")

    async with cli.start("request", "Order a car", *flags) as running:
        id = (await running.says(r"clearance approve (\S+)"))[1]
        await approvals.approve(
            id, reviewer="ada", response={"colour": "red", "doors": 3, "note": "é\n"}
        )
        ended = await running.ends()

    status, answer = ended.out.splitlines()
    assert (ended.code, status) == (0, f"{id} is approved")
    assert answer.isascii()
    assert json.loads(answer) == {"colour": "red", "doors": 3, "note": "é\n"}


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("text", "3", "3"),
        ("text", "", ""),
        ("integer", "-3", -3),
        ("number", "3", 3),
        ("number", "3.5e2", 350.0),
        ("boolean", "Y", True),
        ("boolean", "false", False),
        ("list", "[1]", [1]),
        ("object", '{"a": 1}', {"a": 1}),
        ("any", "true", True),
        ("any", "{", "{"),
    ],
)
def test_what_is_typed_becomes_a_value_of_its_kind(kind: Any, typed: str, value: Any) -> None:
    got = read(Question("x", "", kind), typed)

    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        *(("integer", one) for one in ("", "3.0", "true", "one", '"3"', "9" * 5_000, "null")),
        *(("number", one) for one in ("", "NaN", "1e999", "-Infinity", "false", "1,5")),
        *(("boolean", one) for one in ("", "1", "maybe")),
        *(("list", one) for one in ("{}", "1", "a")),
        *(("object", one) for one in ("[]", '{"a": 1, "a": 2}')),
        *(("any", one) for one in ("1e999",)),
    ],
)
def test_what_is_none_of_its_kind_is_refused(kind: Any, typed: str) -> None:
    with pytest.raises(ValueError, match=" is not "):
        read(Question("x", "", kind), typed)


def test_a_choice_is_the_value_of_the_schema() -> None:
    question = Question("x", "", "choice", ("a", "A", 3, None, True))

    assert read(question, "A") == "A"
    assert read(question, "a") == "a"
    assert read(question, "3") == 3
    assert read(question, "TRUE") is True
    with pytest.raises(ValueError, match="b is not a, A, 3, null or true"):
        read(question, "b")
