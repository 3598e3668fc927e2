"""What a condition read is what the tool gets: no value that the two would read differently passes."""

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from agents import Agent, ModelSettings, function_tool

from cli.settings import Settings
from tools.kinds import unusable

from .agent_runs import Start, played_by_one, told
from .gating import ACTIVITIES, effect, own
from .support import call

POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "rehearsals"
    action_pattern = "^deploy$"
    when = "args.dry_run != false"
    allow = true

    [[checkpoint]]
    checkpoint_id = "deployments"
    action_pattern = "^deploy$"

    [[checkpoint]]
    checkpoint_id = "erasures"
    action_pattern = "^erase$"
    when = '''args.account == "0f3c8d52-8f7e-4f7c-9f43-0c6d3c0f6f11"
        || (has(args.day) && args.day == "2026-01-31")'''
"""


@function_tool(strict_mode=False)
async def deploy(dry_run: bool, version: int = 1) -> str:
    return await effect("deploy", dry_run=dry_run, version=version)


@function_tool(strict_mode=False)
async def note(count: int) -> str:
    return await effect("note", count=count)


@function_tool(strict_mode=False)
async def erase(account: UUID, day: date = date.max) -> str:
    return await effect("erase", account=str(account), day=str(day))


AGENTS = {"deployer": lambda: Agent(name="deployer", tools=[deploy, note, erase])}

__all__ = ["ACTIVITIES"]


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return own(lasting, __name__, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


@pytest.mark.parametrize("dry_run", ["false", "no", 0, "0", "off", None, [], {}])
async def test_a_value_that_the_tool_would_read_as_false_does_not_pass_as_not_false(
    play: Start, dry_run: Any
) -> None:
    wanted = call("deploy", json.dumps({"dry_run": dry_run}))
    async with play([wanted], agent="deployer") as (run, model):
        await run.result()

    assert told(model)["call_1"].startswith("Nothing ran: the arguments of deploy are wrong")


async def test_a_call_that_fits_the_schema_and_the_condition_goes_through(play: Start) -> None:
    wanted = call("deploy", json.dumps({"dry_run": True, "version": 2}))
    async with play([wanted], agent="deployer") as (run, model):
        await run.result()

    assert told(model)["call_1"] == "deploy done"


async def test_a_tool_that_no_checkpoint_is_about_reads_its_arguments_as_it_always_did(
    play: Start,
) -> None:
    async with play([call("note", '{"count": "7"}')], agent="deployer") as (run, model):
        await run.result()

    assert told(model)["call_1"] == "note done"


KEPT = "0f3c8d52-8f7e-4f7c-9f43-0c6d3c0f6f11"
OTHER = "b4a1e4fa-4a0a-4b0e-8c3f-6b8f4a9d7e21"


@pytest.mark.parametrize(
    ("wrong", "which"),
    [
        ({"account": KEPT.replace("-", "")}, "account: must be a UUID"),
        ({"account": KEPT.upper()}, "account: must be a UUID"),
        ({"account": f"{{{KEPT}}}"}, "account: must be a UUID"),
        ({"account": f"urn:uuid:{KEPT}"}, "account: must be a UUID"),
        ({"account": OTHER, "day": "2026-01-31T00:00:00"}, "day: must be a date"),
        ({"account": OTHER, "day": "1769817600"}, "day: must be a date"),
        ({"account": OTHER, "day": "20260131"}, "day: must be a date"),
    ],
)
async def test_a_value_in_another_form_than_the_condition_knows_does_not_pass_it_by(
    play: Start, wrong: dict[str, str], which: str
) -> None:
    async with play([call("erase", json.dumps(wrong))], agent="deployer") as (run, model):
        await run.result()

    assert f"the arguments of erase are wrong: {which}" in told(model)["call_1"]


async def test_a_value_in_the_one_form_that_conditions_know_goes_through(play: Start) -> None:
    wanted = call("erase", json.dumps({"account": OTHER, "day": "2026-02-01"}))
    async with play([wanted], agent="deployer") as (run, model):
        await run.result()

    assert told(model)["call_1"] == "erase done"


@pytest.mark.parametrize(
    "settings_of_the_model",
    [
        ModelSettings(extra_body={"tools": [{"type": "web_search"}]}),
        ModelSettings(extra_args={"tools": [{"type": "web_search"}]}),
    ],
)
def test_tools_hidden_in_model_settings_are_refused(settings_of_the_model: ModelSettings) -> None:
    agent = Agent[Any](name="sly", model_settings=settings_of_the_model)

    assert "sends 'tools' in its model settings" in (unusable(agent) or "")
    assert unusable(Agent[Any](name="plain", model_settings=ModelSettings())) is None
