"""Which stages of a request are done, and which one is asked."""

from collections.abc import Callable, Container, Iterator
from datetime import datetime

from .ballot import Ballot
from .models import Status
from .requests import ApprovalRequest
from .rules import Vote as Counted
from .stages import Stage
from .views import StageView, Vote

Applies = Callable[[ApprovalRequest, Stage], bool]
"""Whether a stage is asked, of the request as it is now."""


class Course:
    """The stages in their order. One whose condition doesn't hold is passed over, and looked at again
    whenever a stage is done: a reviewer may have changed the arguments."""

    def __init__(self, request: ApprovalRequest, applies: Applies, began: datetime) -> None:
        """The first stage that applies is asked from ``began`` on."""
        self._chain = request.chain
        self._applies = applies
        self._done: dict[int, Ballot] = {}
        # One stage has no condition, so there always is one.
        first = next(self._left(request, self._done), len(self._chain))
        self.ballot = Ballot(first, self._chain[first - 1], began)

    @property
    def begins(self) -> bool:
        """Whether no stage is done yet."""
        return not self._done

    def ahead(self, request: ApprovalRequest, *, changed: bool) -> tuple[Stage, ...]:
        """Who has to be asked after this stage, with the request as given.

        Args:
            request: as it would run.
            changed: whether it is changed in this stage, so that those behind it are asked anew.
        """
        number = self.ballot.number
        done = {one for one in self._done if one < number} if changed else self._done
        return tuple(self._chain[one - 1] for one in self._left(request, done) if one != number)

    def void(self) -> None:
        """The arguments are others now: what was decided in this stage, or behind it, is void.

        A stage may be asked after one behind it, where its condition came to hold late.
        """
        self._done = {one: ballot for one, ballot in self._done.items() if one < self.ballot.number}
        self.ballot.void()

    def is_done(self, ballot: Ballot) -> bool:
        """Whether what was decided in it stands."""
        return any(ballot is one for one in self._done.values())

    def advance(self, request: ApprovalRequest, now: datetime) -> bool:
        """The stage that was asked is done: ask the next one. False: there is none."""
        self._done[self.ballot.number] = self.ballot
        number = next(self._left(request, self._done), None)
        if number is None:
            return False
        self.ballot = Ballot(number, self._chain[number - 1], now)
        return True

    def views(self, status: Status) -> list[StageView]:
        """All stages, for readers of a request in this status."""
        now = self.ballot.number
        word = {"approved": "done", "pending": "open"}.get(status, "ended")
        found = []
        for number, stage in enumerate(self._chain, 1):
            ballot = self._done.get(number)
            passed = "skipped" if status == "approved" or number < now else "waiting"
            state = word if number == now else "done" if ballot else passed
            found.append(_view(number, stage, state, self.ballot if number == now else ballot))
        return found

    def _left(self, request: ApprovalRequest, done: Container[int]) -> Iterator[int]:
        for number, stage in enumerate(self._chain, 1):
            if number not in done and self._applies(request, stage):
                yield number


def _view(number: int, stage: Stage, state: str, ballot: Ballot | None) -> StageView:
    return StageView.model_validate(
        {
            "number": number,
            "name": stage.name,
            "status": state,
            "audience": ballot.audience if ballot else stage.audience,
            "quorum": stage.quorum,
            "reject_quorum": stage.reject_quorum,
            "approvals": _votes(ballot.approvals) if ballot else (),
            "rejections": _votes(ballot.rejections) if ballot else (),
            "deadline": ballot.deadline if ballot else None,
        }
    )


def _votes(counted: list[Counted]) -> tuple[Vote, ...]:
    return tuple(Vote.of(one.recorded) for one in counted)
