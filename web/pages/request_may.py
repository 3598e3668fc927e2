"""What somebody may do to a request, as far as it can be known before they try. The gate decides."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from clearance import Act, ApprovalView, acts, rules
from clearance.acts import ActKind
from clearance.directory import Standing
from clearance.models import Recorded
from clearance.stages import folded, is_group
from policy.directory import NOBODY, Directory
from policy.reading import BrokenPolicy
from policy.reviewers import load
from web.context import Context
from web.who import Who


@dataclass(frozen=True)
class May:
    """What to offer. Where nothing is known against it, it is offered."""

    approve: bool = False
    reject: bool = False
    talk: bool = False
    answer: bool = False
    delegate: bool = False
    withdraw: bool = False
    why_not: str = ""
    """Why they may not approve, as a sentence of the gate; empty where they may."""


async def may(context: Context, who: Who, view: ApprovalView) -> May:
    """What to offer to somebody; nothing, once the request has ended."""
    if view.status != "pending":
        return May()
    directory = await _directory(context)
    asked = view.stages[view.stage - 1].audience if view.stages else view.asked.audience
    everyone = {
        one for stage in view.request.chain for one in (*stage.audience, *stage.escalate_to, *asked)
    }
    if directory is None and any(map(is_group, everyone)):
        return May(
            True, True, True, True, True, True
        )  # who is in a group is known to the workers only
    directory = directory or NOBODY
    standing = _standing(directory, who, view, tuple(everyone))
    approval = _refusal(directory, view, asked, standing, who.name, approved=True)
    rejection = _refusal(directory, view, asked, standing, who.name, approved=False)
    return May(
        approve=approval is None,
        reject=rejection is None,
        talk=_allows(view, standing, who, "commented"),
        answer=_allows(view, standing, who, "answered"),
        delegate=bool(everyone) and acts.handed_over(view.request, standing) is not None,
        withdraw=_allows(view, standing, who, "withdrawn"),
        why_not=approval or "",
    )


async def _directory(context: Context) -> Directory | None:
    if context.config.reviewers is None:
        return None
    try:
        return await asyncio.to_thread(load, context.config.reviewers)
    except BrokenPolicy:
        return None  # the gate says so, should it matter


def _standing(
    directory: Directory, who: Who, view: ApprovalView, everyone: tuple[str, ...]
) -> Standing:
    now = datetime.now(UTC)
    groups = tuple(name for name in everyone if is_group(name))
    own = directory.standing(who.name, now).names
    handed = [one.principal for one in view.delegations if one.to.casefold() in own]
    return directory.standing(who.name, now, groups, handed, vouched=who.groups)


def _refusal(
    directory: Directory,
    view: ApprovalView,
    asked: tuple[str, ...],
    standing: Standing,
    called: str,
    *,
    approved: bool,
) -> str | None:
    votes = [_vote(directory, one) for one in view.rejections]
    votes += [_vote(directory, one) for one in view.approvals] if approved else []
    right = rules.choose(
        view.current,
        asked,
        standing,
        called=called,
        approved=approved,
        votes=votes,
        editors=_editors(directory, view),
    )
    return right if isinstance(right, str) else None


def _vote(directory: Directory, one: Recorded) -> rules.Vote:
    return rules.Vote(one, _people(directory, one.reviewer, one.on_behalf_of))


def _editors(directory: Directory, view: ApprovalView) -> frozenset[str]:
    """Who made the arguments what they are."""
    if view.edit is None:
        return frozenset()
    found = [event for event in view.events if event.kind == "edited"]
    return frozenset().union(*(_people(directory, one.who, one.on_behalf_of) for one in found))


def _people(directory: Directory, *names: str | None) -> frozenset[str]:
    now = datetime.now(UTC)
    return frozenset(directory.standing(one, now).name for one in folded(filter(None, names)))


def _allows(view: ApprovalView, standing: Standing, who: Who, kind: ActKind) -> bool:
    act = Act(kind=kind, who=who.name, text="." * (kind != "withdrawn"), act_id="0")
    return acts.refuse_act(view.request, act, standing, None) is None
