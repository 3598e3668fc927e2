"""Temporal's remote codec: who gets what is encrypted to read, through Temporal's own command, too."""

import asyncio
import base64
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from clearance import ApprovalClient, connect, keyfile, keys
from cli import embedded
from cli.settings import EmbeddedServer, Settings
from tests.web.conftest import SignedIn, WithToken
from web.config import Rates, WebConfig
from web.context import Context

ADA = "ada@example.com"
GRACE = "grace@example.com"
TEXT = "zebrafish-action"
UI = "http://127.0.0.1:8233"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    keyfile.create(path, keys.new(keys.KINDS["encryption"]))
    return path


@pytest.fixture
async def approvals(
    connection: dict[str, Any], settings: Settings, key_file: Path
) -> ApprovalClient:
    client = await connect(connection, keys=key_file)
    return ApprovalClient(client, task_queue=settings.approvals_queue)


@pytest.fixture
def web_config(web_config: WebConfig, tmp_path: Path) -> WebConfig:
    reviewers = tmp_path / "reviewers.toml"
    reviewers.write_text(f'operators = ["{ADA}"]\n')
    return web_config.model_copy(update={"reviewers": reviewers, "temporal_ui": UI})


@pytest.fixture
async def encrypted(approvals: ApprovalClient) -> dict[str, Any]:
    """A payload as Temporal's pages send it."""
    [payload] = await approvals.temporal.data_converter.encode([TEXT])
    plain = {name: _base64(value) for name, value in payload.metadata.items()}
    return {"payloads": [{"metadata": plain, "data": _base64(payload.data)}]}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(answer: httpx.Response) -> str:
    """The one text that came back."""
    assert answer.status_code == 200, answer.text
    [payload] = answer.json()["payloads"]
    return str(json.loads(base64.b64decode(payload["data"])))


async def test_a_token_of_that_scope_decodes_and_encodes_and_it_is_logged(
    with_token: WithToken, encrypted: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "clearance.codec")
    service = await with_token("codec")
    decoded = await service.post("/codec/decode", json=encrypted)
    assert read(decoded) == TEXT
    plain = decoded.json()
    assert read(await service.post("/codec/decode", json=plain)) == TEXT
    anew = (await service.post("/codec/encode", json=plain)).json()
    assert anew["payloads"][0]["data"] != encrypted["payloads"][0]["data"]
    assert read(await service.post("/codec/decode", json=anew)) == TEXT
    assert "/codec/decode: 1 payloads for token 'service-0'" in caplog.messages
    assert TEXT not in caplog.text


async def test_nobody_else_is_let_in_and_each_is_logged(
    browser: httpx.AsyncClient,
    with_token: WithToken,
    signed_in: SignedIn,
    inbox: Context,
    encrypted: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    forged = httpx.AsyncClient(base_url=inbox.url, headers={"Authorization": "Bearer clr_a_b"})
    here = {"Origin": inbox.url}
    async with forged:
        for client, headers, status in (
            (browser, {}, 401),
            (browser, {"Origin": UI}, 401),
            (forged, {}, 401),
            (await with_token("read", "request"), {}, 403),
            (await signed_in(GRACE), here, 403),
            (await signed_in(ADA), {}, 403),
            (await signed_in(ADA), {"Origin": "https://elsewhere.example"}, 403),
            (await signed_in(ADA), {"Origin": "null"}, 403),
        ):
            for path in ("decode", "encode"):
                refused = await client.post(f"/codec/{path}", json=encrypted, headers=headers)
                assert refused.status_code == status, refused.text
                assert refused.headers["content-type"] == "application/problem+json"
    said = [one for one in caplog.messages if one.startswith("refused /codec/")]
    assert len(said) == 16


@pytest.mark.parametrize("origin", [UI, "http://localhost:8233"])
async def test_temporals_pages_read_for_an_operator_who_is_signed_in(
    signed_in: SignedIn, encrypted: dict[str, Any], origin: str
) -> None:
    operator = await signed_in(ADA)
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
    }
    allowed = await operator.options("/codec/decode", headers=asks)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == origin
    assert allowed.headers["access-control-allow-credentials"] == "true"
    answer = await operator.post(
        "/codec/decode", json=encrypted, headers={"Origin": origin, "X-Namespace": "default"}
    )
    assert read(answer) == TEXT
    assert answer.headers["access-control-allow-origin"] == origin


