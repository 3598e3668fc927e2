"""The API does what its OpenAPI document says, whatever is sent to it."""

import asyncio
import sys
import sysconfig
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from jsonschema import Draft202012Validator

from web.context import Context

from .conftest import CFO, is_problem

DOCUMENT = "/api/v1/openapi.json"

# Rules that no JSON Schema can tell, a quorum that the audience can reach for instance, end in 422.
# What waits is only looked at: a minute for each example would be a long test.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422"]

[phases.coverage]
unexpected-methods = ["DELETE", "PUT"]

[[operations]]
include-path = "/api/v1/requests/{id}/outcome"
parameters = { "query.timeout" = 0 }
"""


async def examined(inbox: Context, folder: Path, *options: str) -> str:
    """What Schemathesis says of the running inbox; fails the test where it finds a fault."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, f"{sysconfig.get_path('scripts')}/schemathesis"),
        *("--config-file", str(config), "run", inbox.url + DOCUMENT, "--no-color"),
        *("--checks", "all", "--continue-on-failure", "--seed", "1", "--warnings", "off"),
        *("--generation-database", "none", "--exclude-path", "/api/v1/events", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


@pytest.mark.timeout(600)
async def test_every_answer_is_as_documented(
    inbox: Context, tmp_path: Path, worker_running: object
) -> None:
    token, _ = await inbox.store.tokens.create(
        "all", ["read", "request", "decide"], decides_as=CFO, lasts=None
    )

    said = await examined(
        inbox, tmp_path, "--header", f"Authorization: Bearer {token}", "--max-examples", "6"
    )

    assert "Tested: 15" in said


@pytest.fixture
async def document(browser: httpx.AsyncClient) -> dict[str, Any]:
    """The document, which anybody may read."""
    found: dict[str, Any] = (await browser.get(DOCUMENT)).json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


@pytest.mark.parametrize("token", [None, "clr_a_b"], ids=["none", "a wrong one"])
async def test_without_a_token_every_answer_is_as_documented_too(
    inbox: Context, document: dict[str, Any], token: str | None
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=inbox.url, headers=headers) as stranger:
        for name in operations(document):
            method, path = name.split()
            where, json = path.replace("{id}", "x"), {"Content-Type": "application/json"}
            for body in (b"", b'{"action": "x", "approved": true}'):
                answer = await stranger.request(method, where, content=body, headers=json)
                is_problem(answer, 401, "token-needed")
            if method == "POST":  # what is no JSON is nobody's
                answer = await stranger.post(where, content=b"{", headers=json)
                is_problem(answer, 422, "invalid")
    assert [one async for one in inbox.approvals.pending()] == []


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_route_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    found = operations(document)

    assert sorted(found) == sorted(
        [
            "POST /api/v1/requests",
            "GET /api/v1/requests",
            "GET /api/v1/history",
            "GET /api/v1/requests/{id}",
            "GET /api/v1/requests/{id}/outcome",
            "POST /api/v1/requests/{id}/decision",
            "POST /api/v1/requests/{id}/comment",
            "POST /api/v1/requests/{id}/question",
            "POST /api/v1/requests/{id}/answer",
            "POST /api/v1/requests/{id}/delegation",
            "POST /api/v1/requests/{id}/withdrawal",
            "POST /api/v1/requests/{id}/consumption",
            "POST /api/v1/requests/{id}/consumption/outcome",
            "GET /api/v1/events",
            "POST /pending",
            "POST /approve/{id}",
        ]
    )
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["security"] == [{"token": []}], name
        statuses = set(operation["responses"])
        assert {"401", "403", "422", "429", "503"} <= statuses, name
        assert ("404" in statuses) is ("{id}" in name), name
        assert ({"400", "413", "415"} <= statuses) is name.startswith("POST"), name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            kinds = list(answer["content"])
            if status >= "400":
                assert kinds == ["application/problem+json"], (name, status)
            else:
                assert "problem" not in kinds[0], (name, status)
    ids = [operation["operationId"] for operation in found.values()]
    assert len(set(ids)) == len(ids)


def test_no_body_may_say_who_decides_or_what_only_the_gate_knows(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    for name in ("Verdict", "Words", "HandOver", "Why", "WouldDo", "Did", "NewRequest"):
        assert schemas[name]["additionalProperties"] is False
        named = set(schemas[name]["properties"])
        assert not named & {"reviewer", "who", "taker", "channel", "groups", "masked", "grant"}
    for name in ("run_id", "sealed_digest", "checkpoint", "policy_digest", "grantable"):
        assert name not in schemas["NewRequest"]["properties"]
