"""``clearance policy check`` and ``clearance policy explain``."""

import json
from pathlib import Path
from typing import Any

import pytest

from policy.source import SAMPLE

from .conftest import Shell, only_line

PAYMENTS = """\
default = "allow"
secrets = ["iban"]

[[checkpoint]]
checkpoint_id = "large"
action_pattern = "^pay$"
when = "args.amount > 100 && requester != 'ceo' && agent != 'auditor'"
description_template = \"\"\"
Pay {amount:,.2f} to {iban}

Memo: {memo}\"\"\"
risk = "high"
impact = "The money is gone."
audience = ["ada@example.com", "bob@example.com"]
quorum = 2
deadline = "2h"
on_reject = "stop"
editable = ["amount", "memo"]
confirm_phrase = "pay {amount}"

[[checkpoint]]
checkpoint_id = "small"
action_pattern = "^pay$"
allow = true
"""
CALL = {"amount": 5_000, "iban": "DE02120300000000202051", "memo": "line one\nline two"}

SAMPLES = {"delete_records", "draft_email", "issue_refund", "list_stale_customers"}
SAMPLES |= {"look_up_order", "send_email", "wait_for_confirmation"}


@pytest.fixture
def shell(alone: Shell) -> Shell:
    """A shell in a folder with a policy."""
    (alone.folder / "checkpoints.toml").write_text(PAYMENTS)
    return alone


def lines_of(out: str) -> dict[str, str]:
    """A printed table as label and value of each line."""
    return {line.split()[0]: line.partition("  ")[2].strip() for line in out.splitlines() if line}


async def test_check_lists_every_tool_with_what_covers_it(alone: Shell) -> None:
    checked = await alone("policy", "check", str(SAMPLE))
    assert (checked.code, checked.err) == (0, "")
    first, header, *rows, last = checked.out.splitlines()
    assert first == f"{SAMPLE}: 4 checkpoints, default allow"
    assert header.split() == ["AGENT", "TOOL", "COVERED", "BY"]
    covered = {row.split()[1]: " ".join(row.split()[2:]) for row in rows}
    assert covered == {
        "delete_records": "deletions",
        "draft_email": "nobody: goes through",
        "issue_refund": "large-refunds (if), refunds",
        "list_stale_customers": "nobody: goes through",
        "look_up_order": "nobody: goes through",
        "send_email": "mail",
        "wait_for_confirmation": "a person, always",
    }
    assert last == (
        "Warning: nobody is asked about draft_email, list_stale_customers, look_up_order."
    )


async def test_a_tool_that_does_nothing_but_ask_is_not_warned_of(alone: Shell) -> None:
    (alone.folder / "painting.py").write_text(
        "from agents import Agent\nfrom pydantic import BaseModel\n"
        "from tools.questions import question\n\n\n"
        "class Colour(BaseModel):\n    name: str\n\n\n"
        "def build() -> Agent:\n"
        '    ask = question("ask_colour", Colour, "Ask which colour to paint it.")\n'
        '    return Agent(name="painter", tools=[ask])\n\n\n'
        'AGENTS = {"painter": build}\n'
    )
    (alone.folder / "open.toml").write_text('default = "allow"\n')

    checked = await alone.having(CLEARANCE_AGENTS="painting")("policy", "check", "open.toml")

    assert checked.code == 0, checked.err
    [row] = [line for line in checked.out.splitlines() if "ask_colour" in line]
    assert row.split(maxsplit=2)[2].strip() == "a person, always"
    [warning] = [line for line in checked.out.splitlines() if line.startswith("Warning")]
    assert "ask_colour" not in warning


async def test_check_without_a_policy_file_says_that_everything_waits(alone: Shell) -> None:
    checked = await alone("policy", "check")
    assert checked.code == 0
    first, _, *rows = checked.out.splitlines()
    assert first == "No policy file: 0 checkpoints, default gate: every tool waits for a person"
    assert {row.split(maxsplit=2)[2].strip() for row in rows} == {
        "nobody: default gate",
        "a person, always",
    }
    assert "Warning" not in checked.out


