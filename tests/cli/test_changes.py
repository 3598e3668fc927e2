"""``clearance approve`` with other arguments: set on the command line, or in an editor."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalRequest, approved_arguments
from tests.conftest import Serve

from .conftest import Shell, only_line

ARGUMENTS: dict[str, Any] = {
    "to": "Ada",
    "amount": 100,
    "order": {"id": 1, "lines": ["a", "b"]},
    "pin": "0000-1111",
}
PAY = ApprovalRequest(
    action="Pay 100 to Ada",
    tool="pay",
    arguments=ARGUMENTS,
    editable=True,
    grantable=True,
    description_template="Pay {amount} to {to}",
    arguments_schema={
        "type": "object",
        "properties": {"amount": {"type": "number", "maximum": 1_000}},
        "required": ["amount"],
    },
)


async def ran(approvals: ApprovalClient, id: str) -> dict[str, Any]:
    """What was approved in the end."""
    return approved_arguments(PAY, await approvals.wait(id))


async def untouched(approvals: ApprovalClient, id: str) -> bool:
    """Whether nothing at all has reached the request."""
    view = await approvals.get(id)
    return [event.kind for event in view.events] == ["created"]


def editor(cli: Shell, script: str, variable: str = "EDITOR") -> Shell:
    """A shell whose editor is this Python, with the file's path and text as ``path`` and ``text``."""
    program = cli.folder / "an editor.py"
    program.write_text(
        "import json, sys\nfrom pathlib import Path\npath = Path(sys.argv[1])\n"
        f"text = path.read_text()\n{script}\n"
    )
    python = Path(cli.env["PATH"].split(":")[0]) / "python"
    return cli.having(**{variable: f"{python} {shlex.quote(str(program))}"})


CHANGING = (
    "head, brace, rest = text.partition('{')\nvalue = json.loads(brace + rest)\n"
    "value['amount'] = 80\npath.write_text(head + json.dumps(value, indent=1))"
)


