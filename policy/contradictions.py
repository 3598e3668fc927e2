"""What a checkpoint says that doesn't go together, so that no request could be made by it.

Told when a file is loaded, and only then: the models take it, because runs bring along policies that
were loaded before a rule was there. A request by such terms is refused when it is made.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from clearance import ApprovalRequest, contract, rules

from .model import Checkpoint
from .schemas import schema_problem
from .terms import StageKeys, TermsKeys

Fault = tuple[tuple[str | int, ...], str]
"""Where in the checkpoint, as pydantic calls a place, and what is wrong."""

_WORD = re.compile(r"[a-z_]+")

_STAGES_OWN = tuple(name for name in TermsKeys.model_fields if name != "deadline")


def contradictions(checkpoint: Checkpoint) -> Iterator[Fault]:
    """Everything of it that only shows in several keys together, and a schema that can't be applied."""
    schema = checkpoint.response_schema
    if schema is not None and (error := schema_problem(schema)):
        yield ("response_schema",), f"no answer could be checked against it: {error}"
    if checkpoint.stage:
        misplaced = [name for name in _STAGES_OWN if name in checkpoint.model_fields_set]
        for name in misplaced:
            yield (name,), "it belongs under each [[checkpoint.stage]] where there are stages"
        if misplaced:
            return
    try:
        request = ApprovalRequest(action="-", **_stated(checkpoint).terms(None))
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            message = fault["msg"].removeprefix("Value error, ")
            yield _fault(checkpoint, fault["loc"], message.replace("expires_in", "deadline"))
        return
    yield from _never_approved(checkpoint, request)


def _stated(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the deadline that it has where a run says nothing about its own."""
    deadline = checkpoint.deadline or f"{contract.DEFAULT_EXPIRY.days}d"
    return checkpoint.model_copy(update={"deadline": deadline})


def _never_approved(checkpoint: Checkpoint, request: ApprovalRequest) -> Iterator[Fault]:
    """Terms by which nobody, or not enough people, could ever approve."""
    if not request.stages:
        if reason := rules.refuse_request(request):
            yield _fault(checkpoint, (), reason)
        return
    for number, stage in enumerate(request.stages):
        alone = request.model_copy(update={"stages": (stage,)})
        if reason := rules.refuse_request(alone):
            said = reason.removeprefix(f"stage {stage.name}: ")
            yield _fault(checkpoint, ("stages", number), said)


def _fault(checkpoint: Checkpoint, place: tuple[Any, ...], message: str) -> Fault:
    """A fault of the request, where the file has what it is about."""
    of: Checkpoint | StageKeys = checkpoint
    at: tuple[str | int, ...] = ()
    if place[:1] == ("stages",):
        at = ("stage", *place[1:2])
        of = checkpoint.stage[place[1]] if len(place) > 1 else of
        place = place[2:]
    if place:
        key = "deadline" if place[0] == "expires_in" else place[0]
        return (*at, key, *place[1:]), message
    # What is about several keys names them: it is told at the first that is there.
    named = (word for word in _WORD.findall(message) if word in of.model_fields_set)
    key = next(named, None)
    return (*at, key) if key else at, message