async def test_check_reads_the_configured_file_and_marks_what_never_decides(alone: Shell) -> None:
    (alone.folder / "other.toml").write_text(
        'default = "gate"\n[[checkpoint]]\ncheckpoint_id = "first"\naction_pattern = "refund"\n'
        'when = "args.cents < 100"\nallow = true\n'
        '[[checkpoint]]\ncheckpoint_id = "second"\naction_pattern = "email|refund"\n'
        '[[checkpoint]]\ncheckpoint_id = "third"\naction_pattern = "refund"\nallow = true\n'
        '[[checkpoint]]\ncheckpoint_id = "fourth"\naction_pattern = "look_up"\nwhen = "args.x"\n'
    )
    shell = alone.having(CLEARANCE_POLICY="other.toml")
    checked = await shell("policy", "check")
    assert checked.out.startswith("other.toml: 4 checkpoints, default gate\n")
    assert "first (if, allows), second, third (never reached)" in checked.out
    assert "fourth (if), else default gate" in checked.out
    seen = (await shell("policy", "check", "--json")).json
    (refund,) = [one for one in seen["tools"] if one["tool"] == "issue_refund"]
    assert refund["covered_by"] == [
        {"checkpoint_id": "first", "conditional": True, "allow": True, "reached": True},
        {"checkpoint_id": "second", "conditional": False, "allow": False, "reached": True},
        {"checkpoint_id": "third", "conditional": False, "allow": True, "reached": False},
    ]
    assert (seen["source"], seen["default"], seen["uncovered"]) == ("other.toml", "gate", [])
    assert {one["tool"] for one in seen["tools"]} == SAMPLES


async def test_every_problem_of_a_broken_file_is_a_line_with_its_place(alone: Shell) -> None:
    (alone.folder / "bad.toml").write_text(
        'defalt = "gate"\n\n[[checkpoint]]\ncheckpoint_id = "x"\naction_pattern = "x"\n'
        'when = "arg.y"\nrisk = "huge"\n'
    )
    expected = [
        'bad.toml:1: unknown key "defalt": did you mean "default"?',
        "bad.toml:6: checkpoint \"x\": when: undeclared reference to 'arg.y'",
        "bad.toml:7: checkpoint \"x\": risk: Input should be 'low', 'medium', 'high' or 'critical'",
    ]
    for command in (("check", "bad.toml"), ("explain", "x", "--file", "bad.toml")):
        broken = await alone("policy", *command)
        assert (broken.code, broken.out, broken.err.splitlines()) == (2, "", expected)


@pytest.mark.parametrize("given", ["--file", "CLEARANCE_POLICY"])
async def test_a_file_that_is_not_there_is_told(alone: Shell, given: str) -> None:
    if given == "--file":
        missing = await alone("policy", "explain", "pay", "--file", "none.toml")
    else:
        missing = await alone.having(CLEARANCE_POLICY="none.toml")("policy", "check")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err == "none.toml: can't be read: No such file or directory\n"


async def test_explain_shows_what_a_person_would_see(shell: Shell) -> None:
    explained = await shell("policy", "explain", "pay", "--args", json.dumps(CALL))
    assert (explained.code, explained.err) == (0, "")
    first, why, *facts = explained.out.splitlines()
    assert first == "pay waits for a person."
    assert why.startswith('Why: checkpoint "large" matches: pattern "^pay$", condition args.amount')
    shown = lines_of("\n".join(facts))
    assert shown["Sentence"] == "Pay 5,000.00 to [masked]"
    assert "DE021203" not in explained.out
    assert shown["Text"] == "Memo: line one"
    assert "line two" in map(str.strip, facts)
    assert shown["Risk"] == "high"
    assert shown["Impact"] == "The money is gone."
    assert shown["Audience"] == "ada@example.com, bob@example.com"
    assert shown["Quorum"] == "2 to approve"
    assert shown["Deadline"] == "2h"
    assert shown["Rejected"] == "the run is stopped"
    assert shown["Expired"] == "the agent is told"
    assert shown["Editable"] == "amount, memo"
    assert shown["To"].endswith("pay 5000")


async def test_explain_gives_programs_the_same_as_json(shell: Shell) -> None:
    explained = await shell(
        *("policy", "explain", "pay", "--args", json.dumps(CALL), "--as", "grace", "--json")
    )
    assert explained.code == 0
    assert explained.json == {
        "tool": "pay",
        "source": "checkpoints.toml",
        "gated": True,
        "checkpoint": "large",
        "why": 'checkpoint "large" matches: pattern "^pay$", condition args.amount > 100 && '
        "requester != 'ceo' && agent != 'auditor'",
        "request": {
            "action": "Pay 5,000.00 to [masked]",
            "details": "Memo: line one\nline two",
            "risk": "high",
            "impact": "The money is gone.",
            "audience": ["ada@example.com", "bob@example.com"],
            "quorum": 2,
            "reject_quorum": 1,
            "deadline": "2h",
            "remind_after": [],
            "remind_before": [],
            "escalate_to": [],
            "escalate_after": None,
            "stage": [],
            "self_approval": None,
            "response_schema": None,
            "on_reject": "stop",
            "on_expiry": "tell",
            "editable": ["amount", "memo"],
            "confirm_phrase": "pay 5000",
            "grants": True,
            "impossible": None,
        },
    }


