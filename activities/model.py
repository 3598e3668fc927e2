"""Where model calls go: any server that speaks OpenAI's protocol."""

import json
from datetime import timedelta
from typing import Any, Literal

from agents import Model, ModelProvider, ModelResponse, OpenAIProvider
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionToolCall
from openai.types.responses.response_output_item import McpApprovalRequest
from temporalio.common import RetryPolicy
from temporalio.openai_agents import ModelActivityParameters

from clearance.fields import inside

OPENAI = "https://api.openai.com/v1"

CALL = ModelActivityParameters(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=30),
    # A provider that is down for the night must not end a run that may hold a person's approval;
    # a wrong key or an unknown model is final at once (the plugin tells them apart by status).
    schedule_to_close_timeout=timedelta(days=1),
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
)

_MAX_DEPTH = 100
"""Of a tool call's arguments. What reads them recurses, and a workflow's stack is not empty."""


class ConfiguredModels(ModelProvider):
    """OpenAI's client on a given server. The configured model serves agents that name none."""

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None,
        model: str | None,
        api: Literal["responses", "chat_completions"],
    ) -> None:
        """Open nothing yet; the first call connects.

        Args:
            api_key: may be None for a server that asks for none.
            base_url: None for OpenAI's own.
            model: None for the Agents SDK's default.
            api: which of the two protocols the server speaks.
        """
        # Temporal retries; a client that retried too would multiply the attempts.
        # The address is always given: left out, the client would read the environment itself.
        self._client = AsyncOpenAI(
            api_key=api_key or "none", base_url=base_url or OPENAI, max_retries=0
        )
        self._model = model
        self._provider = OpenAIProvider(
            openai_client=self._client, use_responses=api == "responses"
        )

    def get_model(self, model_name: str | None) -> Model:
        """The model an agent names, else the configured one."""
        return _Readable(self._provider.get_model(model_name or self._model))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._provider.aclose()
        await self._client.close()  # which the provider leaves open, as others might share it


class _Readable(Model):
    """A model none of whose tool calls can stop the workflow that reads them.

    The Agents SDK digests a call's arguments before any tool sees them, and raises over half a
    surrogate pair or over lists nested a thousand deep. In a workflow that is no answer to the
    model but a failed task, which Temporal tries again for ever.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        response = await self._model.get_response(*args, **kwargs)
        for item in response.output:
            if not isinstance(item, ResponseFunctionToolCall | McpApprovalRequest):
                continue
            if not _readable(item.arguments):
                item.arguments = "(arguments that can't be read)"  # not JSON: the tool refuses it
        return response

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("agent runs don't stream")

    async def close(self) -> None:
        await self._model.close()


def _readable(arguments: str) -> bool:
    try:
        arguments.encode()
        value = json.loads(arguments)
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeError, RecursionError):
        return False
    except ValueError:
        return True  # no JSON, which tools refuse in their own words
    level, depth = [value], 0
    while level := [child for one in level for child in inside(one)]:
        depth += 1
    return depth <= _MAX_DEPTH
