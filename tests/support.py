"""What tests of several rooms share."""

import asyncio
import os
import secrets
import subprocess
import time
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from agents import Model, ModelResponse, Usage
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

T = TypeVar("T")


def unique(prefix: str) -> str:
    """A name no other test uses."""
    return f"{prefix}-{secrets.token_hex(4)}"


async def eventually(probe: Callable[[], Awaitable[T]], *, within: float = 20.0) -> T:
    """The first truthy answer of ``probe``; fails the test if none comes within that many seconds."""
    begun = time.monotonic()
    while True:
        answer = await probe()
        if answer:
            return answer
        waited = time.monotonic() - begun
        assert waited < within, f"still {answer!r} after {within} s"
        await asyncio.sleep(min(0.1, 0.02 + waited / 10))  # asking takes processor time


def call(name: str, arguments: str, call_id: str = "call_1") -> ResponseFunctionToolCall:
    """A model's call of a tool."""
    return ResponseFunctionToolCall(
        type="function_call", name=name, arguments=arguments, call_id=call_id, id=call_id
    )


def says(text: str) -> ResponseOutputMessage:
    """A model's final words."""
    return ResponseOutputMessage(
        id="msg_1",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputText(type="output_text", text=text, annotations=[])],
    )


def missing(what: str, install: str) -> NoReturn:
    """Skip a test for want of a program that it runs; fail it where CI has to have it."""
    said = f"{what} is missing: {install}"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


class PlayedModel(Model):
    """Plays its turns in order; keeps what it was sent. Stands in where the model isn't the subject."""

    def __init__(self, *turns: Sequence[ResponseFunctionToolCall | ResponseOutputMessage]) -> None:
        self.turns = list(turns)
        self.inputs: list[Any] = []

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        self.inputs.append(kwargs.get("input", args[1] if len(args) > 1 else None))
        return ModelResponse(output=list(self.turns.pop(0)), usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def run(*command: str, cwd: Path, **environment: str) -> str:
    """What a command printed; fails the test with its words where it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pinned_date() -> str:
    """The date that pins the packages of the repository, for tests that install some elsewhere."""
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    return str(settings["tool"]["uv"]["exclude-newer"])