@pytest.mark.parametrize(
    ("assignments", "changed", "told"),
    [
        (["amount=80"], {"amount": 80}, "amount: 100 -> 80"),
        (["amount=80.50"], {"amount": 80.5}, "amount: 100 -> 80.5"),
        (["to=Bob"], {"to": "Bob"}, 'to: "Ada" -> "Bob"'),
        (["to=a=b"], {"to": "a=b"}, 'to: "Ada" -> "a=b"'),
        (["to="], {"to": ""}, 'to: "Ada" -> ""'),
        (['to="80"'], {"to": "80"}, 'to: "Ada" -> "80"'),
        (["to=NaN"], {"to": "NaN"}, 'to: "Ada" -> "NaN"'),
        (["to=null"], {"to": None}, 'to: "Ada" -> null'),
        (["to=é😀\u202e"], {"to": "é😀\u202e"}, 'to: "Ada" -> "é😀\\u202e"'),
        (["new=[1]"], {"new": [1]}, "new: (none) -> [1]"),
        (["amount=80", "to=Bob"], {"amount": 80, "to": "Bob"}, 'to: "Ada" -> "Bob"; amount'),
        (["amount=1", "amount=2"], {"amount": 2}, "amount: 100 -> 2"),
        (
            ["order.id=2", "order.lines.1=c"],
            {"order": {"id": 2, "lines": ["a", "c"]}},
            'order: {"id": 1, "lines": ["a", "b"]} -> {"id": 2, "lines": ["a", "c"]}',
        ),
        (
            ["order.note=x"],
            {"order": {**ARGUMENTS["order"], "note": "x"}},
            "order: changed",
        ),
    ],
)
async def test_arguments_that_are_set_are_what_runs_and_are_shown_before(
    cli: Shell,
    approvals: ApprovalClient,
    worker_running: object,
    assignments: list[str],
    changed: dict[str, Any],
    told: str,
) -> None:
    asked = await approvals.request(PAY)
    flags = [word for one in assignments for word in ("--set", one)]

    said = await cli.inside("approve", asked.id, *flags)

    assert said.code == 0, said.err
    names = [line.partition(":")[0] for line in said.err.splitlines() if line[:1].strip()]
    assert sorted(names) == sorted(changed)
    assert said.out.startswith(f"{asked.id} is approved: with changes (")
    if len(changed) == 1:
        assert f"({told}" in said.out
        assert told in said.err or told == "order: changed"  # too long for a line: shown as a block
    assert repr(sorted((await ran(approvals, asked.id)).items())) == repr(
        sorted({**ARGUMENTS, **changed}.items())
    )


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--set", "amount"], 2, "--set amount: write NAME=VALUE"),
        (["--set", "=5"], 2, "write NAME=VALUE"),
        (["--set", "nobody.id=5"], 2, "--set nobody.id: the request has no such part"),
        (["--set", "order.lines.2=c"], 2, "the request has no such part"),
        (["--set", "order.lines.-1=c"], 2, "the request has no such part"),
        (["--set", "amount.x=c"], 2, "the request has no such part"),
        (["--set", "pin=9999"], 2, "the masked argument /pin can't be changed"),
        (["--set", "amount=100"], 1, "nothing was changed, and nothing was sent"),
        (["--set", "amount=80", "--digest", "0" * 64], 1, "the request changed since you read it"),
        (["--edit"], 2, "no editor is set: set EDITOR, or say the changes with --set"),
        (["--uses", "3"], 2, "--uses and --for belong to --grant CONDITION"),
        (["--for", "1h"], 2, "--uses and --for belong to --grant CONDITION"),
        (["--grant", " "], 2, "--grant: condition"),
        (["--grant", "true", "--uses", "0"], 2, "--grant: max_uses"),
        (["--grant", "true", "--for", "31d"], 2, "at most 30 days"),
        (["--grant", "true", "--for", "never"], 2, "at most 30 days"),
        (["--grant", "true", "--for", "soon"], 2, "'soon' is no duration"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
async def test_what_makes_no_sense_is_one_line_and_nothing_is_sent(
    cli: Shell,
    approvals: ApprovalClient,
    worker_running: object,
    flags: list[str],
    code: int,
    says: str,
) -> None:
    asked = await approvals.request(PAY)

    assert says in only_line(await cli.inside("approve", asked.id, *flags), code)

    assert await untouched(approvals, asked.id)


async def test_what_does_not_fit_the_schema_is_refused_with_what_is_wrong(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(PAY)

    said = await cli.inside("approve", asked.id, "--set", "amount=1001")

    assert said.code == 1
    assert "amount: must be at most 1000" in said.err.splitlines()[-1]
    assert (await approvals.get(asked.id)).status == "pending"


async def test_of_a_request_somebody_has_decided_nothing_is_edited(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(PAY)
    await approvals.reject(asked.id, reviewer="grace")

    shell = editor(cli, "raise SystemExit('opened')")
    for flags in (["--edit"], ["--set", "amount=80"]):
        said = only_line(await shell("approve", asked.id, *flags), 1)
        assert "already decided: rejected by grace" in said


async def test_without_a_worker_changes_are_recorded_and_take_effect_later(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    asked = await approvals.request(PAY)

    said = await cli.inside("approve", asked.id, "--set", "amount=80")

    assert (said.code, said.err) == (0, "amount: 100 -> 80\n")
    assert "is recorded; it takes effect when a worker is back" in said.out
    async with serve():
        assert (await ran(approvals, asked.id))["amount"] == 80


@pytest.mark.parametrize("variable", ["VISUAL", "EDITOR"])
async def test_an_editor_gets_the_arguments_as_they_are_shown_and_what_it_leaves_runs(
    cli: Shell, approvals: ApprovalClient, worker_running: object, variable: str
) -> None:
    asked = await approvals.request(PAY)
    seen = cli.folder / "seen"
    keep = f"Path({str(seen)!r}).write_text(f'{{path}}\\n{{text}}')"
    shell = editor(cli, f"{keep}\n{CHANGING}", variable)
    if variable == "VISUAL":
        shell = shell.having(EDITOR="false")

    said = await shell("approve", asked.id, "--edit")

    assert said.code == 0, said.err
    assert said.err == "amount: 100 -> 80\n"
    assert said.out == f"{asked.id} is approved: with changes (amount: 100 -> 80).\n"
    assert await ran(approvals, asked.id) == {**ARGUMENTS, "amount": 80}
    where, _, text = seen.read_text().partition("\n")
    head, brace, body = text.partition("{\n")
    assert all(line.startswith("//") for line in head.splitlines())
    assert f"pay, {asked.id}" in head
    assert json.loads(brace + body) == {**ARGUMENTS, "pin": "[masked]"}
    assert not Path(where).exists()


async def test_changes_that_were_set_are_what_the_editor_begins_with(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(PAY)

    said = await editor(cli, CHANGING)("approve", asked.id, "--set", "to=Bob", "--edit")

    assert said.code == 0, said.err
    assert await ran(approvals, asked.id) == {**ARGUMENTS, "amount": 80, "to": "Bob"}


async def test_a_character_nobody_can_see_is_an_escape_in_the_editor(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    odd = "a\u202eb\u200bc\U000e0041\x1b[2J\né"
    asked = await approvals.request(PAY.model_copy(update={"arguments": {"to": odd, "amount": 1}}))
    seen = cli.folder / "seen"

    said = await editor(cli, f"Path({str(seen)!r}).write_text(text)\n{CHANGING}")(
        "approve", asked.id, "--edit"
    )

    assert said.code == 0, said.err
    assert r'"a\u202eb\u200bc\udb40\udc41\u001b[2J\né"' in seen.read_text()
    outcome = await approvals.wait(asked.id)
    assert outcome.edit is not None
    assert outcome.edit.arguments == {"to": odd, "amount": 80}


@pytest.mark.parametrize("script", ["", "path.write_text('// gone\\n' + text)", "path.touch()"])
async def test_an_editor_that_changes_nothing_sends_nothing(
    cli: Shell, approvals: ApprovalClient, worker_running: object, script: str
) -> None:
    asked = await approvals.request(PAY)

    said = only_line(await editor(cli, script)("approve", asked.id, "--edit"), 1)

    assert said == "clearance: nothing was changed, and nothing was sent\n"
    assert await untouched(approvals, asked.id)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("path.write_text('{\"amount\": 80')", "what the editor left is no JSON: "),
        ("path.write_text('')", "what the editor left is no JSON: "),
        ("path.write_text('[80]')", "what the editor left is no JSON object"),
        ("path.write_text('{\"amount\": NaN}')", "NaN is no number"),
        ('path.write_text(\'{"amount": 80, "amount": 90}\')', "a name is there twice"),
        ("path.write_text('[' * 100_000)", "nested too deep"),
        ('path.write_bytes(b\'{"to": "\\xff"}\')', "what the editor left is no JSON: "),
        (f"{CHANGING}\nsys.exit(3)", "ended with 3: nothing was sent"),
        (CHANGING.replace("80", "5000"), "amount: must be at most"),
        (CHANGING.replace("'amount'] = 80", "'pin'] = '9'"), "the masked argument /pin"),
    ],
)
async def test_an_edit_that_cannot_be_sent_is_kept_in_a_file_that_is_named(
    cli: Shell, approvals: ApprovalClient, worker_running: object, script: str, says: str
) -> None:
    asked = await approvals.request(PAY)

    said = await editor(cli, script)("approve", asked.id, "--edit")

    *_, kept, error = said.err.splitlines()
    assert said.code in (1, 2)
    assert says in error
    file = Path(kept.removeprefix("Your changes are kept in "))
    assert file.exists()
    assert file.stat().st_mode & 0o077 == 0
    file.unlink()
    assert (await approvals.get(asked.id)).status == "pending"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("/no/such/editor -w", "the editor /no/such/editor can't be run: No such file"),
        ("'unbalanced", "the editor 'unbalanced is no command"),
        ("  ", "no editor is set"),
    ],
)
async def test_an_editor_that_is_none_is_told(
    cli: Shell, approvals: ApprovalClient, worker_running: object, command: str, says: str
) -> None:
    asked = await approvals.request(PAY)

    said = await cli.having(EDITOR=command)("approve", asked.id, "--edit")

    assert said.code == 2
    assert says in said.err.splitlines()[-1]
    for line in said.err.splitlines()[:-1]:
        Path(line.removeprefix("Your changes are kept in ")).unlink()


async def test_what_takes_no_changes_opens_no_editor(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"editable": False}))
    shell = editor(cli, "raise SystemExit('opened')")

    said = only_line(await shell("approve", asked.id, "--edit"), 1)

    assert "takes no changes: approve or reject it as it is" in said
