"""Who is told by which channels: what the file may say of it, and whom an audience reaches."""

from datetime import UTC, datetime

import pytest

from clearance.notices import Destination
from policy.channels import FIELDS, Mail, Service, Webhook
from policy.reviewers import Directory, parse
from policy.source import BrokenPolicy

NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)
ADA, GRACE, MARY = "ada@example.com", "grace@example.com", "mary@example.com"
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

FILE = f"""\
[people."Ada@example.com"]
notify = ["mail", "env:ADA_NTFY", "ntfys://one-topic", "ntfys://another"]
[people.grace]
aliases = ["{GRACE}"]
notify = ["mail"]
[people."{MARY}"]
[people."eve@example.com"]
notify = []
[groups]
finance = ["{ADA}", "grace"]
leads = ["group:finance", "{MARY}"]
[notify.groups.Finance]
channels = ["webhook:erp", "env:FINANCE_SLACK"]
[notify.template]
title = "{{what}} {{action}} ({{risk}})"
[webhooks.erp]
url = "https://erp.example.com/hooks"
secret = "{SECRET}"
"""


def read(text: str) -> Directory:
    return parse(text, "r.toml")


def problems(text: str) -> list[str]:
    with pytest.raises(BrokenPolicy) as broken:
        read(text)
    return [one.removeprefix("r.toml:") for one in broken.value.problems]


def reached(directory: Directory, *names: str, without: tuple[str, ...] = ()) -> list[str]:
    told = directory.destinations(names, NOW, without)
    return [f"{one.who} {one.channel}" for one in told]


def test_a_person_has_channels_and_each_has_an_id_without_its_address() -> None:
    directory = read(FILE)
    told = directory.destinations(["ADA@example.com"], NOW)
    assert [one.channel for one in told] == ["mail", "env:ADA_NTFY", "ntfys", "ntfys-2"]
    channels = [directory.channel(one) for one in told]
    urls = ["env:ADA_NTFY", "ntfys://one-topic", "ntfys://another"]
    assert channels == [Mail(ADA), *map(Service, urls)]
    assert "one-topic" not in repr(channels)
    assert directory.channel(Destination(who=ADA, channel="slack")) is None


def test_mail_goes_to_the_name_that_is_an_address() -> None:
    assert read(FILE).channel(Destination(who="grace", channel="mail")) == Mail(GRACE)


def test_a_group_with_channels_is_told_as_one_and_machines_want_no_digests() -> None:
    directory = read(FILE)
    told = directory.destinations(["group:FINANCE"], NOW)
    assert [(one.who, one.channel, one.digest) for one in told] == [
        ("group:finance", "webhook:erp", False),
        ("group:finance", "env:FINANCE_SLACK", True),
    ]
    hook = directory.channel(told[0])
    assert hook == Webhook("erp", "https://erp.example.com/hooks", SECRET)
    assert "erp.example.com" not in repr(hook)
    assert SECRET not in repr(hook)
    assert directory.channels.wording.title == "{what} {action} ({risk})"


def test_each_tells_its_members_too_and_everybody_is_told_once() -> None:
    every = FILE.replace("[notify.template]", "each = true\n[notify.template]")
    told = reached(read(every), "group:leads", "group:finance", "grace")
    assert told[:2] == ["group:finance webhook:erp", "group:finance env:FINANCE_SLACK"]
    assert sorted(told[2:]) == [
        *(f"{ADA} {channel}" for channel in ("env:ADA_NTFY", "mail", "ntfys", "ntfys-2")),
        "grace mail",
    ]


def test_of_a_group_without_channels_the_members_are_told() -> None:
    told = reached(read(FILE), "group:leads", "grace")
    assert told[2:] == ["grace mail"]
    assert told[:2] == ["group:finance webhook:erp", "group:finance env:FINANCE_SLACK"]


def test_mail_for_everyone_reaches_who_has_an_address_and_no_list() -> None:
    everyone = read(
        FILE.replace("[notify.template]", '[notify]\nmail="everyone"\n[notify.template]')
    )
    assert reached(everyone, MARY) == [f"{MARY} mail"]
    assert reached(everyone, "eve@example.com", "bob") == []
    assert reached(read(FILE), MARY) == []
    alone = read('[notify]\nmail = "everyone"\n')
    assert reached(alone, "Anybody@example.com", "mallory\r\nbcc:x@y") == [
        "anybody@example.com mail"
    ]


