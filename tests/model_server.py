"""A model server over real HTTP that speaks both of OpenAI's protocols and plays scripted answers.

It is as strict as the real one where that matters: a request that OpenAI would refuse is answered
with 400, which fails the run, so a test that passes has sent what a real server takes.

    async with model_server(calls(Call("send_email", "{}")), Text("Sent.")) as server:
        ...  # OPENAI_BASE_URL=server.url OPENAI_API_KEY=server.key
        assert server.requests[1].results["call_1"] == "Approved"
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from aiohttp import web

from . import model_rules

Api = Literal["responses", "chat_completions"]

APIS: tuple[Api, ...] = ("responses", "chat_completions")

MODEL = "scripted-1"

KEY = "sk-tests-2f6c1b9ae07d"


@dataclass(frozen=True)
class Text:
    """Final words."""

    text: str


@dataclass(frozen=True)
class Call:
    """One call of a tool; ``arguments`` is sent as it is, JSON or not."""

    name: str
    arguments: str
    id: str = "call_1"


@dataclass(frozen=True)
class Calls:
    """One turn that calls tools, all at once."""

    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Asks:
    """One turn in which the provider wants to know whether it may call a tool of an MCP server."""

    server: str
    name: str
    arguments: str
    id: str = "mcpr_1"


@dataclass(frozen=True)
class Failure:
    """An HTTP status instead of an answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "scripted failure"


Answer = Text | Calls | Asks | Failure


def calls(*several: Call) -> Calls:
    """One turn that calls these tools."""
    return Calls(several)


@dataclass(frozen=True)
class Request:
    """What the server was sent."""

    api: Api
    key: str | None
    body: dict[str, Any]

    @property
    def tools(self) -> list[str]:
        """Names of the tools the model may call; of an MCP server, its label."""
        tools = [tool.get("function") or tool for tool in self.body.get("tools", [])]
        return [tool.get("name") or tool["server_label"] for tool in tools]

    @property
    def permissions(self) -> dict[str, tuple[bool, str | None]]:
        """By the id of what the provider asked: whether it may, and why not."""
        answers = [one for one in self.body["input"] if one.get("type") == "mcp_approval_response"]
        return {one["approval_request_id"]: (one["approve"], one.get("reason")) for one in answers}

    @property
    def results(self) -> dict[str, str]:
        """What each earlier call of a tool returned, by call id: the words the model reads."""
        if self.api == "responses":
            items = self.body["input"] if isinstance(self.body["input"], list) else []
            outputs = [item for item in items if item.get("type") == "function_call_output"]
            return {item["call_id"]: item["output"] for item in outputs}
        messages = [item for item in self.body["messages"] if item["role"] == "tool"]
        return {item["tool_call_id"]: item["content"] for item in messages}


class ModelServer:
    """What ``model_server`` yields. ``answers`` are played in order; add to them at any time."""

    def __init__(self, answers: Sequence[Answer], key: str | None) -> None:
        """Start with these answers, and with a key that every request must carry, if any."""
        self.answers = list(answers)
        self.requests: list[Request] = []
        """All of them, in order, also those answered with a failure."""
        self.key = key
        self.url = ""
        """What OPENAI_BASE_URL has to be."""
        self._numbers = count(1)

    def plays(self, *answers: Answer) -> "ModelServer":
        """Begin anew, with these answers."""
        self.answers, self.requests = list(answers), []
        return self

    async def _responses(self, request: web.Request) -> web.Response:
        return self._answer("responses", request, await request.json())

    async def _chat_completions(self, request: web.Request) -> web.Response:
        return self._answer("chat_completions", request, await request.json())

    def _answer(self, api: Api, request: web.Request, body: dict[str, Any]) -> web.Response:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        self.requests.append(Request(api, key if kind == "Bearer" else None, body))
        if self.key is not None and (kind, key) != ("Bearer", self.key):
            return _failure(401, "Incorrect API key provided")
        if wrong := model_rules.wrong(api, body):
            return _failure(400, wrong)
        if not self.answers:
            return _failure(400, "the script has no more answers")
        answer = self.answers.pop(0)
        if isinstance(answer, Failure):
            return _failure(answer.status, answer.message, answer.headers)
        shape = _as_response if api == "responses" else _as_chat_completion
        return web.json_response(shape(answer, next(self._numbers)))


@asynccontextmanager
async def model_server(
    *answers: Answer, key: str | None = KEY, port: int = 0
) -> AsyncIterator[ModelServer]:
    """Serve on 127.0.0.1, on a free port unless told one, for as long as the context is open."""
    server = ModelServer(answers, key)
    app = web.Application()
    app.router.add_post("/v1/responses", server._responses)
    app.router.add_post("/v1/chat/completions", server._chat_completions)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


def _failure(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"error": {"message": message, "type": "error", "param": None, "code": None}}
    return web.json_response(body, status=status, headers=headers)


def _as_response(answer: Text | Calls | Asks, number: int) -> dict[str, Any]:
    output: list[dict[str, Any]]
    if isinstance(answer, Text):
        content = {"type": "output_text", "text": answer.text, "annotations": []}
        message = {"type": "message", "role": "assistant", "status": "completed"}
        output = [{**message, "id": f"msg_{number}", "content": [content]}]
    elif isinstance(answer, Asks):
        asked = {"type": "mcp_approval_request", "id": answer.id, "server_label": answer.server}
        output = [{**asked, "name": answer.name, "arguments": answer.arguments}]
    else:
        output = [
            {
                "type": "function_call",
                "id": f"fc_{number}_{place}",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
                "status": "completed",
            }
            for place, call in enumerate(answer.calls)
        ]
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        },
    }


def _as_chat_completion(answer: Text | Calls | Asks, number: int) -> dict[str, Any]:
    assert not isinstance(answer, Asks), "that protocol has no MCP servers"
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if isinstance(answer, Text):
        message["content"] = answer.text
    else:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in answer.calls
        ]
    reason = "stop" if isinstance(answer, Text) else "tool_calls"
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
