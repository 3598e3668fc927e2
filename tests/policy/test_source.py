"""Reading policy files: every fault at once, each with its line."""

import hashlib
from pathlib import Path

import pytest

from clearance import ClearanceError
from policy.model import Policy
from policy.source import MAX_POLICY_BYTES, BrokenPolicy, Pinned, load, parse

LEAST = '[[checkpoint]]\ncheckpoint_id = "a"\naction_pattern = "a"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(BrokenPolicy) as broken:
        parse(text, "p.toml")
    assert str(broken.value) == "\n".join(broken.value.problems)
    assert isinstance(broken.value, ClearanceError)
    return broken.value.problems


def test_a_file_is_pinned_by_the_digest_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.toml"
    file.write_text(LEAST)
    pinned = load(file)
    assert pinned.digest == hashlib.sha256(LEAST.encode()).hexdigest()
    assert pinned.source == str(file)
    assert [one.checkpoint_id for one in pinned.policy.checkpoint] == ["a"]
    assert parse(LEAST, str(file)) == pinned
    assert Pinned.model_validate_json(pinned.model_dump_json()) == pinned


def test_an_empty_file_is_a_policy_by_which_everything_waits(tmp_path: Path) -> None:
    file = tmp_path / "empty.toml"
    file.touch()
    assert load(file).policy == Policy(default="gate")
    assert parse("# nothing yet\n", "p.toml").policy == Policy(default="gate")


def test_what_editors_on_windows_write_is_read() -> None:
    text = LEAST + 'description_template = """\nfirst\n\nthird"""\n'
    plain = parse(text, "p.toml")
    other = parse("\ufeff" + text.replace("\n", "\r\n"), "p.toml")
    assert other.policy == plain.policy
    assert other.digest != plain.digest, "the digest is of the file as it is"
    assert problems("\ufeff" + (LEAST + "risk = 1").replace("\n", "\r\n"))[0].startswith(
        "p.toml:4:"
    )


