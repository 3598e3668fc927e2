"""Tools by which an agent asks a person something, and gets an answer of a known form.

``wait_for_confirmation`` takes yes or no; these take choices, numbers and texts, whatever a pydantic
model describes::

    class Colour(BaseModel):
        colour: Literal["red", "green"]

    Agent(name="painter", tools=[question("ask_colour", Colour, "Ask which colour to paint it.")])
"""

from collections.abc import Sequence
from typing import Any

import pydantic
from agents import FunctionTool, RunContextWrapper, Tool, function_tool
from pydantic import BaseModel, JsonValue

from clearance.errors import explain
from clearance.models import Outcome
from policy.schemas import schema_problem

from .asking import answer as told
from .confirmation import ask_outright, tell_model, wait_for_confirmation

_ASKS = "_clearance_asks"


def question(
    name: str, answer: type[BaseModel], description: str, *, audience: Sequence[str] = ()
) -> FunctionTool:
    """A tool that asks a person and tells the model the answer, as JSON of ``answer``.

    A checkpoint that matches its name says who answers and by when; it isn't gated besides. Whoever
    doesn't want to answer rejects, and the model is told so.

    Args:
        name: of the tool.
        answer: the model of the answer. Its descriptions are shown to whoever answers.
        description: for the agent: when to ask.
        audience: who may answer, where no checkpoint says so; nobody named: anyone.

    Raises:
        ValueError: no answer could be checked against the model's JSON Schema, because of a pattern
            that RE2 doesn't know for instance.
    """
    schema: dict[str, JsonValue] = answer.model_json_schema()
    if problem := schema_problem(schema):
        raise ValueError(f"{name}: no answer could be checked against {answer.__name__}: {problem}")

    async def ask_person(ctx: RunContextWrapper[Any], question: str, details: str = "") -> str:
        """Ask a person, and wait for the answer.

        Args:
            question: What you want to know, in one sentence of at most 500 characters.
            details: Everything the person has to read to answer.
        """
        given: dict[str, JsonValue] = {"question": question, "details": details}
        words = {"action": question, "details": details}
        outcome = await ask_outright(
            ctx, name, given, audience=audience, response_schema=schema, **words
        )
        return _answered(outcome, name, answer)

    tool: FunctionTool = function_tool(
        ask_person,
        name_override=name,
        description_override=description,
        failure_error_function=tell_model,
    )
    # On what is called, and naming it: a copy of the tool that calls something else doesn't ask.
    setattr(tool.on_invoke_tool, _ASKS, tool.on_invoke_tool)
    return tool


def asks_itself(tool: Tool) -> bool:
    """Whether a tool does nothing but ask a person, so that no gate is needed before it."""
    if not isinstance(tool, FunctionTool):
        return False
    invoke = tool.on_invoke_tool
    return tool is wait_for_confirmation or getattr(invoke, _ASKS, None) is invoke


def _answered(outcome: Outcome, name: str, answer: type[BaseModel]) -> str:
    """What the model is told: the answer, or why there is none."""
    if outcome.approved is not True:
        return told(outcome, name)
    try:
        return outcome.answer(answer).model_dump_json()
    except pydantic.ValidationError as error:
        return f"The answer can't be taken: {explain(error)}. Call {name} again to ask anew."
