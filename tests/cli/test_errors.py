"""What goes wrong is one line that says what to do, and an exit code that says what kind it is."""

import json

import pytest

from clearance import ApprovalClient

from .conftest import NOWHERE, Shell, only_line

_REACHING_TEMPORAL = [
    ("pending",),
    ("show", "an-id"),
    ("approve", "an-id"),
    ("reject", "an-id"),
    ("request", "Deploy"),
    ("request", "Deploy", "--wait"),
    ("run", "Say hello."),
    ("runs",),
    ("setup",),
    ("worker",),
    ("worker", "--only", "approvals"),
]


@pytest.mark.parametrize("arguments", _REACHING_TEMPORAL, ids=" ".join)
async def test_an_unreachable_temporal_exits_5_and_says_how_to_get_one(
    alone: Shell, arguments: tuple[str, ...]
) -> None:
    shell = alone.having(TEMPORAL_ADDRESS=NOWHERE)
    said = only_line(await shell(*arguments), 5)
    assert NOWHERE in said
    assert "clearance up" in said


async def test_an_unknown_namespace_is_told_from_an_unreachable_server(cli: Shell) -> None:
    said = only_line(await cli.having(TEMPORAL_NAMESPACE="elsewhere")("pending"), 5)
    assert "elsewhere" in said


async def test_a_broken_temporal_profile_is_one_line(alone: Shell) -> None:
    (alone.folder / "broken.toml").write_text("garbage[")
    said = only_line(await alone.having(TEMPORAL_CONFIG_FILE="broken.toml").inside("pending"), 5)
    assert "TOML" in said


async def test_an_address_given_as_a_url_is_one_line(alone: Shell) -> None:
    said = only_line(await alone.having(TEMPORAL_ADDRESS=f"http://{NOWHERE}").inside("pending"), 5)
    assert NOWHERE in said


_BAD_USAGE = [
    (("pending", "--bogus"), "--bogus"),
    (("pending", "--risk", "huge"), "low, medium, high and critical"),
    (("pending", "--watch", "--json"), "--watch"),
    (("show",), "ID"),
    (("approve",), "ID"),
    (("approve", " "), "an id has 1 to 200 characters"),
    (("runs", "--limit", "0"), "--limit"),
    (("worker", "--only", "everything"), "approvals or agents"),
    (("demo", "heist"), "email, refund, cleanup"),
    (("demo", "--answer", "maybe"), "approve or reject"),
    (("run", ""), "the prompt is empty"),
    (("run", " \n\t"), "the prompt is empty"),
    (("run", "p" * (101 * 1024)), "103,424 bytes, at most 102,400"),
    (("run", "Go.", "--expires-in", "soon"), "90s, 15m, 2h, 7d, 2w or never"),
    (("run", "Go.", "--agent", ""), "agent"),
    (("request", ""), "action"),
    (("request", "   "), "action"),
    (("request", "a" * 501), "at most 500 characters"),
    (("request", "Go", "--expires-in", "5y"), "90s, 15m, 2h, 7d, 2w or never"),
    (("request", "Go", "--expires-in", "0s"), "longer than nothing"),
    (("request", "Go", "--expires-in", "999999999w"), "too long"),
    (("request", "Go", "--risk", "huge"), "risk"),
    (("request", "Go", "--audience", "group:"), "names no group"),
    (("request", "Go", "--as", ""), "requester"),
    (("request", "Go", "--id", "i" * 201), "1 to 200 printable characters"),
    (("request", "Go", "--id", "one\ntwo"), "1 to 200 printable characters"),
    (("request", "Go", "--args", "amount=80"), "not JSON"),
    (("request", "Go", "--args", "[80]"), "a JSON object"),
    (("request", "Go", "--args", "[" * 100_000), "not JSON"),
    (("request", "Go", "--args", '{"amount": NaN}'), "JSON"),
    (("request", "Go", "--details", "@missing.txt"), "missing.txt"),
    (("request", "Go", "--details", "@"), "can't be read"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), _BAD_USAGE, ids=[" ".join(one)[:40] for one, _ in _BAD_USAGE]
)
async def test_bad_usage_exits_2_and_nothing_is_done(
    cli: Shell, approvals: ApprovalClient, arguments: tuple[str, ...], says: str
) -> None:
    assert says in only_line(await cli.inside(*arguments), 2)
    assert [one async for one in approvals.pending()] == []


async def test_details_over_64_kb_are_refused(cli: Shell, approvals: ApprovalClient) -> None:
    shown = await cli("request", "Go", "--details", "-", stdin="d" * (64 * 1024 + 1))
    assert "65,537 bytes, at most 65,536" in only_line(shown, 2)
    assert [one async for one in approvals.pending()] == []


async def test_details_that_are_no_text_are_refused(cli: Shell) -> None:
    (cli.folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    said = await cli.inside("request", "Go", "--details", "@photo.jpg")
    assert "can't be read" in only_line(said, 2)


async def test_bytes_that_are_no_text_are_refused(cli: Shell) -> None:
    assert "unicode" in only_line(await cli("request", "Deploy \udcff"), 2)


async def test_a_wrong_setting_is_named(alone: Shell) -> None:
    shell = alone.having(CLEARANCE_MODEL_API="telepathy")
    said = only_line(await shell.inside("pending"), 2)
    assert "CLEARANCE_MODEL_API: it has to be 'responses' or 'chat_completions'" in said
    often = alone.having(CLEARANCE_RECONCILE_EVERY="10s")
    said = only_line(await often.inside("pending"), 2)
    assert said == "clearance: CLEARANCE_RECONCILE_EVERY: '10s': at least 1m, or never\n"


_DEBUGGED = [
    (("pending",), 5, "CannotConnect"),
    (("request", ""), 2, "InvalidRequest"),
    (("demo", "heist"), 2, "BadParameter"),
]


@pytest.mark.parametrize(("arguments", "code", "kind"), _DEBUGGED)
async def test_only_debug_shows_a_traceback(
    alone: Shell, arguments: tuple[str, ...], code: int, kind: str
) -> None:
    shell = alone.having(TEMPORAL_ADDRESS=NOWHERE)
    line = only_line(await shell.inside(*arguments), code)
    debugged = await shell.inside("--debug", *arguments)
    assert (debugged.code, debugged.out) == (code, "")
    assert "Traceback (most recent call last)" in debugged.err
    assert kind in debugged.err
    assert debugged.err.endswith(line)


async def test_a_reader_that_leaves_early_is_no_traceback(
    cli: Shell, approvals: ApprovalClient
) -> None:
    for number in range(3):
        await approvals.request(f"Deploy {number} {'x' * 400}")
    ended = await cli.script("clearance pending --json | true; echo ${PIPESTATUS[0]}")
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") <= 1
    assert json.loads(ended.out) in (0, 1)
