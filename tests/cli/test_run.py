"""``clearance run`` and ``clearance runs``: an agent, followed to its answer."""

import asyncio
import json

from clearance import ApprovalClient, contract, keyfile, keys
from clearance.runs import list_runs
from tests.conftest import Serve
from tests.model_server import MODEL, Call, Failure, Text, calls, model_server
from tests.support import PlayedModel, call, eventually, says, unique

from .conftest import Shell, only_line

_RUN = {"id", "agent", "prompt", "requester", "status", "started_at", "closed_at", "waits_for"}
_ASK = json.dumps({"action": "Deploy v2.4", "details": ""})


def _asking() -> PlayedModel:
    """Asks once, then says what it was told."""
    return PlayedModel([call("wait_for_confirmation", _ASK)], [says("It is done.")])


async def _finish(approvals: ApprovalClient, id: str) -> str:
    """Approve what waits, and wait for its run's answer."""
    await approvals.approve(id, reviewer="ada")
    result = await approvals.temporal.get_workflow_handle(id.rpartition(".")[0]).result()
    return str(result["output"])


async def _waiting(approvals: ApprovalClient) -> str:
    """The id of the one request that waits."""

    async def ids() -> list[str]:
        return [one.id async for one in approvals.pending()]

    (id,) = await eventually(ids, within=60)
    return id


async def test_a_run_over_a_real_model_server_is_followed_to_its_answer_or_to_why_it_ended(
    cli: Shell, approvals: ApprovalClient
) -> None:
    """Answered; ended by somebody; failed because the model refuses the key."""
    asks = calls(Call("wait_for_confirmation", _ASK))
    async with model_server(asks, Text("Deployed."), asks) as model:
        shell = cli.having(
            OPENAI_BASE_URL=model.url, OPENAI_API_KEY=model.key, CLEARANCE_MODEL=MODEL
        )
        async with shell.start("worker") as worker:
            await worker.says("agents on")
            async with cli.start("run", "Deploy v2.4.") as run:
                id = (
                    await run.says(r"Waiting for a person: Deploy v2\.4\n  clearance approve (\S+)")
                )[1]
                listed = await cli("runs")
                assert id in listed.out
                assert (await cli("approve", id)).code == 0
                ended = await run.ends()
            assert (ended.code, ended.out) == (0, "Deployed.\n")
            assert model.requests[1].results == {"call_1": "Approved"}

            async with cli.start("run", "Deploy.") as run:
                id = (await run.says(r"clearance approve (\S+)\.1"))[1]
                await approvals.temporal.get_workflow_handle(id).terminate(reason="wrong town")
                ended = await run.ends()
            assert (ended.code, ended.out) == (1, "")
            assert ended.err.splitlines()[-1] == f"clearance: run {id} failed: wrong town"

            model.key = "another"
            ended = await cli("run", "Deploy v2.4.")
    assert (ended.code, ended.out) == (1, "")
    started, failed = ended.err.splitlines()
    assert started.startswith("Run assistant-")
    assert failed.startswith("clearance: run assistant-")
    assert "Incorrect API key provided" in failed


async def test_a_model_that_stumbles_is_said_to_be_retried_also_in_what_is_encrypted(
    cli: Shell,
) -> None:
    keyfile.create(cli.folder / "keys.json", keys.new(keys.KINDS["encryption"]))
    encrypted = cli.having(
        CLEARANCE_ENCRYPTION_KEYS="keys.json",
        CLEARANCE_APPROVALS_QUEUE=unique("approvals"),
        CLEARANCE_AGENTS_QUEUE=unique("agents"),
        CLEARANCE_STATE="elsewhere",
    )

    async def stumbles(cli: Shell) -> None:
        async with model_server(*[Failure(500, message="overloaded")] * 100) as model:
            shell = cli.having(OPENAI_BASE_URL=model.url, OPENAI_API_KEY=model.key)
            async with shell.start("worker") as worker:
                await worker.says("agents on")
                async with cli.start("run", "Hello?") as run:
                    await run.says("Retrying invoke_model_activity.*overloaded")
                    model.answers = [Text("Here I am.")]
                    ended = await run.ends()
        assert (ended.code, ended.out) == (0, "Here I am.\n")

    await asyncio.gather(stumbles(cli), stumbles(encrypted))


