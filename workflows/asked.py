"""Reading a request that anybody may have sent, in any shape."""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import pydantic

    from clearance.errors import explain
    from clearance.requests import ApprovalRequest
    from clearance.signatures import Signature, Signatures
    from clearance.signing import verifier
    from tools.examine import schema_problem


def read(request: Any) -> tuple[ApprovalRequest, str | None]:
    """The request, and None; or one in its place, and why it can't be taken."""
    try:
        return _parse(request), None
    except pydantic.ValidationError as error:
        reason = explain(error)
    except ValueError as error:
        reason = str(error)
    return ApprovalRequest(action="(malformed request)"), reason


def signatures_of(request: ApprovalRequest) -> Signatures:
    """What judges and keeps the signatures on a request, as the keys that it pins say."""
    info = workflow.info()
    # The first execution's id stays when the request is reset, so that what was taken is taken again;
    # it is another one where the request is asked anew under the same id.
    execution = info.first_execution_run_id
    of = {"approval_id": info.workflow_id, "execution": execution}
    judge = verifier(request.decision_keys, **of)

    def verify(said: pydantic.BaseModel, signature: Signature) -> str | None:
        # Where a signature is wrong, cryptography's compiled part imports the error that it raises; the
        # sandbox's own importer would fail there, and so abort the whole process.
        with workflow.unsafe.imports_passed_through():
            return judge(said, signature)

    return Signatures(request.decision_keys, verify, **of)


def _parse(request: Any) -> ApprovalRequest:
    """The request; raises ValueError, pydantic's own included, for one that can't be taken."""
    parsed = ApprovalRequest.model_validate(
        {"action": request} if isinstance(request, str) else request
    )
    if parsed.response_schema and (problem := schema_problem(parsed.response_schema)):
        raise ValueError(f"response_schema: {problem}")
    if parsed.grant is None:
        return parsed
    parent = workflow.info().parent
    if parent is None or parsed.grant.grant_id.rpartition(".")[0] != parent.workflow_id:
        raise ValueError("grant: only a run makes use of a standing approval that it was given")
    carries = parsed.confirm_phrase is not None or parsed.response_schema is not None
    if parsed.quorum > 1 or parsed.stages or carries:
        raise ValueError("grant: it stands for no second person, no phrase and no answer")
    return parsed
