"""Groups that contain themselves, and delegations that lead back to whom they come from."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from clearance.stages import GROUP

from .directory import StandIn
from .entries import Entries


def check_circles(
    entries: Entries, groups: dict[str, list[str]], stand_ins: dict[int, StandIn]
) -> None:
    """Keep a fault for each circle."""
    for circle in circles_of_groups(groups):
        name = circle[0].removeprefix(GROUP)
        place = ("groups", next(key for key in entries.raw["groups"] if _folded(key) == name))
        said = " -> ".join(circle)
        entries.fault(place, f"groups.{name}: a group can't be inside itself: {said}")
    numbers, every = list(stand_ins), list(stand_ins.values())
    for steps in circles_of_stand_ins(every):
        said = " -> ".join([every[steps[0]].principal, *(every[step].to for step in steps)])
        number = numbers[steps[-1]]
        what = f"delegation {number + 1}: it closes a circle: {said}"
        entries.fault(("delegation", number), what)


def _folded(key: str) -> str:
    return key.strip().casefold()


def circles_of_groups(groups: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Groups that contain themselves, each circle from its first group in the file to that again.

    Where circles share a group, not all of them are told.
    """
    order = {name: number for number, name in enumerate(groups)}
    inside = {name: [one for one in groups[name] if one in order] for name in groups}
    found = []
    while True:
        try:
            TopologicalSorter(inside).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][:0:-1]  # said from the inside out, and one twice
            first = circle.index(min(circle, key=order.__getitem__))
            found.append([*circle[first:], *circle[: first + 1]])
            inside |= {name: [] for name in circle}
        else:
            return found


def circles_of_stand_ins(stand_ins: Sequence[StandIn]) -> list[list[int]]:
    """Delegations that at some moment lead back to whom they come from.

    Each as their numbers, from 0, in the circle's order; the last is the one with which, in time,
    the circle closes. One for each such delegation, and none twice.
    """
    by_principal: dict[str, list[int]] = {}
    for number, one in enumerate(stand_ins):
        by_principal.setdefault(one.principal, []).append(number)
    found: dict[frozenset[int], list[int]] = {}
    # From behind: of those that begin at the same time, the last one in the file closes it.
    for number, closing in reversed(list(enumerate(stand_ins))):
        # A circle holds from the latest of its beginnings on, if it ever does.
        came: dict[str, int] = {closing.to: number}
        level = [closing.to]
        while level and closing.principal not in came:
            reached: list[str] = []
            for name in level:
                for step in by_principal.get(name, ()):
                    one = stand_ins[step]
                    if one.to not in came and one.holds(closing.since):
                        came[one.to] = step
                        reached.append(one.to)
            level = reached
        if closing.principal in came:
            path = [came[closing.principal]]
            while path[-1] != number:
                path.append(came[stand_ins[path[-1]].principal])
            found.setdefault(frozenset(path), [*path[::-1][1:], number])
    return list(reversed(found.values()))
