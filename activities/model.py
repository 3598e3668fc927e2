"""Where model calls go: any server that speaks OpenAI's protocol."""

from datetime import timedelta
from typing import Literal

from agents import Model, ModelProvider, OpenAIProvider
from openai import AsyncOpenAI
from temporalio.common import RetryPolicy
from temporalio.openai_agents import ModelActivityParameters

CALL = ModelActivityParameters(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=30),
    # A provider that is down for the night must not end a run that may hold a person's approval;
    # a wrong key or an unknown model is final at once (the plugin tells them apart by status).
    schedule_to_close_timeout=timedelta(days=1),
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
)


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
        client = AsyncOpenAI(api_key=api_key or "none", base_url=base_url, max_retries=0)
        self._model = model
        self._provider = OpenAIProvider(openai_client=client, use_responses=api == "responses")

    def get_model(self, model_name: str | None) -> Model:
        """The model an agent names, else the configured one."""
        return self._provider.get_model(model_name or self._model)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._provider.aclose()
