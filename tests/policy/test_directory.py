"""What a directory says of people, at a moment."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearance.directory import Person, unlisted
from policy.circles import circles_of_groups, circles_of_stand_ins
from policy.directory import Directory, StandIn
from policy.reviewers import NOBODY, parse

START = datetime(2026, 12, 1, tzinfo=UTC)


def days(first: int, last: int, principal: str, to: str) -> StandIn:
    """From the first day to the last one, which is no part of it."""
    return StandIn(principal, to, START + timedelta(first), START + timedelta(last))


def principals(directory: Directory, person: str, day: float, given: Sequence[str] = ()) -> str:
    standing = directory.standing(person, START + timedelta(days=day), (), given)
    return " ".join(one.name for one in standing.stands_in_for)


OFFICE = Directory(
    {"ada": ["ada", "al"], "grace": ["grace"], "mary": ["mary"], "bob": ["bob"]},
    {
        "group:finance": ["ada", "grace"],
        "group:leads": ["group:finance", "mary"],
        "group:all": ["group:leads", "bob", "grace"],
        "group:none": [],
    },
    [days(0, 5, "mary", "ada"), days(2, 9, "ada", "grace"), days(4, 6, "bob", "mary")],
    ["group:finance", "bob"],
)


class TestMembers:
    def test_groups_are_told_down_to_their_people_each_once(self) -> None:
        found = OFFICE.members(["Group:All", "group:all", "group:none", "bob"])
        assert found.directory
        assert found.unknown == ()
        assert set(found.groups) == {"group:all", "group:none"}
        assert sorted(found.groups["group:all"]) == ["ada", "bob", "grace", "mary"]
        assert found.people(("group:all", "Eve")) == {"ada", "bob", "grace", "mary", "eve"}

    def test_a_group_that_is_not_there_is_told_as_it_was_written(self) -> None:
        found = OFFICE.members(["group:Fin", "group:fin", "group:ops", "ada"])
        assert found.unknown == ("group:Fin", "group:ops")

    def test_other_names_of_those_asked_about_are_told(self) -> None:
        assert OFFICE.members(["AL", "grace", "eve"]).aliases == {"al": "ada"}


class TestStanding:
    def test_somebody_by_any_name_is_one_person_in_every_group_they_reach(self) -> None:
        groups = ["group:finance", "GROUP:leads", "group:none", "group:unheard"]
        standing = OFFICE.standing("AL", START, groups)
        assert (standing.name, set(standing.names)) == ("ada", {"ada", "al"})
        assert standing.groups == {"group:finance", "group:leads"}
        assert standing.is_among(("Al",))
        assert standing.is_among(("group:LEADS",))

    def test_only_groups_that_were_asked_about_are_told(self) -> None:
        assert OFFICE.standing("ada", START).groups == frozenset()

    def test_a_stranger_is_not_known_and_may_be_asked_about_all_the_same(self) -> None:
        eve = OFFICE.standing("Eve", START, ["group:all"])
        assert (eve.name, set(eve.names), eve.known) == ("eve", {"eve"}, False)
        assert (eve.operator, eve.groups, eve.stands_in_for) == (False, frozenset(), ())

    @pytest.mark.parametrize("directory", [OFFICE, NOBODY, Directory(groups={"group:a": []})])
    @pytest.mark.parametrize("name", ["group:finance", " GROUP:Finance", "group:a"])
    def test_whoever_calls_themselves_a_group_is_nobody(
        self, directory: Directory, name: str
    ) -> None:
        groups = ("group:finance", "group:leads", "group:a")
        standing = directory.standing(name, START, groups, ["bob"])
        assert not standing.is_among(groups)
        assert (standing.known, standing.operator, standing.stands_in_for) == (False, False, ())
        assert directory.standing("eve", START, groups, [name]).stands_in_for == ()

    def test_where_nobody_is_listed_everybody_is_known(self) -> None:
        assert Directory(groups={"group:a": ["b"]}).standing("eve", START).known

    @pytest.mark.parametrize(
        ("person", "operator"), [("ada", True), ("bob", True), ("mary", False), ("eve", False)]
    )
    def test_operators_are_named_or_in_a_group_that_is(self, person: str, operator: bool) -> None:
        assert OFFICE.standing(person, START).operator is operator

    @pytest.mark.parametrize(
        ("person", "day", "expected"),
        [
            ("ada", 0, "mary"),
            ("ada", 4.5, "mary bob"),
            ("ada", 5, ""),
            ("grace", 1, ""),
            ("grace", 3, "ada mary"),
            ("grace", 4, "ada mary bob"),
            ("grace", 7, "ada"),
            ("grace", 9, ""),
            ("bob", 4, ""),
        ],
    )
    def test_delegations_hold_in_their_days_and_one_after_the_other(
        self, person: str, day: float, expected: str
    ) -> None:
        assert principals(OFFICE, person, day) == expected

    def test_who_handed_this_over_comes_first_and_nobody_twice_or_themselves(self) -> None:
        assert principals(OFFICE, "grace", 4, ["Eve", "mary", "GRACE", "eve"]) == "eve mary ada bob"
        assert principals(OFFICE, "bob", 4, ["al"]) == "ada"

    def test_those_somebody_stands_in_for_come_with_their_names_and_groups(self) -> None:
        standing = OFFICE.standing("bob", START, ["group:leads"], ["al"])
        assert standing.stands_in_for == (
            Person(name="ada", names=frozenset({"ada", "al"}), groups=frozenset({"group:leads"})),
        )


SIGNED = Directory(
    {"ada": ["ada", "al"], "grace": ["grace"]},
    {
        "group:sre": ["grace"],
        "group:ops": ["group:sre"],
        "group:all": ["group:ops", "ada"],
        "group:desk": ["ada"],
    },
    [days(0, 5, "ada", "grace")],
    ["group:ops"],
    sign_in=["group:sre"],
)
EVERY = ["group:sre", "group:ops", "group:all", "group:desk"]


class TestSignIn:
    def test_a_declared_group_reaches_upward_and_says_that_only_a_sign_in_vouches(self) -> None:
        eve = SIGNED.standing("Eve", START, EVERY, vouched=["GROUP:Sre", "group:desk"])
        assert eve.groups == eve.vouched == {"group:sre", "group:ops", "group:all"}
        assert (eve.known, eve.operator) == (True, True)
        assert eve.through(("bob", "Group:All", "group:sre")) == "Group:All"
        assert eve.through(("eve", "group:all")) is None
        assert eve.through(("group:desk",)) is None

    def test_what_the_directory_lists_is_not_told_as_vouched_for(self) -> None:
        ada = SIGNED.standing("al", START, EVERY, vouched=["group:sre"])
        assert ada.groups == {"group:sre", "group:ops", "group:all", "group:desk"}
        assert ada.vouched == {"group:sre", "group:ops"}
        assert ada.through(("group:all",)) is None
        assert ada.through(("group:ops",)) == "group:ops"
        grace = SIGNED.standing("grace", START, EVERY, vouched=["group:sre"])
        assert grace.vouched == frozenset()

    @pytest.mark.parametrize(
        "vouched", [(), ("group:ops",), ("group:all", "group:desk"), ("sre",), ("group:sre ",)]
    )
    def test_no_other_group_counts(self, vouched: tuple[str, ...]) -> None:
        eve = SIGNED.standing("eve", START, EVERY, vouched=vouched)
        assert (eve.groups, eve.vouched) == (frozenset(), frozenset())
        assert (eve.known, eve.operator) == (False, False)

    def test_whom_somebody_stands_in_for_is_vouched_for_by_what_they_lent_only(self) -> None:
        lent = {"Eve": ("group:sre",), "mary": ("group:desk",)}
        given = ["eve", "mary"]
        grace = SIGNED.standing("grace", START, EVERY, given, vouched=["group:sre"], lent=lent)
        eve, mary, ada = grace.stands_in_for
        assert (eve.name, set(eve.vouched)) == ("eve", {"group:sre", "group:ops", "group:all"})
        assert (mary.name, mary.groups) == ("mary", frozenset())
        assert (ada.name, ada.vouched) == ("ada", frozenset())

    def test_lending_hands_nothing_to_whom_nothing_was_handed_over(self) -> None:
        bob = SIGNED.standing("bob", START, EVERY, [], lent={"eve": ("group:sre",)})
        assert bob.stands_in_for == ()

    def test_whoever_calls_themselves_a_group_is_nobody_however_vouched_for(self) -> None:
        standing = SIGNED.standing("group:sre", START, EVERY, vouched=["group:sre"])
        assert not standing.is_among(tuple(EVERY))
        assert (standing.known, standing.operator) == (False, False)

    def test_groups_with_members_that_nobody_can_list_are_told(self) -> None:
        found = SIGNED.members(["Group:All", "group:sre", "group:desk", "ada"])
        assert found.open_groups == ("group:all", "group:sre")
        assert found.groups["group:all"] == ("ada", "grace")
        assert found.is_open(("bob", "GROUP:all"))
        assert not found.is_open(("group:desk", "ada"))
        assert OFFICE.members(["group:all"]).open_groups == ()

    def test_lists_find_what_names_a_group_that_is_vouched_for(self) -> None:
        found = SIGNED.names_of("grace", START, ("GROUP:SRE", "group:desk"))
        assert found == ("grace", "group:sre", "group:ops", "group:all", "ada", "al", "group:desk")
        assert SIGNED.names_of("eve", START, ("group:sre",)) == (
            *("eve", "group:sre", "group:ops", "group:all"),
        )
        assert SIGNED.names_of("group:sre", START, ("group:sre",)) == ("group:sre",)

    def test_without_a_file_nobody_is_vouched_for(self) -> None:
        standing = NOBODY.standing("eve", START, EVERY, vouched=EVERY)
        assert (standing.groups, standing.operator) == (frozenset(), False)
        assert NOBODY.names_of("eve", START, EVERY) == ("eve",)


def test_an_audience_may_mean_somebody_by_all_their_names_and_groups() -> None:
    assert OFFICE.names_of("Al", START + timedelta(days=4)) == (
        *("ada", "al", "group:finance", "group:leads", "group:all"),
        *("mary", "bob"),
    )
    assert OFFICE.names_of("eve", START) == ("eve",)


def test_without_a_file_nobody_is_in_a_group_and_everybody_is_who_they_say() -> None:
    members = NOBODY.members(["ada", "group:a"])
    assert (members.directory, members.groups, members.unknown) == (False, {}, ("group:a",))
    assert NOBODY.standing("Ada", START) == unlisted("Ada")
    standing = NOBODY.standing("Ada", START, ["group:a"], ["Grace"])
    assert (standing.known, standing.operator) == (True, False)
    assert [(one.name, one.groups) for one in standing.stands_in_for] == [("grace", frozenset())]
    assert NOBODY.names_of("Ada", START) == ("ada",)


@st.composite
def memberships(draw: st.DrawFn) -> dict[str, list[str]]:
    """Groups of people and of groups that come later in the file: no circles."""
    names = [f"group:{n}" for n in range(draw(st.integers(1, 8)))]
    people = ["a", "b", "c", "d"]
    return {
        name: draw(st.lists(st.sampled_from([*people, *names[number + 1 :]]), max_size=6))
        for number, name in enumerate(names)
    }


def inside(groups: dict[str, list[str]], group: str) -> set[str]:
    """The people of a group, the slow way."""
    found: set[str] = set()
    for one in groups[group]:
        found |= inside(groups, one) if one in groups else {one}
    return found


@given(memberships())
def test_membership_is_all_that_can_be_reached(groups: dict[str, list[str]]) -> None:
    directory = Directory(groups=groups)
    told = directory.members(list(groups)).groups
    assert {name: set(people) for name, people in told.items()} == {
        name: inside(groups, name) for name in groups
    }
    assert all(len(set(people)) == len(people) for people in told.values())
    for person in "abcde":
        assert directory.standing(person, START, list(groups)).groups == {
            name for name in groups if person in inside(groups, name)
        }
    assert circles_of_groups(groups) == []


@given(
    st.lists(
        st.builds(
            lambda first, length, a, b: days(first, first + length, a, b),
            *(
                st.integers(0, 6),
                st.integers(1, 4),
                st.sampled_from("abcd"),
                st.sampled_from("abcd"),
            ),
        ).filter(lambda one: one.principal != one.to),
        max_size=8,
    ),
)
def test_a_circle_is_told_exactly_where_on_some_day_somebody_leads_back(
    every: list[StandIn],
) -> None:
    def closed(day: int) -> bool:
        now = [(one.principal, one.to) for one in every if one.holds(START + timedelta(day))]
        reach = set(now)
        for _ in now:
            reach |= {(a, d) for a, b in reach for c, d in now if b == c}
        return any(a == b for a, b in reach)

    told = circles_of_stand_ins(every)
    assert bool(told) is any(closed(day) for day in range(12))
    for circle in told:
        people = [every[number] for number in circle]
        assert all(one.to == after.principal for one, after in pairwise(people))
        assert people[-1].to == people[0].principal
        assert all(one.holds(people[-1].since) for one in people)
    assert len({frozenset(circle) for circle in told}) == len(told)


def test_ten_thousand_people_are_read_and_asked_before_this_test_has_to_end() -> None:
    """What looked at each of them for each of them would take hours."""
    text = "".join(f'[people."p{n}@example.com"]\naliases = ["p{n}"]\n' for n in range(10_000))
    text += "[groups]\n"
    for n in range(1_000):
        members = [f"p{one}" for one in range(n * 10, n * 10 + 10)]
        members += [f"group:g{n - 1}"] if n else []
        text += f"g{n} = {members}\n"
    text += "".join(
        f'[[delegation]]\nfrom = "p{n}"\nto = "p{n + 1}"\nsince = 2026-12-01\nuntil = 2026-12-02\n'
        for n in range(1_000)
    )
    directory = parse(text, "r.toml")
    standing = directory.standing("p1000", START, ["group:g999"])
    assert len(standing.stands_in_for) == 1_000
    assert len(directory.members(["group:g999"]).groups["group:g999"]) == 10_000
