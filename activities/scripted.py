"""A scripted model for the demo: plays the sample agents where no real model is configured.

It takes the turns a real one would: one tool call after the other, then an answer made from what
the last tool said. It decides nothing: whether an action runs is the gate's business.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from agents import Model, ModelProvider, ModelResponse, Usage
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

Step = Callable[[list[str]], tuple[str, dict[str, Any]]]
"""From the tools' outputs so far to the next call: name and arguments."""

_MAIL = {
    "to": "ada@example.com",
    "subject": "Your order A-1001 has shipped",
    "body": "Dear Ada,\n\nyour difference engine left our warehouse this morning and should be\n"
    "with you on Thursday. You can refuse it at the door at no cost.\n\nKind regards,\nThe shop\n",
}

_SCRIPTS: dict[str, list[Step]] = {
    "send_email": [lambda _: ("draft_email", _MAIL), lambda _: ("send_email", _MAIL)],
    "issue_refund": [
        lambda _: ("look_up_order", {"order_id": "A-1001"}),
        lambda _: ("issue_refund", {"order_id": "A-1001", "cents": 12_900}),
    ],
    "delete_records": [
        lambda _: ("list_stale_customers", {"before": "2020-01-01"}),
        lambda said: (
            "delete_records",
            {
                "customers": [
                    {"id": int(number), "name": name}
                    for number, name in re.findall(r"^(\d+): (.*),", said[0], re.MULTILINE)
                ]
            },
        ),
    ],
    "wait_for_confirmation": [
        lambda _: ("wait_for_confirmation", {"action": "Go on with the task", "details": ""})
    ],
}
"""By the tool that has the effect, which tells the sample agents apart."""

_REASONS = {
    "draft_email": "I draft the mail first.",
    "send_email": "The draft says that the order is on its way and what Ada can do. I send it now.",
    "look_up_order": "I look the order up first.",
    "issue_refund": "The order was paid in full and nothing was refunded yet. I refund what was paid.",
    "list_stale_customers": "I list the customers that nobody has seen first.",
    "delete_records": "These are all the customers last seen before the date. I delete them now.",
    "wait_for_confirmation": "I ask before I go on.",
}
"""What the agent says as it calls each tool."""


class ScriptedModel(Model):
    """Plays the script of whichever agent asks."""

    async def get_response(
        self,
        system_instructions: Any,
        input: Any,
        model_settings: Any,
        tools: Any,
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        """The next turn, told from the conversation alone: a retried call gives the same turn."""
        names = {tool.name for tool in tools}
        script = next(steps for effect, steps in _SCRIPTS.items() if effect in names)
        items = [] if isinstance(input, str) else input
        said = [str(i["output"]) for i in items if i.get("type") == "function_call_output"]
        if len(said) < len(script):
            name, arguments = script[len(said)](said)
            call = ResponseFunctionToolCall(
                type="function_call",
                id=f"call_{len(said) + 1}",
                call_id=f"call_{len(said) + 1}",
                name=name,
                arguments=json.dumps(arguments),
            )
            turn: list[Any] = [_message(_REASONS[name]), call]
        else:
            turn = [_message(_closing(said[-1]))]
        return ModelResponse(output=turn, usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        """Agent runs don't stream."""
        raise NotImplementedError("the scripted model does not stream")


class ScriptedModels(ModelProvider):
    """Every model name is the scripted model."""

    def get_model(self, model_name: str | None) -> Model:
        """The scripted model."""
        return ScriptedModel()


def _closing(last: str) -> str:
    verdict, _, reason = last.partition(": ")
    if verdict in ("Rejected", "Expired", "Withdrawn"):
        return f"I did not do it, because it was {verdict.lower()}: {reason}"
    return f"Done: {last}."


def _message(text: str) -> ResponseOutputMessage:
    return ResponseOutputMessage(
        id="message",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputText(type="output_text", text=text, annotations=[])],
    )
