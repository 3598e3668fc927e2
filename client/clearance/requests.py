"""``ApprovalRequest``: what a person is asked to allow."""

import contextlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, field_validator, model_validator

from . import contract, mask, template, text, wording
from .fields import Digest, Name, Prose, check_arguments, check_details, digest_of, same_json
from .grants import GrantUse
from .signatures import DecisionKeys, unset
from .stages import Stage, Terms, check_stages

Risk = Literal["low", "medium", "high", "critical"]


class ApprovalRequest(Terms):
    """What a person is asked to allow, and on which terms (``clearance.stages.Terms``).

    Only ``action`` is needed. With ``tool``, what is approved is that tool with exactly those
    ``arguments``; without, the words themselves (``action`` and ``details``) are.
    """

    action: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=1, max_length=contract.MAX_ACTION_CHARS
        ),
    ]
    """What is about to happen, in one sentence: 1 to 500 characters."""

    details: str = ""
    """Whatever the reviewer has to read, a draft for instance: at most 64 KB of UTF-8."""

    tool: Name | None = None
    """The tool that will run."""

    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """The arguments it will run with: at most 256 KB as JSON. Secrets among them are masked."""

    masked: Annotated[tuple[str, ...], Field(max_length=mask.MAX_MASKED)] = ()
    """JSON pointers (RFC 6901) of the arguments that are masked, at most 500 and 64 KB. ``concealed``
    sets it."""

    sealed_digest: Digest | None = None
    """The digest over the real arguments, where some are masked."""

    impact: Prose = ""
    """What it does to the world if it runs: at most 2,000 characters, as each of the next two."""

    user_prompt: Prose = ""
    """What the agent was told to do."""

    agent_message: Prose = ""
    """What the agent said last before it called the tool."""

    run_id: Name | None = None
    """Workflow id of the run that asks."""

    requester: Name | None = None
    """Who started that run."""

    checkpoint: Name | None = None
    """The policy rule that stopped the tool."""

    policy_digest: Digest | None = None
    """SHA-256 of the policy file that the run goes by."""

    decision_keys: DecisionKeys = Field((), exclude_if=unset)
    """Where any are named, only what one of them has signed decides or changes the request."""

    risk: Risk = "medium"

    stages: Annotated[tuple[Stage, ...], Field(max_length=contract.MAX_STAGES)] = ()
    """Asked one after the other, at most 10, each on its own terms; those of the request are then
    left as they are."""

    self_approval: tuple[Literal["requester", "editor"], ...] | None = None
    """Whose own approval counts: of who asked for the run, of who changed the arguments. Left out:
    both where anyone may decide, and neither where an audience, a quorum or stages are named."""

    previous: Annotated[str, StringConstraints(max_length=contract.MAX_ID_CHARS)] | None = None
    """The approval in which changes were requested, of which this is the next attempt."""

    attempt: Annotated[int, Field(ge=1, le=contract.MAX_ATTEMPTS)] = 1
    """Which attempt this is."""

    response_schema: dict[str, JsonValue] | None = None
    """JSON Schema of the answer that an approval has to carry: at most 64 KB. One person gives it."""

    editable: bool | tuple[Name, ...] = False
    """Whether a reviewer may change arguments while approving: all, or those named."""

    arguments_schema: dict[str, JsonValue] | None = None
    """JSON Schema that changed arguments have to fit: at most 64 KB."""

    description_template: (
        Annotated[str, StringConstraints(max_length=contract.MAX_TEMPLATE_CHARS)] | None
    ) = None
    """First line the action, the rest the details; filled anew when arguments are changed."""

    confirm_phrase: Prose | None = None
    """What a reviewer has to type to approve; a template (``{symbol}``) filled from the arguments."""

    usable_for: (
        Annotated[timedelta, Field(ge=timedelta(seconds=1), le=contract.MAX_USABLE)] | None
    ) = None
    """How long after its approval an agent outside Temporal may take its permission to act
    (``ApprovalClient.consume``): 1 second to 30 days; an hour where nothing is said."""

    grantable: bool = False
    """Whether a reviewer may approve further calls like this one in advance."""

    grant: GrantUse | None = None
    """The standing approval that this call makes use of; nobody is asked then."""

    version: Annotated[int, Field(ge=1, le=contract.VERSION)] = 1
    """``contract.VERSION`` of who asks. A worker that is older refuses it: upgrade workers first."""

    @field_validator("masked", mode="before")
    @classmethod
    def _few_enough(cls, value: object) -> object:
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            mask.check(value)
        return value

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        check_details(self.details)
        check_arguments(self.arguments)
        for field in ("arguments_schema", "response_schema"):
            size = len(json.dumps(getattr(self, field) or {}))
            if size > contract.MAX_DETAILS_BYTES:
                raise ValueError(f"{field} is {size:,} bytes, at most 65,536: simplify it")
        return self

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        if self.stages:
            check_stages(self, self.stages)
        if self.response_schema is not None and any(one.quorum > 1 for one in self.chain):
            raise ValueError("response_schema: one person answers, so the quorum is 1")
        return self

    @model_validator(mode="after")
    def _fits_the_index(self) -> Self:
        # Temporal would refuse to start the request; inside a workflow that fails its task, again
        # and again, and nobody sees why.
        for field in ("tool", "requester", "checkpoint"):
            size, most = len(json.dumps(getattr(self, field))), contract.MAX_INDEXED_BYTES
            if size > most:
                said = f"{size:,} bytes of Temporal's index, at most {most:,}"
                raise ValueError(f"{field} takes {said}: name it more shortly")
        return self

    @model_validator(mode="after")
    def _masks_are_whole(self) -> Self:
        if bool(self.masked) is not (self.sealed_digest is not None):
            raise ValueError("masked and sealed_digest come together: leave both to the gate")
        if self.masked:
            mask.reveal(self.arguments, self.arguments, self.masked)
        return self

    @property
    def chain(self) -> tuple[Stage, ...]:
        """The stages; of a request without any, its own terms as the only one."""
        if self.stages:
            return self.stages
        terms = {field: getattr(self, field) for field in Terms.model_fields}
        return (Stage.model_construct(name="decision", **terms),)

    @property
    def open_to_anyone(self) -> bool:
        """Whether nothing is said about who decides, so that a bare signal does."""
        named = self.audience or self.stages or self.quorum > 1 or self.reject_quorum > 1
        return not named and self.self_approval is None

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of what is approved.

        Of canonical ``{tool, arguments}``, with the real arguments where some are masked; for a
        request without a tool, of its words.
        """
        if self.sealed_digest is not None:
            return self.sealed_digest
        subject: dict[str, JsonValue] = {"tool": self.tool, "arguments": self.arguments}
        if self.tool is None:
            subject |= {"action": self.action, "details": self.details}
        return digest_of(subject)

    @property
    def phrase(self) -> str | None:
        """What a reviewer has to type to approve, as it is shown; None where nothing is asked.

        Nobody types more than 200 characters: it is cut there.
        """
        if self.confirm_phrase is None:
            return None
        limit = contract.MAX_PROSE_CHARS
        filled = text.one_line(template.fill(self.confirm_phrase, self.arguments, limit=limit))
        return filled[: contract.MAX_NAME_CHARS].strip() or self.tool or "approve"

    def concealed(self, secrets: frozenset[str] = mask.SECRETS) -> "ApprovalRequest":
        """This request as it may be stored and shown: secrets masked, in the texts too.

        Its digest stays that of the real arguments. Where another argument repeats a secret it stays:
        else a model could hide any from its reviewer.

        Raises:
            pydantic.ValidationError: masking made a text longer than its limit, or there are too
                many secrets.
        """
        shown, masked = mask.conceal(self.arguments, secrets)
        if self.masked or not masked:
            return self
        texts = ("action", "details", "impact", "user_prompt", "agent_message")
        clean: dict[str, Any] = {
            name: mask.scrub(getattr(self, name), self.arguments, masked) for name in texts
        }
        clean["action"] = clean["action"][: contract.MAX_ACTION_CHARS]
        clean |= {"arguments": shown, "masked": masked, "sealed_digest": self.digest}
        for name in ("impact", "user_prompt", "agent_message"):
            clean[name] = clean[name][: contract.MAX_PROSE_CHARS]
        return ApprovalRequest.model_validate({**dict(self), **clean})

    def sent(
        self, secrets: frozenset[str] = mask.SECRETS, decision_keys: DecisionKeys = ()
    ) -> "ApprovalRequest":
        """This request as it goes to its workflow: concealed, of this version, and with keys pinned
        where it pins none. Raises likewise."""
        fixed = {"version": contract.VERSION, "decision_keys": self.decision_keys or decision_keys}
        return self.concealed(secrets).model_copy(update=fixed)

    def with_arguments(self, arguments: Mapping[str, JsonValue]) -> "ApprovalRequest":
        """This request with other arguments: its words filled anew, its digest a new one.

        Where arguments are masked, the new digest covers the old one, and with it the secrets.
        With the arguments it has, it is this very request.

        Raises:
            pydantic.ValidationError: the arguments break a limit, or a masked one was changed.
        """
        arguments = dict(arguments)
        if same_json(arguments, self.arguments):  # of what is no JSON, the model says so
            return self
        change: dict[str, Any] = {"arguments": arguments}
        if self.sealed_digest is not None:
            covered: Any = {
                "tool": self.tool,
                "arguments": arguments,
                "original": self.sealed_digest,
            }
            with contextlib.suppress(TypeError, ValueError):  # no JSON: said below
                change["sealed_digest"] = digest_of(covered)
        if self.description_template is not None:
            change |= wording.described(self.description_template, arguments)
        return ApprovalRequest.model_validate({**dict(self), **change})

    def deadline(self, requested_at: datetime) -> datetime | None:
        """When it expires, or its first stage does, if asked at ``requested_at``; None for never."""
        length = self.chain[0].expires_in
        return None if length is None else requested_at + length

    def memo(self) -> dict[str, JsonValue]:
        """What a list shows, as plain JSON: the fields of ``ApprovalSummary`` that don't change."""
        kept = {"action", "tool", "run_id", "requester", "checkpoint", "risk", "attempt"}
        plain: dict[str, JsonValue] = self.model_dump(mode="json", include=kept)
        first = self.chain[0].model_dump(mode="json", include={"audience", "quorum", "expires_in"})
        if self.stages:
            plain |= {"stage": 1, "stages": [stage.name for stage in self.stages]}
        if self.decision_keys:
            plain["decision_keys"] = [one.id for one in self.decision_keys]
        return {**plain, **first, "digest": self.digest}
