"""Where the keys of a TOML text stand."""

import pytest

from policy.lines import Lines, Place

TEXT = '''\
default = "gate"
secrets = [
  "a",  # [not.a.header]
]

[people."ada@example.com"]
name = "Ada"
"ali\\u0061ses" = ["ada"]

[people.'grace@example.com']
note = """
[people."nobody"]
name = "x"
"""

[groups]
finance = ["ada@example.com"]
"the leads" = []
ops.night = 1

[[checkpoint]]
id = "first"
[[checkpoint.stage]]
name = "one"
[checkpoint.stage.more]
deep = 1

[[ checkpoint ]]
id = "second"
  [[ checkpoint . "stage" ]]
  name = "one"
  when = "args.a > 1"
  [[checkpoint.stage]]
  name = "two"

[[delegation]]
from = "a"
[[delegation]]
from = "b"
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("default",), 1),
        (("secrets", 0), 2),
        (("people",), 6),
        (("people", "ada@example.com"), 6),
        (("people", "ada@example.com", "name"), 7),
        (("people", "ada@example.com", "aliases", 0), 8),
        (("people", "ada@example.com", "nothing"), 6),
        (("people", "grace@example.com", "name"), 10),
        (("people", "nobody"), 6),
        (("groups", "finance", 0), 17),
        (("groups", "the leads"), 18),
        (("groups", "ops", "night"), 19),
        (("checkpoint",), 21),
        (("checkpoint", 0), 21),
        (("checkpoint", 0, "id"), 22),
        (("checkpoint", 0, "stage", 0, "name"), 24),
        (("checkpoint", 0, "stage", 0, "more"), 25),
        (("checkpoint", 0, "stage", 0, "more", "deep"), 26),
        (("checkpoint", 1), 28),
        (("checkpoint", 1, "id"), 29),
        (("checkpoint", 1, "stage"), 30),
        (("checkpoint", 1, "stage", 0, "when"), 32),
        (("checkpoint", 1, "stage", 1, "name"), 34),
        (("checkpoint", 1, "stage", 1, "when"), 33),
        (("checkpoint", 1, "stage", 7, "when"), 30),
        (("delegation", 0, "from"), 37),
        (("delegation", 1, "from"), 39),
        (("delegation", 1, "to"), 38),
        (("unheard of", 3), 1),
        ((), 1),
    ],
    ids=str,
)
def test_a_place_has_the_line_of_its_key_or_of_what_it_stands_in(place: Place, line: int) -> None:
    assert Lines(TEXT).of(place) == line


@pytest.mark.timeout(60)  # what looks at each for each would take hours
def test_names_of_any_depth_and_length_are_placed_before_this_test_has_to_end() -> None:
    deep = ".".join(["a"] * 200_000) + " = 1\n"
    long = f'"{"b" * 200_000}" = 2\n'
    lines = Lines("\n" + deep + long + "[t]\nlast = 1\n")
    assert lines.of(["a"] * 200_000) == 2
    assert lines.of(("b" * 200_000,)) == 3
    assert lines.of(("t", "last")) == 5
