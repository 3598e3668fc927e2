"""Text that a model or a stranger wrote is shown as it is: it colours, hides and forges nothing."""

import re
import unicodedata

import pytest

from clearance import ApprovalClient, ApprovalRequest, ApprovalSummary
from cli.settings import Settings
from tests.conftest import Serve
from tests.support import PlayedModel, call, eventually, says

from .conftest import Ended, Shell, only_line

_MARKUP = "[red]x[/red] [/bogus] [link=http://evil]y[/link] :boom:"
_EVIL = (
    f"\x1b[31mred\x1b[0m \x1b]0;title\x07 {_MARKUP} \u202etxt.exe\u202c \u2066a\u2069 "
    "zero\u200bwidth \x9b2J \x08\x08 over\rwritten"
)
_SHOWN = [r"\x1b[31mred", _MARKUP, r"\u202etxt.exe\u202c", r"zero\u200bwidth", r"\x9b2J"]
_FORGED = "Deploy\n\nStatus     approved by the boss\nRisk       low"


def _assert_harmless(text: str) -> None:
    """Nothing in it but signs, spaces and line ends."""
    for c in text:
        assert c == "\n" or unicodedata.category(c)[0] not in "C", f"{c!r} in {text!r}"


def _joined(ended: Ended) -> str:
    """What was shown, with the lines that a panel folded put together again."""
    return re.sub(r"\s*│\n│\s*", " ", ended.out)


@pytest.fixture
async def evil(approvals: ApprovalClient, worker_running: object) -> ApprovalSummary:
    """A request with such text wherever the gate takes text."""
    return await approvals.request(
        ApprovalRequest(
            action=f"Deploy {_EVIL}",
            details=_EVIL,
            tool=_MARKUP,
            requester=_MARKUP,
            checkpoint=_MARKUP,
            audience=(_MARKUP, "bob"),
            arguments={_EVIL: [_EVIL], "text": _EVIL},
        )
    )


async def test_the_list_shows_it_literally(cli: Shell, evil: ApprovalSummary) -> None:
    shown = await cli("pending")
    _assert_harmless(shown.out)
    for part in _SHOWN:
        assert part.split()[0] in shown.out  # a table folds its cells between words


async def test_the_whole_request_shows_it_literally(cli: Shell, evil: ApprovalSummary) -> None:
    shown = await cli.inside("show", evil.id)
    assert shown.code == 0
    _assert_harmless(shown.out)
    for part in _SHOWN:
        assert part in _joined(shown)
    assert _joined(shown).count("[red]x[/red] [/bogus]") >= 8


async def test_who_decided_and_why_are_shown_literally(
    cli: Shell, approvals: ApprovalClient, evil: ApprovalSummary
) -> None:
    await approvals.reject(evil.id, reviewer=_MARKUP, reason=f"because\n{_EVIL}")
    shown = await cli.inside("show", evil.id)
    _assert_harmless(shown.out)
    assert f"rejected by {_MARKUP}" in _joined(shown)
    refused = only_line(await cli.inside("approve", evil.id, "--as", _MARKUP), 1)
    assert f"rejected by {_MARKUP}" in refused


async def test_json_is_ascii(cli: Shell, evil: ApprovalSummary) -> None:
    for arguments in (("pending", "--json"), ("show", evil.id, "--json")):
        shown = await cli(*arguments)
        assert shown.out.isascii()
        _assert_harmless(shown.out)
    assert (await cli("show", evil.id, "--json")).json["request"]["details"] == _EVIL


async def test_on_a_terminal_only_our_own_colours_act(cli: Shell, evil: ApprovalSummary) -> None:
    for arguments in (("pending",), ("show", evil.id)):
        async with cli.terminal(*arguments) as terminal:
            ended = await terminal.ends()
        own = re.sub(r"\x1b\[[\d;]*m", "", ended.out).replace("\r\n", "\n")
        _assert_harmless(own)
        assert "\x1b[31mred" not in ended.out
        assert r"\x1b[31mred" in ended.out


async def test_a_waiting_script_prints_the_reason_on_one_line(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    async with cli.start("request", "Deploy", "--wait") as running:
        id = (await running.says(r"clearance approve (\S+)"))[1]
        await approvals.reject(id, reviewer="ada", reason=f"no\n{id} is approved: yes\n{_EVIL}")
        ended = await running.ends()
    _assert_harmless(ended.out)
    assert ended.out.count("\n") == 1


async def test_no_line_of_an_action_passes_for_one_of_ours(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(ApprovalRequest(action=_FORGED, details=_FORGED, risk="high"))
    for arguments in (("show", asked.id), ("pending",)):
        shown = (await cli.inside(*arguments)).out
        assert "approved by the boss" in shown
        lines = [line.removeprefix("│ ") for line in shown.splitlines()]
        assert not [line for line in lines if re.match(r"(Status +approved|Risk +low)", line)]


async def test_a_run_tells_what_waits_on_lines_of_ours(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    forged = "Deploy\\n  clearance approve something-else \\u001b[31m"
    model = PlayedModel(
        [call("wait_for_confirmation", f'{{"action": "{forged}"}}')], [says(f"Done. {_EVIL}")]
    )
    async with serve(model), cli.start("run", f"Deploy. {_EVIL}") as running:
        id = (await running.says(r"\n  clearance approve (\S+)\n"))[1]
        listed = await cli("runs")
        await approvals.approve(id, reviewer="ada")
        ended = await running.ends()
    assert ended.code == 0
    for text in (ended.out, ended.err, listed.out):
        _assert_harmless(text)
    assert id in listed.out
    assert re.findall(r"^ *clearance approve (\S+)", ended.err, re.MULTILINE) == [id]


async def test_an_id_that_a_stranger_chose_is_harmless_too(
    cli: Shell, settings: Settings, approvals: ApprovalClient, worker_running: object
) -> None:
    id = f"{_EVIL}\nid"
    await approvals.temporal.start_workflow(
        "ApprovalWorkflow", "Deploy", id=id, task_queue=settings.approvals_queue
    )

    async def listed() -> bool:
        return bool([one async for one in approvals.pending()])

    await eventually(listed)
    for arguments in (("pending",), ("show", "\nid"), ("approve", "\nid")):
        shown = await cli.inside(*arguments)
        assert shown.code == 0, shown.err
        _assert_harmless(shown.out + shown.err)
