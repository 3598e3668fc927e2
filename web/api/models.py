"""What services send and get, where it isn't a model of the client itself."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    StrictBool,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_wrap_validator_function

from clearance import ApprovalRequest, ApprovalSummary, ApprovalView, Page, contract
from clearance.fields import Digest, Name, Prose

Text = Annotated[
    str, StringConstraints(min_length=1, max_length=contract.MAX_REASON_CHARS, pattern=r"\S")
]
Reason = Annotated[str, StringConstraints(max_length=contract.MAX_REASON_CHARS)]

B = TypeVar("B", bound=BaseModel)

_NOT_FOR_CALLERS = {
    "masked": "the gate masks secrets itself",
    "sealed_digest": "the gate masks secrets itself",
    "run_id": "only a run says which it is",
    "checkpoint": "only a policy says what stopped a tool",
    "policy_digest": "only a run says which policy it goes by",
    "decision_keys": "the inbox says which keys sign what is decided",
    "grantable": "only a run makes use of a standing approval",
    "grant": "only a run makes use of a standing approval",
}


class _Strictly:
    """Lets a body be exactly what its model says, each value of its own JSON type."""

    def __get_pydantic_core_schema__(
        self, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def strictly(data: Any, otherwise: Callable[[Any], Any]) -> Any:
            if type(data) is not dict:
                return otherwise(data)
            # Strict rules for JSON are not those for Python values, which know no list for a tuple.
            try:
                plain = json.dumps(data, allow_nan=False)
            except RecursionError as error:
                raise ValueError("it is nested too deep") from error
            return source.model_validate_json(plain, strict=True)

        return no_info_wrap_validator_function(strictly, handler(source))


Json = Annotated[B, _Strictly()]
"""A body of a route. Nothing is coerced: ``"true"`` is no boolean, and 5 no text."""


class Body(BaseModel):
    """What a service sends: no other fields than these."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _without_the_gates_own(schema: JsonDict) -> None:
    properties = cast(JsonDict, schema["properties"])
    for name in _NOT_FOR_CALLERS:
        del properties[name]


class NewRequest(ApprovalRequest, Body):
    """What is about to happen, and who has to allow it. Only ``action`` is needed."""

    model_config = ConfigDict(
        json_schema_extra=_without_the_gates_own, use_attribute_docstrings=True
    )

    id: Annotated[str, StringConstraints(min_length=1, max_length=contract.MAX_ID_CHARS)] | None = (
        None
    )
    """An id of your own that no request has had: printable, no space at its ends. Not together with
    an ``Idempotency-Key``."""

    @model_validator(mode="after")
    def _says_only_what_a_caller_may(self) -> Self:
        for name, reason in _NOT_FOR_CALLERS.items():
            if name in self.model_fields_set:
                raise ValueError(f"{name}: {reason}; leave it out")
        return self

    def as_request(self, requester: str) -> ApprovalRequest:
        """What is asked; of ``requester``, where nobody is named."""
        said = {name: getattr(self, name) for name in ApprovalRequest.model_fields}
        said["requester"] = self.requester or requester
        return ApprovalRequest.model_validate(said)


class Verdict(Body):
    """A decision. Who decides is told by the token."""

    approved: StrictBool
    """True opens the gate."""
    digest: Digest
    """Of the request as it was read; with another one the decision is refused."""
    reason: Reason = ""
    stage: Annotated[int, Field(ge=1, le=contract.MAX_STAGES)] | None = None
    """Which stage was read, from 1; left out, the one that is asked now."""
    arguments: dict[str, JsonValue] | None = None
    """Run it with these instead: all of them, masked ones as they are shown."""
    changes: dict[str, JsonValue] | None = None
    """Run it with these changed, and the others as they are. Not together with ``arguments``."""
    confirmation: Prose | None = None
    """What has to be typed, where the request asks for a phrase."""
    response: JsonValue = None
    """The answer, where the request asks for one: at most 16 KB of JSON."""
    changes_requested: StrictBool = False
    """Of a rejection: ``reason`` says what to change before it is tried again."""


class Words(Body):
    """A comment, a question or an answer."""

    text: Text


class HandOver(Body):
    """To whom a decision is handed over."""

    to: Name
    reason: Reason = ""


class Why(Body):
    """Why a request is withdrawn."""

    reason: Reason = ""


class WouldDo(Body):
    """What somebody is about to do."""

    digest: Digest
    """Of what was approved: the request's, or that of the changes where a reviewer made some."""


class Did(Body):
    """What an action did."""

    succeeded: StrictBool
    summary: Reason = ""
    """What it did, or why it failed."""


class Waiting(Page[ApprovalSummary]):
    """What waits for a decision, one page of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    served: bool
    """False while no worker is there: decisions are recorded, and take effect when one is back."""


class Untaken(BaseModel):
    """A decision or an act that has not taken effect yet."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    what: str
    """`approval`, `rejection`, `request for changes`, `comment` ..."""
    who: str | None
    """In whose name; null where it has none."""


class Read(ApprovalView):
    """The whole record of one request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    served: bool
    """False where it waits and no worker is there: a decision is recorded, and takes effect when one
    is back."""
    recorded: list[Untaken]
    """What was decided and done meanwhile, the latest last. Whether it counts is known when a worker is
    back."""


class StillWaits(BaseModel):
    """Nobody has decided yet."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    approval_id: str
    status: Literal["pending"] = "pending"


class ClassicRequest(Body):
    """An action that waits for a person."""

    request_id: Annotated[str, StringConstraints(min_length=1, max_length=contract.MAX_ID_CHARS)]
    """An id that no request has had."""
    action_description: Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
    """What is about to happen: at most 64 KB, with what the next field says."""
    agent_context: JsonValue = None
    """Whatever a reviewer should know, of any shape; shown as JSON."""
    timestamp: datetime | float | None = None
    """When the agent asked, by its own clock: ISO 8601, or seconds since 1970."""


class ClassicDecision(Body):
    """A decision on what is there now."""

    decision: Literal["approved", "rejected"] | StrictBool
    reason: Reason = ""


class ClassicAnswer(BaseModel):
    """A request, and how it stands."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    request_id: str
    status: Literal["pending", "approved", "rejected"]
    decided_by: str | None = None
    """As whom the decision counts; None where there was none."""