async def test_json_carries_the_answer_and_what_was_decided_on_the_way(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve(_asking()), cli.start("run", "Deploy.", "--json") as run:
        id = await _waiting(approvals)
        await approvals.reject(id, reviewer="grace", reason="not today")
        ended = await run.ends()
    assert ended.code == 0
    assert set(ended.json) == {"id", "output", "approvals"}
    assert ended.json["output"] == "It is done."
    (outcome,) = ended.json["approvals"]
    assert (outcome["approval_id"], outcome["status"]) == (id, "rejected")
    assert id.startswith(ended.json["id"])


async def test_no_wait_prints_the_id_and_leaves(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve(_asking()):
        ended = await cli("run", "Deploy.", "--no-wait")
        assert (ended.code, ended.err) == (0, "")
        id = await _waiting(approvals)
        assert id.startswith(ended.out.strip() + ".")
        await _finish(approvals, id)


async def test_no_wait_as_json_is_the_id(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    id = unique("run")
    async with serve(_asking()):
        ended = await cli("run", "Go.", "--no-wait", "--json", "--id", id)
        await _finish(approvals, await _waiting(approvals))
    assert (ended.code, ended.json) == (0, {"id": id})


async def test_an_id_under_way_is_refused(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    id = unique("run")
    async with serve(_asking()):
        await cli("run", "Deploy.", "--no-wait", "--id", id)
        asked = await _waiting(approvals)
        assert id in only_line(await cli("run", "Delete.", "--id", id), 2)
        await _finish(approvals, asked)


async def test_an_unknown_agent_is_named_with_those_there_are(cli: Shell, serve: Serve) -> None:
    async with serve(PlayedModel()):
        ended = await cli("run", "Go.", "--agent", "payroll")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == (
        "clearance: no agent is called 'payroll'; there are: assistant, cleanup, email, refund"
    )


async def test_a_prompt_of_100_kb_reaches_the_model_whole(cli: Shell, serve: Serve) -> None:
    prompt = "p" * contract.MAX_PROMPT_BYTES
    model = PlayedModel([says("Read.")])
    async with serve(model):
        assert (await cli("run", prompt)).out == "Read.\n"
    assert prompt in str(model.inputs[0])


async def test_without_a_worker_for_agents_it_says_so_at_once(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    said = only_line(await cli("run", "Go."), 1)
    assert "no worker serves agents" in said
    assert "OPENAI_API_KEY or OPENAI_BASE_URL" in said
    assert (await cli("runs", "--running")).out == ""


async def test_an_approval_of_a_run_waits_as_long_as_the_run_says(cli: Shell, serve: Serve) -> None:
    async with serve(_asking()):
        ended = await cli("run", "Deploy.", "--expires-in", "1s", "--json")
    assert [one["status"] for one in ended.json["approvals"]] == ["expired"]


async def test_ctrl_c_leaves_the_run_running(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve(_asking()):
        async with cli.terminal("run", "Deploy.") as terminal:
            await terminal.shows("clearance approve")
            terminal.interrupts()
            ended = await terminal.ends()
        assert ended.code == 130
        assert "Traceback" not in ended.out
        assert await _finish(approvals, await _waiting(approvals)) == "It is done."


async def test_runs_shows_what_each_waits_for(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    done, open_ = unique("done"), unique("open")
    async with serve(PlayedModel([says("Hi.")])):
        await cli("run", "Say hi.", "--id", done, "--as", "grace")
    async with serve(_asking()):
        await cli("run", "Deploy\nv2.4.", "--id", open_, "--no-wait")
        waits_for = await _waiting(approvals)

        async def listed() -> bool:
            found = {r.id: r.status async for r in list_runs(approvals.temporal)}
            return (found.get(done), found.get(open_)) == ("completed", "running")

        await eventually(listed)
        table = (await cli("runs")).out
        found = {one["id"]: one for one in (await cli("runs", "--json")).json}
        running = {one["id"] for one in (await cli("runs", "--running", "--json")).json}
        newest = (await cli("runs", "--limit", "1", "--json")).json
        await _finish(approvals, waits_for)
    assert set(found[done]) == _RUN
    assert (found[done]["requester"], found[done]["waits_for"]) == ("grace", [])
    assert (found[open_]["prompt"], found[open_]["waits_for"]) == ("Deploy v2.4.", [waits_for])
    assert open_ in running
    assert done not in running
    assert len(newest) == 1
    (line,) = [line for line in table.splitlines() if line.startswith(open_)]
    assert line.split()[1:3] == ["assistant", "running"]
    assert f"{waits_for}  Deploy v2.4." in line
