"""Several people, one after the other or together: how the commands ask for it and tell of it."""

import re

import pytest

from clearance import ApprovalClient, ApprovalRequest, ApprovalView
from cli.settings import Settings
from tests.conftest import Serve
from tests.support import eventually

from .conftest import Shell, only_line

_TWO = ApprovalRequest(
    action="Trade",
    tool="trade",
    arguments={"amount": 100},
    editable=True,
    audience=("ada", "bob", "cleo", "dan"),
    quorum=2,
    reject_quorum=2,
)
_STAGED = ApprovalRequest.model_validate(
    {
        "action": "Pay",
        "stages": [
            {"name": "manager", "audience": ["ada"]},
            {"name": "director", "audience": ["bob", "cleo"], "quorum": 2},
        ],
    }
)


async def test_each_decision_of_several_says_how_many_there_are(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_TWO)

    said = [
        await cli.inside("approve", asked.id, "--as", "ada"),
        await cli.inside("reject", asked.id, "--as", "bob"),
        await cli.inside("reject", asked.id, "--as", "cleo"),
    ]

    assert [one.out for one in said] == [
        f"Your approval of {asked.id} is counted: 1 of 2 approvals.\n",
        f"Your rejection of {asked.id} is counted: 1 of 2 rejections.\n",
        f"{asked.id} is rejected.\n",
    ]


async def test_who_changes_the_arguments_is_told_that_somebody_else_has_to_approve(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_TWO)

    said = await cli.inside("approve", asked.id, "--as", "ada", "--set", "amount=80")

    assert said.out == (
        f"Your changes to {asked.id} are in (amount: 100 -> 80), but you may not approve them "
        "yourself: somebody else has to.\n"
    )
    assert (await approvals.get(asked.id)).approvals == []


async def test_where_their_own_changes_count_it_says_so_with_the_changes(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_TWO.model_copy(update={"self_approval": ("editor",)}))

    first = await cli.inside("approve", asked.id, "--as", "ada", "--set", "amount=80")
    shown = await cli.inside("show", asked.id)
    again = only_line(await cli.inside("approve", asked.id, "--as", "ADA"), 1)
    second = await cli.inside("approve", asked.id, "--as", "bob")

    assert first.out == (
        f"Your approval of {asked.id} is counted: 1 of 2 approvals, "
        "with changes (amount: 100 -> 80).\n"
    )
    assert "pending (1 of 2)" in shown.out
    assert "1 of 2: ada approved" in shown.out
    assert "Changed by a reviewer" in shown.out
    assert "ADA has approved already" in again
    assert second.out == f"{asked.id} is approved: with changes (amount: 100 -> 80).\n"


async def test_the_end_of_a_stage_says_which_one_is_asked_now(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_STAGED)

    early = only_line(await cli.inside("approve", asked.id, "--as", "bob"), 1)
    said = [await cli.inside("approve", asked.id, "--as", name) for name in ("ada", "bob", "cleo")]

    assert "bob is not in the audience (ada)" in early
    assert [one.out for one in said] == [
        f"Your approval of {asked.id} is counted. "
        "The stage “manager” is done; “director” is asked now.\n",
        f"Your approval of {asked.id} is counted: 1 of 2 approvals in the stage “director”.\n",
        f"{asked.id} is approved.\n",
    ]