class TestFilesThatCanNotBeRead:
    @staticmethod
    def problem(path: Path) -> str:
        with pytest.raises(BrokenPolicy) as broken:
            load(path)
        (only,) = broken.value.problems
        return only

    def test_a_missing_one(self, tmp_path: Path) -> None:
        path = tmp_path / "none.toml"
        assert self.problem(path) == f"{path}: can't be read: No such file or directory"

    def test_a_directory(self, tmp_path: Path) -> None:
        assert self.problem(tmp_path) == f"{tmp_path}: can't be read: Is a directory"

    def test_a_name_that_no_file_can_have(self) -> None:
        assert "null byte" in self.problem(Path("a\0b"))

    def test_one_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.toml"
        path.write_bytes('# one\n# two\ndefault = "Fälle"\n'.encode("latin-1"))
        assert self.problem(path) == f"{path}:3: not UTF-8: save the file as UTF-8"

    def test_one_in_utf16(self, tmp_path: Path) -> None:
        path = tmp_path / "wide.toml"
        path.write_bytes(LEAST.encode("utf-16"))
        assert "not UTF-8" in self.problem(path)

    def test_one_without_end(self) -> None:
        assert self.problem(Path("/dev/zero")) == (
            "/dev/zero: larger than 1,500,000 bytes: no run could carry it"
        )

    def test_one_that_would_grow_too_large_on_its_way(self, tmp_path: Path) -> None:
        path = tmp_path / "quotes.toml"
        template = "description_template = '" + '"' * 9_900 + "'\n"
        texts = "".join(LEAST.replace('"a"', f'"a{n}"', 1) + template for n in range(90))
        path.write_text(texts)
        assert path.stat().st_size < MAX_POLICY_BYTES
        assert "bytes as JSON, at most 1,500,000: no run could carry it" in self.problem(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("default = gate", "p.toml:1: not TOML: Invalid value (column 11)"),
        ('\n\ndefault = "gate" x', "p.toml:3: not TOML: Expected newline or end of document"),
        ("deadline = 2h", "p.toml:1: not TOML: Expected newline or end of document"),
        ("[[checkpoint]\n", "p.toml:1: not TOML: Expected ']]' at the end of an array declaration"),
        ("[[checkpoint]]\n[[checkpoint]]\n[checkpoint]", "p.toml:3: not TOML: "),
        ('a = """\n\n', "p.toml:1: not TOML: Unterminated string (at the end of the file)"),
        ('a = "\n', "p.toml:1: not TOML: Illegal character"),
        ("a = [\n1,\n", "p.toml:2: not TOML: Invalid value (at the end of the file)"),
        ("a = 1\na = 2", "p.toml:2: not TOML: Cannot overwrite a value"),
        ("a\0 = 1", "p.toml:1: not TOML: "),
        ("x = " + "[" * 100_000, "p.toml: nested too deep"),
        ("\ud800", "p.toml:1: not UTF-8"),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(text: str, problem: str) -> None:
    (said,) = problems(text)
    assert said.startswith(problem)


EVERYTHING_WRONG = """\
defalt = "gate"
secrets = ["-", 3]
default = "maybe"
quorum = 3

[[checkpoint]] # the first
checkpoint_id = "x"
action_pattern = "(?=foo)"
when = "arg.amount > 100"

  [[ checkpoint ]]
"checkpoint_id" = "y"
description_template = '''
[[checkpoint]]
checkpoint_id = "not one"
{x'''
risk = "huge"
audience = [ # of people
  "ada@example.com", "]",
  "ADA@example.com",
]
deadline = '2y'

[["checkpoint"]]
checkpoint_id = " x "
'action_pattern' = ""
editable = ["", "a", 1]
default = "allow"
secretz = 1
[[checkpoint]]
action_patern = "a("
description_template = \"\"\"a \"" \\\"\"\" \\\\\"\"\"
when = "1 + 1" # never mind
"""


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    assert problems(EVERYTHING_WRONG) == [
        'p.toml:1: unknown key "defalt": did you mean "default"?',
        "p.toml:2: secrets, number 2: Input should be a valid string",
        "p.toml:3: default: Input should be 'gate' or 'allow'",
        'p.toml:4: unknown key "quorum": it belongs under a [[checkpoint]]',
        "p.toml:8: checkpoint \"x\": action_pattern: '(?=foo)' is no RE2 expression: invalid perl "
        "operator: (?=; RE2 knows no lookaround and no backreferences",
        "p.toml:9: checkpoint \"x\": when: undeclared reference to 'arg.amount'",
        'p.toml:11: checkpoint "y": action_pattern is missing',
        "p.toml:13: checkpoint \"y\": description_template: expected '}' before end of string",
        "p.toml:17: checkpoint \"y\": risk: Input should be 'low', 'medium', 'high' or 'critical'",
        'p.toml:18: checkpoint "y": audience: ada@example.com is named twice',
        "p.toml:22: checkpoint \"y\": deadline: '2y' is no duration: write 90s, 15m, 2h, 7d, 2w or "
        "never",
        'p.toml:25: checkpoint "x": already the id of the one on line 7',
        'p.toml:26: checkpoint "x": action_pattern: it is empty and would match every tool: write '
        ".* if that is meant",
        'p.toml:27: checkpoint "x": editable, number 1: String should have at least 1 character',
        'p.toml:27: checkpoint "x": editable, number 3: Input should be a valid string',
        'p.toml:28: checkpoint "x": unknown key "default": it belongs above the first '
        "[[checkpoint]]",
        'p.toml:29: checkpoint "x": unknown key "secretz": the keys are action_pattern, allow, '
        "audience, checkpoint_id, confirm_phrase, deadline, description_template, editable, "
        "escalate_after, escalate_to, grants, impact, on_expiry, on_reject, quorum, reject_quorum, "
        "remind_after, remind_before, response_schema, risk, self_approval, stage, when",
        "p.toml:30: checkpoint 4: checkpoint_id is missing",
        "p.toml:30: checkpoint 4: action_pattern is missing",
        'p.toml:31: checkpoint 4: unknown key "action_patern": did you mean "action_pattern"?',
        "p.toml:33: checkpoint 4: when: it gives a number, and a condition is true or false",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LEAST + 'quorum = 3\naudience = ["a", "b"]', '4: checkpoint "a": quorum is 3, but only 2'),
        (LEAST + "risk.level = 1", '4: checkpoint "a": risk: Input should be'),
        (LEAST + "[checkpoint.risk]\nlevel = 1", '4: checkpoint "a": risk: Input should be'),
        (LEAST + "\n[other]\nrisk = 1", '5: unknown key "other"'),
        (LEAST + "\n[[checkpoints]]\nrisk = 1", '5: unknown key "checkpoints": did you mean "ch'),
        (LEAST + '"r\\u0069sk" = 1', '4: checkpoint "a": risk: Input should be'),
        ("[checkpoint]\nrisk = 1", "1: checkpoint: write [[checkpoint]], in two pairs"),
        ("\ncheckpoint = 1", "2: checkpoint: write [[checkpoint]]"),
        ("\n\ncheckpoint = [1]", "3: checkpoint 1: Input should be a valid dictionary"),
        (
            '\ncheckpoint = [\n{checkpoint_id = "a"}]',
            '2: checkpoint "a": action_pattern is missing',
        ),
        (
            "[[checkpoint]]\ncheckpoint_id = 5\naction_pattern = 'a'",
            "2: checkpoint 1: checkpoint_id",
        ),
        (
            "[[checkpoint]]\ncheckpoint_id = 2026-11-21\naction_pattern = 'a'",
            "2: checkpoint 1: che",
        ),
        (LEAST + LEAST + LEAST, '5: checkpoint "a": already the id of the one on line 2'),
    ],
)
def test_the_line_is_that_of_the_key_however_it_is_written(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(f"p.toml:{expected}")


def test_an_id_given_three_times_is_told_twice() -> None:
    assert [line.split(":")[1] for line in problems(LEAST * 3)] == ["5", "8"]


@pytest.mark.timeout(60)  # what looks at all of them for each would take longer
def test_a_hundred_thousand_headers_inside_a_text_fool_nobody() -> None:
    text = f"x = '''\n{'[[checkpoint]]' + chr(10)}''' \n".replace(
        "[[checkpoint]]\n", "[[checkpoint]]\n" * 90_000
    )
    assert problems(text + LEAST + "risk = 1\n") == [
        'p.toml:1: unknown key "x": the keys are checkpoint, default, secrets',
        "p.toml:90006: checkpoint \"a\": risk: Input should be 'low', 'medium', 'high' or 'critical'",
    ]


def test_the_faults_of_thousands_of_checkpoints_are_all_told() -> None:
    text = "".join(LEAST.replace('"a"', f'"a{n}"', 1) + "risk = 1\n" for n in range(3_000))
    said = problems(text)
    assert len(said) == 3_000
    assert said[-1].startswith('p.toml:12000: checkpoint "a2999": risk:')


def test_nothing_of_a_file_can_act_on_the_terminal_it_is_told_on() -> None:
    key = '"\\u001b[31m\\nred" = 1'
    (said,) = problems(LEAST + key)
    assert "\x1b" not in said
    assert "\n" not in said
    (named,) = problems(LEAST.replace('"a"', '"\\u001b]0;x"', 1))
    assert "\x1b" not in named
