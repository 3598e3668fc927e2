"""Whether a stage of a request is asked: its condition, over the arguments as they are by then."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from pydantic import JsonValue

from clearance import contract, mask
from clearance.requests import ApprovalRequest
from clearance.stages import Stage
from policy.condition import Call, arguments_in, kept


def applies(request: ApprovalRequest, stage: Stage) -> bool:
    """Whether somebody has to be asked in this stage.

    Only a condition that clearly doesn't hold passes a stage over. One that can't be evaluated
    doesn't, nor one that names a masked argument, nor one to whose answer it matters whether what is
    masked is there.

    Args:
        request: as it is now, with the changes of the stages before.
        stage: of that request.
    """
    condition = stage.when
    if condition is None:
        return True
    if request.masked and _reaches(condition, {_path(one)[0] for one in request.masked}):
        return True
    return _may_apply(_Same(request), condition)


def _reaches(condition: str, masked: Iterable[str]) -> bool:
    """Whether a condition names one of these arguments, or goes through all that there are."""
    return arguments_in(condition) is None or any(name in condition for name in masked)


class _Same:
    """A request, itself and no other that is equal to it: to compare them takes too long."""

    def __init__(self, request: ApprovalRequest) -> None:
        self.request = request

    def __hash__(self) -> int:
        return id(self.request)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.request is self.request


@lru_cache(maxsize=8 * contract.MAX_STAGES)
def _may_apply(same: _Same, condition: str) -> bool:
    return any(_may_hold(condition, call) for call in _calls(same))


@lru_cache(maxsize=8)
def _calls(same: _Same) -> list[Call]:
    """What conditions are asked about, for all the stages of a request that are looked at in a row.

    There may be 100,000 values to look through, and a workflow's task has two seconds.
    """
    request = same.request
    readings = [request.arguments]
    if request.masked:
        readings.append(_without(request.arguments, request.masked))
    names = {"tool": request.tool or "", "agent": "", "requester": request.requester or ""}
    return [Call({"args": arguments, **names}) for arguments in readings]


def _path(pointer: str) -> list[str]:
    """The steps of a JSON pointer (RFC 6901)."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _without(arguments: dict[str, JsonValue], pointers: Sequence[str]) -> dict[str, JsonValue]:
    """A copy without what is there, which a gate of ours finds only under names."""
    left = mask.opened(arguments, pointers)
    for *steps, name in map(_path, pointers):
        inside: Any = left
        for step in steps:
            inside = inside[int(step) if type(inside) is list else step]
        if type(inside) is dict:
            inside.pop(name, None)
    return left


def _may_hold(condition: str, call: Call) -> bool:
    try:
        return kept(condition).holds(call) is not False
    except ValueError:
        return True