async def test_how_far_a_request_is_stands_in_every_reading(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    staged, two = await approvals.request(_STAGED), await approvals.request(_TWO)
    plain = await approvals.request("Deploy")
    for id, name in ((staged.id, "ada"), (staged.id, "bob"), (two.id, "ada")):
        await approvals.approve(id, reviewer=name)

    async def known() -> str:
        shown = (await cli.inside("pending")).out
        return shown if len(re.findall(r"\d+ s ago", shown)) == 2 else ""

    header, *lines = (await eventually(known)).splitlines()
    ends = {line.split()[0]: line.rstrip() for line in lines}
    assert header.split()[-1] == "PROGRESS"
    assert re.search(r"director \(2 of 2\), 1 of 2: bob \d+ s ago$", ends[staged.id])
    assert re.search(r" 1 of 2: ada \d+ s ago$", ends[two.id])
    assert ends[plain.id].endswith(" 6 d 23 h")
    shown = (await cli.inside("show", staged.id)).out
    assert re.search(r"Status +pending in stage director \(1 of 2\)", shown)
    assert re.search(r"Stage 1 +manager: done; 1 of 1: ada approved \d+ s ago", shown)
    assert re.search(r"Stage 2 +director: open; 1 of 2: bob approved", shown)
    record = shown.split("Record")[1]
    assert re.search(r"2 .+ approved by ada in stage manager \(client\)", record)
    assert re.search(r"3 .+ advanced to stage director \(", record)


async def test_asking_for_changes_is_a_rejection_that_says_which(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request("Mail Bob")

    silent = only_line(await cli.inside("reject", asked.id, "--ask-changes"), 2)
    said = await cli.inside("reject", asked.id, "--ask-changes", "--reason", "shorter")

    assert "--ask-changes needs --reason: what should be changed?" in silent
    assert said.out == (
        f"{asked.id} is rejected. Its agent is told what to change, and may ask again.\n"
    )
    outcome = await approvals.wait(asked.id)
    assert (outcome.changes_requested, outcome.reason) == (True, "shorter")
    assert "rejected with changes requested by" in (await cli.inside("show", asked.id)).out


async def _asked(cli: Shell, approvals: ApprovalClient, *flags: str) -> ApprovalView:
    said = await cli.inside("request", "Pay", "--as", "grace", *flags)
    assert said.code == 0, said.err
    return await approvals.get(said.out.strip())


async def test_a_request_says_who_decides_and_by_when(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    view = await _asked(
        *(cli, approvals, "--audience", "ada", "--audience", "bob", "--audience", "cleo"),
        *("--quorum", "2", "--reject-quorum", "2", "--expires-in", "2d", "--remind-after", "1h"),
        *("--remind-before", "3h", "--remind-before", "30m", "--escalate-to", "cfo"),
        *("--escalate-after", "1d", "--self-approval", "requester", "--editable"),
    )

    asked = view.request.model_dump(mode="json")
    assert {name: asked[name] for name in ("quorum", "reject_quorum", "expires_in")} == {
        "quorum": 2,
        "reject_quorum": 2,
        "expires_in": "P2D",
    }
    assert (asked["remind_after"], asked["remind_before"]) == (["PT1H"], ["PT3H", "PT30M"])
    assert (asked["escalate_to"], asked["escalate_after"]) == (["cfo"], "P1D")
    assert (asked["self_approval"], asked["editable"]) == (["requester"], True)


async def test_a_request_of_several_stages_gives_its_other_terms_to_each(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    view = await _asked(
        *(cli, approvals, "--stage", "manager=ada", "--stage", "the board=2 of bob, cleo,dan"),
        *("--expires-in", "2d", "--self-approval", "none"),
    )

    first, second = view.request.stages
    assert (first.name, first.audience, first.quorum) == ("manager", ("ada",), 1)
    assert (second.name, second.audience, second.quorum) == ("the board", ("bob", "cleo", "dan"), 2)
    assert {one.expires_in for one in view.request.stages} == {view.request.chain[0].expires_in}
    assert view.request.chain[0].expires_in.days == 2  # type: ignore[union-attr]
    assert view.request.self_approval == ()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--quorum", "2"], "a quorum of 2 needs an audience"),
        (["--quorum", "0", "--audience", "ada"], "quorum"),
        (["--quorum", "3", "--audience", "ada", "--audience", "bob"], "only 2 may decide"),
        (["--audience", "group:nobody-knows"], "group"),
        (["--stage", "manager"], "--stage manager: write NAME=WHO,WHO or NAME=2 of WHO,WHO"),
        (["--stage", "manager=ada,"], "a name is empty: write ada,bob"),
        (["--audience", "ada,,bob"], "--audience: a name is empty: write ada,bob"),
        (["--stage", "=ada"], "write NAME=WHO,WHO"),
        (["--stage", "a=2 of ada"], "quorum is 2, but only 1 may decide"),
        (["--stage", "a=ada", "--audience", "bob"], "--audience is said in each --stage"),
        (["--stage", "a=ada", "--quorum", "2"], "--quorum is said in each --stage"),
        (["--self-approval", "friend"], "takes requester, editor or none, not 'friend'"),
        (["--self-approval", "none", "--self-approval", "editor"], "leave the others out"),
        (["--remind-after", "never"], "'never' is no age"),
        (["--remind-before", "9d"], "remind_before"),
        (["--escalate-after", "1d"], "escalate_after needs escalate_to"),
        (["--expires-in", "0s"], "expires_in must be longer than nothing"),
        (["--expires-in", "300w"], "at most 5 years"),
        (["--response-schema", "{"], "--response-schema is not JSON"),
        (["--response-schema", "[]"], "--response-schema must be a JSON object"),
        (["--response-schema", "@nowhere"], "--response-schema: @nowhere can't be read"),
        (["--response-schema", '{"type": "strange"}'], "there is no type 'strange'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_terms_that_make_no_sense_are_refused_and_say_what_to_write(
    cli: Shell, worker_running: object, flags: list[str], says: str
) -> None:
    assert says in only_line(await cli.inside("request", "Pay", *flags), 2)


async def test_mine_goes_by_the_groups_and_delegations_of_the_directory(
    cli: Shell, approvals: ApprovalClient, settings: Settings, serve: Serve
) -> None:
    settings.reviewers = cli.folder / "reviewers.toml"
    settings.reviewers.write_text(
        '[groups]\nfinance = ["ada@example.com"]\n\n'
        '[[delegation]]\nfrom = "bob"\nto = "ADA@example.com"\n'
        "since = 2020-01-01\nuntil = 2090-01-01\n"
    )
    async with serve():
        ids = [
            (await approvals.request(ApprovalRequest(action="Pay", audience=who))).id
            for who in (("group:Finance",), ("bob",), ("cleo",), ())
        ]

        async def listed() -> bool:
            return len([one async for one in approvals.pending()]) == len(ids)

        await eventually(listed)
        mine = (await cli.inside("pending", "--mine", "--json")).json
        assert [one["id"] for one in mine] == [ids[3], ids[1], ids[0]]
        assert (await cli.inside("approve", ids[0])).out == f"{ids[0]} is approved.\n"
        await cli.inside("approve", ids[1])
        assert "approved by ada@example.com for bob at" in (await cli.inside("show", ids[1])).out

    settings.reviewers.write_text("[groups\n")
    said = await cli.inside("pending", "--mine")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("clearance: reviewers.toml:")


async def test_explain_tells_of_stages_reminders_and_what_nobody_could_approve(
    alone: Shell,
) -> None:
    (alone.folder / "checkpoints.toml").write_text(
        '[[checkpoint]]\ncheckpoint_id = "pay"\naction_pattern = "pay"\ndeadline = "3d"\n'
        'self_approval = ["editor"]\nresponse_schema = {type = "boolean"}\n'
        '[[checkpoint.stage]]\nname = "manager"\naudience = ["mia"]\nescalate_to = ["bob"]\n'
        '[[checkpoint.stage]]\nname = "board"\naudience = ["group:board"]\n'
        'when = "args.amount > 10"\nreject_quorum = 2\n'
        '[[checkpoint]]\ncheckpoint_id = "own"\naction_pattern = "mail"\naudience = ["grace"]\n'
        'remind_after = ["1d"]\nremind_before = ["2h"]\ndeadline = "2d"\n'
    )
    staged = (await alone.inside("policy", "explain", "pay")).out
    own = (await alone.inside("policy", "explain", "mail", "--as", "grace")).out
    assert "Stage 1       manager; asks mia; at the deadline bob, too; within 3 d" in staged
    assert "Stage 2       board; asks group:board; within 3 d; if args.amount > 10" in staged
    assert "Own approval  counts of editor" in staged
    assert "To answer     what its response_schema asks for" in staged
    assert "Quorum" not in staged
    assert "Reminders   after 1d, 2h before the deadline" in own
    assert "Impossible  grace asked for it and may not approve it" in own