async def test_no_other_page_and_no_other_path_is_shared(signed_in: SignedIn) -> None:
    operator = await signed_in(ADA)
    asks = {"Access-Control-Request-Method": "POST"}
    for origin, path in ((UI, "/"), ("https://elsewhere.example", "/codec/decode")):
        answer = await operator.options(path, headers={**asks, "Origin": origin})
        assert "access-control-allow-origin" not in answer.headers


async def test_what_is_malformed_or_too_large_is_refused(
    with_token: WithToken, encrypted: dict[str, Any]
) -> None:
    service = await with_token("codec")
    for body in (
        "",
        "{",
        '{"payloads": 1}',
        '{"payloads": [{"data": 7}]}',
        '{"other": []}',
    ):
        answer = await service.post("/codec/decode", content=body)
        assert answer.status_code == 422, body
    large = {"payloads": [{"data": _base64(b"x" * 2_000_000)}]}
    assert (await service.post("/codec/decode", json=large)).status_code == 200
    large["payloads"] *= 2
    assert (await service.post("/codec/decode", json=large)).status_code == 413
    assert (await service.post("/api/v1/requests", json=large)).status_code == 413
    [payload] = encrypted["payloads"]
    changed = {"payloads": [{**payload, "data": _base64(b"x" * 40)}]}
    altered = await service.post("/codec/decode", json=changed)
    assert altered.json()["type"] == "urn:clearance:problem:altered"
    payload["metadata"]["encryption-key-id"] = _base64(b"2020-01-01-gone")
    unknown = await service.post("/codec/decode", json=encrypted)
    assert (unknown.status_code, unknown.json()["type"]) == (
        503,
        "urn:clearance:problem:missing-key",
    )
    assert "the key '2020-01-01-gone'" in unknown.json()["detail"]


class TestTooOften:
    """With a rate that a test reaches."""

    @pytest.fixture
    def web_config(self, web_config: WebConfig) -> WebConfig:
        return web_config.model_copy(update={"rates": Rates(codec="2/minute")})

    async def test_an_operator_is_held_back(
        self, signed_in: SignedIn, inbox: Context, encrypted: dict[str, Any]
    ) -> None:
        operator = await signed_in(ADA)
        here = {"Origin": inbox.url}
        codes = [
            (await operator.post("/codec/decode", json=encrypted, headers=here)).status_code
            for _ in range(3)
        ]
        assert codes == [200, 200, 429]


class TestWithoutKeys:
    """Where nothing is encrypted."""

    @pytest.fixture
    async def approvals(self, connection: dict[str, Any], settings: Settings) -> ApprovalClient:
        client = await connect(connection)
        return ApprovalClient(client, task_queue=settings.approvals_queue)

    async def test_there_is_no_codec(self, with_token: WithToken) -> None:
        service = await with_token("codec")
        answer = await service.post("/codec/decode", json={"payloads": []})
        assert answer.status_code == 404
        assert "set CLEARANCE_ENCRYPTION_KEYS" in answer.json()["detail"]


async def test_temporals_own_command_shows_it_with_a_token_and_not_without(
    approvals: ApprovalClient, inbox: Context, server: EmbeddedServer
) -> None:
    asked = await approvals.request(TEXT)
    token, _ = await inbox.store.tokens.create("shell", ["codec"], lasts=None)
    endpoint = ("--codec-endpoint", f"{inbox.url}/codec")
    ways = {
        "no codec": (),
        "a token": (*endpoint, "--codec-auth", f"Bearer {token}"),
        "no token": endpoint,
        "a wrong token": (*endpoint, "--codec-auth", "Bearer clr_x_y"),
    }

    shown = await asyncio.gather(*(_show(server, asked.id, *way) for way in ways.values()))

    assert [name for name, said in zip(ways, shown, strict=True) if TEXT in said] == ["a token"]


async def _show(server: EmbeddedServer, id: str, *options: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(embedded.temporal_command(), "workflow", "show", "--workflow-id", id, "--detailed"),
        *("--address", server.address, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()