@pytest.mark.parametrize(
    ("options", "by", "gated"),
    [
        (("--args", '{"amount": 1}'), "small", False),
        (("--args", '{"amount": 101}'), "large", True),
        (("--args", '{"amount": 101}', "--as", "ceo"), "small", False),
        (("--args", '{"amount": 101}', "--agent", "auditor"), "small", False),
        ((), "large", True),
        (("--args", '{"amount": "all of it"}'), "large", True),
    ],
)
async def test_explain_judges_as_the_gate_would(
    shell: Shell, options: tuple[str, ...], by: str, gated: bool
) -> None:
    explained = (await shell.inside("policy", "explain", "pay", *options, "--json")).json
    assert (explained["checkpoint"], explained["gated"]) == (by, gated)
    assert (explained["request"] is not None) is gated


async def test_explain_says_so_where_a_call_goes_through(shell: Shell) -> None:
    explained = await shell("policy", "explain", "look_up")
    assert explained.out == (
        'look_up goes through.\nWhy: no checkpoint matches; the default is "allow"\n'
    )


async def test_explain_of_a_call_that_only_the_default_stops(alone: Shell) -> None:
    explained = await alone("policy", "explain", "pay", "--args", '{"password": "x", "to": "é"}')
    assert 'no checkpoint matches; the default is "gate"' in explained.out
    assert 'pay {"password": "[masked]", "to": "é"}' in explained.out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("{", "--args: not JSON"),
        ("", "--args: not JSON"),
        ("[" * 100_000, "--args: not JSON"),
        ('{"x": NaN}', "--args: not JSON: NaN is no number"),
        ("[1]", "--args: not an object"),
        ('"x"', "--args: not an object"),
        ("null", "--args: not an object"),
    ],
    ids=lambda value: value[:12],
)
async def test_arguments_that_are_no_json_object_are_refused(
    shell: Shell, args: str, said: str
) -> None:
    assert said in only_line(await shell.inside("policy", "explain", "pay", "--args", args), 2)


async def test_explain_says_where_no_request_could_be_made(shell: Shell) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    args = json.dumps({"amount": deep})
    assert "nested" in only_line(await shell("policy", "explain", "pay", "--args", args), 2)


async def test_nothing_that_is_shown_can_act_on_the_terminal(shell: Shell) -> None:
    args = json.dumps({**CALL, "memo": "\x1b[2Jgone\u202e"})
    explained = await shell("policy", "explain", "pay\x1b[31m", "--args", args)
    assert "\x1b" not in explained.out
    explained = await shell("policy", "explain", "pay", "--args", args)
    assert "\x1b" not in explained.out
    assert "\u202e" not in explained.out
    assert "\\x1b[2Jgone\\u202e" in explained.out


async def test_a_tool_that_the_policy_could_not_stop_fails_the_check(alone: Shell) -> None:
    (alone.folder / "ours.py").write_text(
        "from agents import Agent, WebSearchTool\n"
        "AGENTS = {'searcher': lambda: Agent(name='searcher', tools=[WebSearchTool()])}\n"
    )
    shell = alone.having(CLEARANCE_AGENTS="ours")
    checked = await shell("policy", "check")
    assert checked.code == 1
    assert "web_search" in checked.out
    assert "runs at the model's provider, where nothing can stop it" in checked.err
    (alone.folder / "checkpoints.toml").write_text('default = "allow"\n')
    assert (await shell("policy", "check")).code == 0
    gated = Path(alone.folder / "other.toml")
    gated.touch()
    assert (await shell("policy", "check", str(gated))).code == 1, "by the file that is named"


async def test_check_tells_each_fault_of_the_file_of_reviewers_with_its_line(shell: Shell) -> None:
    file = shell.folder / "reviewers.toml"
    people = '[people."ada@example.com"]\nnotify = ["mail"]\n[people."bob@example.com"]\n'
    file.write_text(people)
    checked = await shell("policy", "check")
    assert (checked.code, checked.err) == (0, "")
    said = "2 people, 0 groups, 0 delegations; 1 person and 0 groups told by 1 channel"
    assert checked.out.splitlines()[1] == f"reviewers.toml: {said}"
    file.write_text(people + 'notify = ["webhook:erp"]\n[groups]\na = ["zed"]\n')
    broken = await shell("policy", "check")
    assert (broken.code, broken.out) == (1, "")
    assert [line[:17] for line in broken.err.splitlines()] == [
        "reviewers.toml:4:",
        "reviewers.toml:6:",
    ]
