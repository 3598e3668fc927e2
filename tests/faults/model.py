"""A model that plays what its prompt says: JSON, one call of ``pay`` after the other."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.model_server import Answer, Call, ModelServer, Text, calls, model_server


class _Script(list[Answer]):
    """The answer to whatever was asked last; it never ends, and remembers nothing."""

    def __init__(self, server: ModelServer) -> None:
        super().__init__([Text("")])
        self._server = server

    def pop(self, index: Any = 0) -> Answer:
        asked = self._server.requests.pop()
        said, done = asked.body["input"], len(asked.results)
        prompt = said if isinstance(said, str) else said[0]["content"]
        script: list[dict[str, Any]] = json.loads(prompt)
        if done == len(script):
            return Text("; ".join(asked.results.values()))
        return calls(Call("pay", json.dumps(script[done]), f"call_{done + 1}"))


@asynccontextmanager
async def scripted() -> AsyncIterator[ModelServer]:
    """Serve on a free port of 127.0.0.1 for as long as the context is open."""
    async with model_server() as server:
        server.answers = _Script(server)
        yield server