def test_who_stands_in_today_is_told_too_but_nobody_who_need_not_be() -> None:
    delegated = (
        f'{FILE}[[delegation]]\nfrom = "{MARY}"\nto = "grace"\n'
        "since = 2026-12-05\nuntil = 2026-12-05\n"
    )
    directory = read(delegated)
    assert reached(directory, MARY) == ["grace mail"]
    assert reached(directory, MARY, without=(MARY,)) == []
    assert reached(directory, MARY, without=(GRACE,)) == []
    later = NOW.replace(day=6)
    assert directory.destinations([MARY], later) == ()


def test_a_file_without_channels_tells_nobody() -> None:
    directory = read(f'[groups]\nfinance = ["{ADA}"]\n')
    assert not directory.channels
    assert reached(directory, ADA, "group:finance") == []


BROKEN = """\
[people.ada]
notify = ["mail", 3, "webhook:nope", "env:no-name",
  "teleport://secret-token", "webhook:broken"]
[people.bob]
notify = "mail"
[groups]
finance = ["ada"]
[notify]
mail = "all"
mial = 1
[notify.groups.fnance]
channels = ["mail"]
[notify.groups.finance]
each = "yes"
[notify.template]
title = "{what} {amount}"
line = "{action!r}"
[webhooks.broken]
url = "http://user:password@erp.example.com/secret-token"
secret = "env:S"
[webhooks.plain]
url = "http://erp.example.com/secret-token"
secret = "env:S"
[webhooks.short]
url = "env:URL"
secret = "whsec_aGVsbG8="
[webhooks.half]
url = "https://erp.example.com"
[webhooks."no name"]
"""


def test_every_fault_is_told_at_once_with_its_line_and_no_address() -> None:
    told = problems(BROKEN)
    begins = [
        '2: people."ada": notify, number 1: nothing to send mail to',
        '2: people."ada": notify, number 2: write "mail", "webhook:NAME"',
        '2: people."ada": notify, number 3: there is no [webhooks.nope]',
        '2: people."ada": notify, number 4: write the name of an environment variable',
        '2: people."ada": notify, number 5: Apprise can\'t read this teleport:// address',
        '5: people."bob": notify: write a list',
        '9: notify: mail: "everyone" or "named"',
        '10: notify: unknown key "mial": did you mean "mail"?',
        '11: notify.groups.fnance: there is no group:fnance: did you mean "group:finance"?',
        "12: notify.groups.fnance: channels, number 1: nothing to send mail to",
        "13: notify.groups.finance: channels is missing",
        "14: notify.groups.finance: each: true or false, without quotes",
        f"16: notify.template: title: {{amount}} is no field of a notice; these are: {FIELDS[0]}, ",
        "17: notify.template: line: {action:}: a format is like ,.2f",
        "19: webhooks.broken: url: write an address like https://",
        "22: webhooks.plain: url: write an https address; http only with allow_private = true",
        "26: webhooks.short: secret: no secret of a webhook: make one by `clearance webhook secret`",
        "27: webhooks.half: secret is missing",
        "29: webhooks.no name: a name of up to 50 of a-z",
    ]
    assert len(told) == len(begins), told
    for said, begin in zip(told, begins, strict=True):
        assert said.startswith(begin), said
    assert "secret-token" not in "".join(told)
    assert "password" not in "".join(told)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("notify = 3", "1: notify: write a table: [notify]"),
        ("webhooks = []", "1: webhooks: write a table: [webhooks]"),
        ("[notify]\ngroups = []", "2: notify.groups: write a table: [notify.groups]"),
        ("[notify]\ntemplate = 1", "2: notify.template: write a table: [notify.template]"),
        ("[notify.template]\ntitle = ''", "2: notify.template: title: write 1 to 500 characters"),
        ('[notify.template]\nline = "a\\nb"', "2: notify.template: line: write it on one line"),
        ("[webhooks]\nerp = 1", "2: webhooks.erp: write [webhooks.erp], in brackets"),
        (
            f'[webhooks.x]\nurl = "https://169.254.169.254/"\nsecret = "{SECRET}"',
            "2: webhooks.x: url: its address is a private one of this network: allow_private",
        ),
        (
            f'[webhooks.x]\nurl = "https://[::1]/"\nsecret = "{SECRET}"',
            "2: webhooks.x: url: its address is a private one of this network: allow_private",
        ),
        (
            '[webhooks.x]\nurl = "https://erp.example.com/"',
            "1: webhooks.x: secret is missing: `clearance webhook secret` makes one",
        ),
        ('[groups]\nx=[]\n[notify.groups]\nx = ["mail"]', "4: notify.groups.x: write [notify.gro"),
        (
            f'[people."{ADA}"]\nnotify = {["mail"] * 11}',
            f'2: people."{ADA}": notify: 11 channels, at most 10',
        ),
    ],
)
def test_what_has_another_form_is_told(text: str, problem: str) -> None:
    (said,) = problems(text)
    assert said.startswith(problem)
