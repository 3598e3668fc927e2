"""Reading a file of reviewers: what it says, and every fault at once with its line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policy.reviewers import MAX_GROUPS, MAX_PEOPLE, Directory, load, parse
from policy.source import BrokenPolicy

NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)
ADA, GRACE = "ada@example.com", "grace@example.com"


def problems(text: str) -> list[str]:
    with pytest.raises(BrokenPolicy) as broken:
        parse(text, "r.toml")
    return broken.value.problems


def delegation(since: str, until: str, principal: str = ADA, to: str = GRACE) -> str:
    return f'[[delegation]]\nfrom = "{principal}"\nto = "{to}"\nsince = {since}\nuntil = {until}\n'


def stands_in(directory: Directory, at: str) -> bool:
    return bool(directory.standing(GRACE, datetime.fromisoformat(at)).stands_in_for)


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    file = tmp_path / "reviewers.toml"
    file.write_text(
        'operators = ["group:ops"]\n'
        '[people."Ada@example.com"]\nname = "Ada Lovelace"\naliases = ["ada"]\n'
        '[people."grace@example.com"]\n[people."mary@example.com"]\n'
        '[groups]\nfinance = ["ada@example.com", "grace@example.com"]\n'
        'leads = ["group:finance", "mary@example.com"]\nops = ["ADA"]\n'
        + delegation("2026-12-01", "2026-12-15")
    )
    directory = load(file)
    assert directory.summary() == "3 people, 3 groups, 1 delegation"
    grace = directory.standing("GRACE@example.com", NOW, ["group:Leads"])
    assert (grace.name, set(grace.groups), grace.operator) == (GRACE, {"group:leads"}, False)
    (principal,) = grace.stands_in_for
    assert (principal.name, set(principal.names)) == (ADA, {ADA, "ada"})
    assert directory.standing("ada", NOW).operator


def test_an_empty_file_is_a_directory_in_which_everybody_is_known() -> None:
    directory = parse("# nothing yet\n", "r.toml")
    assert directory.summary() == "0 people, 0 groups, 0 delegations"
    assert directory.members(["ada", "group:finance"]).directory
    assert directory.standing("ada", NOW).known


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(BrokenPolicy) as broken:
        load(path)
    assert broken.value.problems == [f"{path}: can't be read: No such file or directory"]


def test_a_file_that_is_too_large_is_told() -> None:
    assert problems("#" * 1_500_001) == ["r.toml: larger than 1,500,000 bytes"]


class TestDates:
    def test_a_date_begins_at_midnight_and_the_last_day_is_whole(self) -> None:
        directory = parse(delegation("2026-12-01", "2026-12-15"), "r.toml")
        assert not stands_in(directory, "2026-11-30T23:59:59.999999+00:00")
        assert stands_in(directory, "2026-12-01T00:00:00+00:00")
        assert stands_in(directory, "2026-12-15T23:59:59.999999+00:00")
        assert not stands_in(directory, "2026-12-16T00:00:00+00:00")

    def test_a_date_time_is_that_moment_in_its_zone_and_the_end_is_no_part(self) -> None:
        directory = parse(delegation("2026-12-01T09:00:00+02:00", "2026-12-01T17:00:00Z"), "r")
        assert not stands_in(directory, "2026-12-01T06:59:59+00:00")
        assert stands_in(directory, "2026-12-01T07:00:00+00:00")
        assert not stands_in(directory, "2026-12-01T17:00:00+00:00")

    def test_one_day_and_the_last_of_all_days_are_possible(self) -> None:
        assert stands_in(parse(delegation("2026-12-05", "2026-12-05"), "r"), NOW.isoformat())
        assert stands_in(parse(delegation("0001-01-01", "9999-12-31"), "r"), NOW.isoformat())

    @pytest.mark.parametrize(
        ("since", "until", "problem"),
        [
            ("2026-12-02", "2026-12-01", "5: delegation 1: until is not after since"),
            ("2026-12-02T08:00:00Z", "2026-12-02T08:00:00Z", "5: delegation 1: until is not after"),
            ("2026-12-02T08:00:00", "2026-12-03", "4: delegation 1: since: it has no zone: write"),
            ("2026-12-01", "08:00:00", "5: delegation 1: until: write a date without quotes"),
            ("'2026-12-01'", "2026-12-02", "4: delegation 1: since: write a date without quotes"),
            ("0", "2026-12-02", "4: delegation 1: since: write a date without quotes"),
        ],
    )
    def test_what_is_no_span_of_time_is_told(self, since: str, until: str, problem: str) -> None:
        (said,) = problems(delegation(since, until))
        assert said.startswith(f"r.toml:{problem}")


EVERYTHING_WRONG = """\
operator = ["ada"]
operators = ["group:opps", "bob@example.com", 3]
[people."ada@example.com"]
nam = "Ada"
aliases = [
  "ada", "Grace@example.com", "ADA", "group:ada"]
