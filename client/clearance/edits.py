"""What a reviewer changes in a request. Pure functions."""

from collections.abc import Iterable, Mapping

import pydantic
from pydantic import JsonValue

from . import mask
from .fields import canonical_json
from .models import Change, Outcome
from .requests import ApprovalRequest
from .text import one_line, some

_COMPARABLE = frozenset({str, int, bool, type(None)})
"""Equal if and only if their JSON is; of floats, ``0.0`` and ``-0.0`` are equal, their JSON isn't."""

NOT_EDITABLE = "this request takes no changes: approve or reject it as it is"


def refuse_edit(request: ApprovalRequest, arguments: Mapping[str, JsonValue]) -> str | None:
    """Judge a reviewer's changes to a request as it is now. Their schema is somebody else's matter."""
    if request.editable is False:
        return NOT_EDITABLE
    changes = differences(request.arguments, arguments)
    changed = [change.name for change in changes]
    if request.editable is not True:
        fixed = [name for name in changed if name not in request.editable]
        if fixed:
            return f"{one_line(fixed[0], 80)} can't be changed here, only {some(request.editable)}"
    if secret := _secret(request, changes):
        return f"{one_line(secret, 80)} would be there for everybody to read: leave secrets out"
    if not changed:
        return "the changed arguments are those of the request: approve it as it is"
    try:
        request.with_arguments(arguments)
    except pydantic.ValidationError as error:
        message = str(error.errors(include_url=False)[0]["msg"])
        return f"these changes can't be taken: {message.removeprefix('Value error, ')}"
    return None


def is_of(request: ApprovalRequest, outcome: Outcome) -> bool:
    """Whether an outcome is of this request, its masks on, and an edit one that the request allows."""
    edit = outcome.edit
    if edit is None or outcome.digest != request.digest or request.editable is False:
        return edit is None and outcome.digest == request.digest
    try:
        return request.with_arguments(edit.arguments).digest == edit.digest
    except pydantic.ValidationError:
        return False


def _secret(request: ApprovalRequest, changes: Iterable[Change]) -> str | None:
    """Where the changes would put a secret; what is masked was so when it was asked."""
    after = {change.name: change.after for change in changes if change.kind != "removed"}
    _, found = mask.conceal(after)
    return next((pointer for pointer in found if pointer not in request.masked), None)


def differences(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]
) -> tuple[Change, ...]:
    """What is not the same, argument by argument; ``1`` and ``1.0`` and ``true`` are not the same.

    The values were validated with what they come from, and aren't here again: 100,000 of them take
    a workflow task too long.
    """
    changes = []
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            changes.append(Change.model_construct(name=name, kind="removed", before=before[name]))
        elif name not in before:
            changes.append(Change.model_construct(name=name, kind="added", after=after[name]))
        elif not _same(before[name], after[name]):
            changes.append(
                Change.model_construct(
                    name=name, kind="changed", before=before[name], after=after[name]
                )
            )
    return tuple(changes)


def _same(before: JsonValue, after: JsonValue) -> bool:
    """Whether both are the same JSON; what writing both would take too long for is compared as is."""
    if type(before) is type(after) and type(before) in _COMPARABLE:
        return before == after
    return canonical_json(before) == canonical_json(after)
