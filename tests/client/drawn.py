"""Requests and the people of an office as Hypothesis draws them."""

from datetime import timedelta
from typing import Any

import pydantic
from hypothesis import strategies as st

from clearance import ApprovalRequest
from clearance.stages import Stage

from .allowed import ASKED, PEOPLE, Allowed, Office
from .records import DAY

audiences = st.lists(
    st.sampled_from(("ada", "BOB", "cyrus", "dee", "group:x", "Group:Y")),
    min_size=1,
    max_size=4,
    unique=True,
).map(tuple)
named = st.lists(st.sampled_from(("ada", "BOB", "cy", "dee")), min_size=1, unique=True).map(tuple)
days = st.integers(1, 6).map(timedelta)
setting = st.sampled_from((None, None, (), ("requester",), ("editor",), ("requester", "editor")))


def applies(request: ApprovalRequest, stage: Stage) -> bool:
    amount: Any = request.arguments["amount"]
    return stage.when is None or (amount > ASKED) is (stage.when == "over")


@st.composite
def offices(draw: st.DrawFn, *, listed: bool) -> Office:
    """A directory, or none."""
    several = st.frozensets(st.sampled_from(list(PEOPLE)), max_size=4)
    pairs = st.tuples(st.sampled_from([*PEOPLE, "mallory"]), st.sampled_from(list(PEOPLE)))
    return Office(
        listed=listed,
        groups={"group:x": draw(several), "group:y": draw(several)} if listed else {},
        stand_ins=tuple(draw(st.lists(pairs, max_size=3))) if listed else (),
        operators=frozenset({"eve"}) if listed else frozenset(),
    )


@st.composite
def requests(draw: st.DrawFn, *, stages: int, listed: bool) -> dict[str, Any]:
    """The fields of a request, with this many stages; none of them with 0, and -1 for anyone."""
    whole: dict[str, Any] = {
        "requester": draw(st.sampled_from((None, "ada", "COUNTESS", "bob", "mallory"))),
        "self_approval": draw(setting),
        "editable": draw(st.sampled_from((True, True, False))),
    }
    if stages < 0:
        return {**whole, "self_approval": draw(st.sampled_from((None, None, None, ())))}
    whens = draw(st.permutations((None, "over", "under", None)[: max(stages, 1)]))
    whole["terms"] = [
        {
            "name": f"stage {number}",
            "when": when,
            "audience": draw(audiences if listed else named),
            "quorum": draw(st.sampled_from((1, 2, 2, 3))),
            "reject_quorum": draw(st.sampled_from((1, 1, 2))),
            "expires_in": draw(st.sampled_from((7 * DAY, 7 * DAY, 10 * DAY, None))),
            "remind_after": tuple(draw(st.lists(days, max_size=2))),
            "remind_before": tuple(draw(st.lists(days, max_size=1))),
            "escalate_to": draw(st.sampled_from(((), (), ("eve",), ("dee", "eve")))),
            "escalate_after": draw(st.none() | days),
        }
        for number, when in enumerate(whens, 1)
    ]
    return whole


def sensible(terms: dict[str, Any]) -> dict[str, Any]:
    """These terms, without those that make no sense together."""
    for name in ("", "remind_before", "escalate_after", "escalate_to", "reject_quorum", "quorum"):
        terms.pop(name, None)
        try:
            Stage(**terms)
        except pydantic.ValidationError:
            continue
        break
    return terms


def asked(fields: dict[str, Any], *, stages: int, **changes: Any) -> ApprovalRequest:
    """The request of these fields, ``changes`` for the terms of each stage."""
    rest = {"action": "Pay", "tool": "pay", "arguments": {"amount": ASKED}} | fields
    terms = [sensible({**one, **changes}) for one in rest.pop("terms", [])]
    if stages > 0:
        rest["stages"] = terms
    elif terms:
        rest |= {name: said for name, said in terms[0].items() if name not in ("name", "when")}
    return ApprovalRequest(**rest)


def satisfiable(office: Office, allowed: Allowed) -> bool:
    """Whether enough people could approve each stage, and reject it."""
    for one in allowed.stages:
        found = allowed.everyone(one)
        if not one.audience:
            if one.quorum > 1 or one.reject_quorum > 1:
                return False
            continue
        able = found if allowed.may("requester") else found - {str(allowed.requester)}
        stuck = one.reject_quorum > 1 and one.quorum + one.reject_quorum > len(found) + 1
        if stuck or len(able) < max(one.quorum, 1) or len(found) < one.reject_quorum:
            return False
    return True