[people."grace@example.com"]
name = ""
[people.GRACE]
aliases = "g"
[people."Grace@Example.com"]
[people."group:x"]
[people."a\\u0007"]
[people]
mary = 1
[groups]
ops = ["ada", "grase@example.com"]
finance = ["group:op", "group:leads"]
leads = ["group:finance"]
Ops = []
"group:x" = []
"" = []
boss = "ada"
[[delegation]]
from = "ada"
to = "ADA@example.com"
since = 2026-12-01
until = 2026-12-02
[[delegation]]
from = "group:ops"
to = "stranger"
until = 2026-12-02
too = 1
"""


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    assert problems(EVERYTHING_WRONG) == [
        'r.toml:1: unknown key "operator": did you mean "operators"?',
        'r.toml:2: operators, number 1: there is no group:opps: did you mean "group:ops"?',
        "r.toml:2: operators, number 2: bob@example.com is not among the people",
        "r.toml:2: operators, number 3: Input should be a valid string",
        'r.toml:4: people."ada@example.com": unknown key "nam": did you mean "name"?',
        'r.toml:5: people."ada@example.com": aliases, number 2: grace@example.com is a name of '
        "grace@example.com already",
        'r.toml:5: people."ada@example.com": aliases, number 3: ada is a name of ada@example.com '
        "already",
        'r.toml:5: people."ada@example.com": aliases, number 4: group:ada is a group, and a person '
        "is meant here",
        'r.toml:8: people."grace@example.com": name: String should have at least 1 character',
        'r.toml:10: people."GRACE": aliases: write a list: ["ada@example.com"]',
        'r.toml:11: people."Grace@Example.com": grace@example.com is a name of grace@example.com '
        "already",
        'r.toml:12: people."group:x": group:x is a group, and a person is meant here',
        "r.toml:13: people.\"a\\x07\": contains the control character '\\x07': remove it",
        'r.toml:15: people."mary": write [people."mary"], in brackets',
        'r.toml:17: groups.ops, number 2: grase@example.com is not among the people: did you mean "'
        'grace@example.com"?',
        'r.toml:18: groups.finance, number 1: there is no group:op: did you mean "group:ops"?',
        "r.toml:18: groups.finance: a group can't be inside itself: group:finance -> group:leads -> "
        "group:finance",
        "r.toml:20: groups.Ops: there is a group of this name already",
        'r.toml:21: groups.group:x: write it without "group:" here',
        "r.toml:22: groups.: String should have at least 1 character",
        'r.toml:23: groups.boss: write a list: ["ada@example.com"]',
        "r.toml:26: delegation 1: ada@example.com can't stand in for themselves",
        "r.toml:29: delegation 2: since is missing",
        "r.toml:30: delegation 2: from: group:ops is a group, and a person is meant here",
        "r.toml:31: delegation 2: to: stranger is not among the people",
        'r.toml:33: delegation 2: unknown key "too": did you mean "to"?',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("people = 1", "r.toml:1: people: write a table: [people]"),
        ("\ngroups = []", "r.toml:2: groups: write a table: [groups]"),
        ("operators = 'ada'", 'r.toml:1: operators: write a list: ["ada@example.com"]'),
        ("[delegation]\nfrom = 1", "r.toml:1: delegation: write [[delegation]], in two pairs"),
        ("delegation = 5", "r.toml:1: delegation: write a list"),
        ("delegation = [5]", "r.toml:1: delegation 1: write [[delegation]] with from, to, since"),
        ("x = ", "r.toml:1: not TOML: Invalid value"),
        (f"groups.{'g' * 195} = []", f"r.toml:1: groups.{'g' * 79}…: String should have at most"),
        (f'operators = ["{"n" * 10_000}"]', "r.toml:1: operators, number 1: String should have at"),
        (
            "[people.a]\naliases = [" + ",".join(f'"a{n}"' for n in range(21)) + "]",
            'r.toml:2: people."a": aliases: 21 names, at most 20',
        ),
        (
            "[people]\n" + "".join(f"p{n} = {{}}\n" for n in range(MAX_PEOPLE + 1)),
            "r.toml:1: people: 10,001 of them, at most 10,000",
        ),
        (
            "[groups]\n" + "".join(f"g{n} = []\n" for n in range(MAX_GROUPS + 1)),
            "r.toml:1: groups: 1,001 of them, at most 1,000",
        ),
        ("delegation = [" + "{}," * 1_001 + "]", "r.toml:1: delegation: 1,001 of them, at most 1,"),
    ],
)
def test_what_can_not_be_is_told(text: str, problem: str) -> None:
    (said,) = problems(text)
    assert said.startswith(problem)


class TestSignIn:
    def test_its_groups_are_written_as_in_groups_and_need_not_be_there(self) -> None:
        directory = parse(
            '[groups]\nleads = ["group:sre", "group:finance"]\nfinance = ["ada"]\n'
            '[sign_in]\ngroups = ["SRE", "finance", "sre"]\n',
            "r.toml",
        )
        assert directory.summary() == "1 person, 3 groups, 0 delegations"
        found = directory.members(["group:sre", "group:leads", "group:finance"])
        assert (found.unknown, found.groups["group:sre"]) == ((), ())
        assert found.open_groups == ("group:sre", "group:leads", "group:finance")
        eve = directory.standing("eve", NOW, ["group:leads"], vouched=["group:sre"])
        assert eve.groups == {"group:leads"}

    @pytest.mark.parametrize("text", ["[sign_in]\n", "[sign_in]\ngroups = []\n"])
    def test_it_may_be_empty(self, text: str) -> None:
        assert parse(text, "r.toml").members(["group:a"]).unknown == ("group:a",)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("sign_in = 1", "r.toml:1: sign_in: write a table: [sign_in]"),
            (
                "sign_in.group = []",
                'r.toml:1: sign_in: unknown key "group": did you mean "groups"?',
            ),
            ("sign_in.groups = 'a'", "r.toml:1: sign_in: groups: write a list"),
            (
                "[sign_in]\ngroups = ['a', 'group:b']",
                'r.toml:2: sign_in: groups, number 2: write it without "group:" here',
            ),
            (
                "sign_in.groups = [1]",
                "r.toml:1: sign_in: groups, number 1: Input should be a valid",
            ),
            ("sign_in.groups = ['']", "r.toml:1: sign_in: groups, number 1: String should have at"),
            (
                f"sign_in.groups = {[f'g{n}' for n in range(MAX_GROUPS + 1)]}",
                "r.toml:1: sign_in: groups: 1,001 of them, at most 1,000",
            ),
        ],
    )
    def test_what_can_not_be_is_told(self, text: str, problem: str) -> None:
        (said,) = problems(text)
        assert said.startswith(problem)

    def test_a_circle_through_one_of_them_is_told(self) -> None:
        said = problems('[sign_in]\ngroups = ["a"]\n[groups]\nb = ["group:a"]\na = ["group:b"]\n')
        assert said == [
            "r.toml:4: groups.b: a group can't be inside itself: group:b -> group:a -> group:b"
        ]


class TestCircles:
    def test_a_group_in_itself(self) -> None:
        assert problems('[groups]\na = ["group:A"]') == [
            "r.toml:2: groups.a: a group can't be inside itself: group:a -> group:a"
        ]

    def test_each_circle_of_groups_is_told_from_its_first_group(self) -> None:
        said = problems(
            '[groups]\na = ["group:b"]\nb = ["group:c"]\nc = ["group:b"]\n'
            'd = ["group:e"]\ne = ["group:f"]\nf = ["group:d"]\n'
        )
        assert [one.rpartition(": ")[2] for one in said] == [
            "group:b -> group:c -> group:b",
            "group:d -> group:e -> group:f -> group:d",
        ]
        assert [one.split(":")[1] for one in said] == ["3", "5"]

    def test_delegations_of_the_same_days_that_lead_back_are_told_once(self) -> None:
        text = delegation("2026-12-01", "2026-12-10", "a", "b")
        text += delegation("2026-12-03", "2026-12-20", "b", "c")
        text += delegation("2026-12-02", "2026-12-10", "c", "a")
        assert problems(text) == ["r.toml:6: delegation 2: it closes a circle: c -> a -> b -> c"]

    def test_two_people_who_stand_in_for_each_other_on_the_same_day(self) -> None:
        text = delegation("2026-12-01", "2026-12-10", "a", "b")
        text += delegation("2026-12-10", "2026-12-11", "B", "a")
        assert problems(text) == ["r.toml:6: delegation 2: it closes a circle: a -> b -> a"]

    def test_those_that_never_hold_at_the_same_time_are_no_circle(self) -> None:
        text = delegation("2026-12-01", "2026-12-10", "a", "b")
        text += delegation("2026-12-11", "2026-12-20", "b", "a")
        assert parse(text, "r").summary() == "2 people, 0 groups, 2 delegations"

    def test_a_circle_by_another_name_is_one(self) -> None:
        text = '[people.ada]\naliases = ["al"]\n[people.grace]\n'
        text += delegation("2026-12-01", "2026-12-10", "al", "grace")
        text += delegation("2026-12-01", "2026-12-10", "grace", "ADA")
        (said,) = problems(text)
        assert said.endswith("it closes a circle: ada -> grace -> ada")


def test_nothing_of_a_file_can_act_on_the_terminal_it_is_told_on() -> None:
    said = problems(
        '"\\u001b[31m\\nred" = 1\n[people."\\u001b]0;x"]\n[groups]\n"\\u202e" = ["a\\n"]\n'
    )
    assert len(said) == 3
    assert not set("\x1b\n\u202e") & set("".join(said))
