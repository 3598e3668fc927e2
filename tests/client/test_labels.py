"""Arguments in a trace: no secret, still comparable, and nothing that the format can't take."""

from typing import Any

import pytest

from clearance.labels import Labels
from clearance.mask import MASK, names


def test_the_same_secret_has_the_same_label_and_another_another() -> None:
    labels = Labels(names(["iban"]))
    first = labels.of({"to": "ada", "password": "one", "iban": ["x"], "deep": [{"token": "one"}]})
    assert first == {
        "to": "ada",
        "password": "[masked: value 1]",
        "iban": "[masked: value 2]",
        "deep": [{"token": "[masked: value 1]"}],
    }
    assert labels.of({"password": "two"}) == {"password": "[masked: value 3]"}
    assert labels.of({"password": "one"}) == {"password": first["password"]}
    assert labels.of({"password": 1}) != labels.of({"password": True})


def test_a_mask_that_nothing_is_known_of_is_the_same_as_no_secret() -> None:
    labels = Labels(names())
    assert labels.of({"password": MASK}) == {"password": MASK}
    assert labels.of({"password": "one"}) != {"password": MASK}


def nested(levels: int, end: Any = "x") -> dict[str, Any]:
    value: Any = end
    for _ in range(levels):
        value = {"in": value}
    return dict(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nested(30), nested(30, "y")),
        ({"half": "\ud800"}, {"half": "\ud801"}),
        ({"long": "\x00" * 200_000}, {"long": "\x00" * 200_001}),
    ],
    ids=["deep", "half a character", "long"],
)
def test_what_the_format_can_not_take_is_a_digest(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    labels = Labels(names())
    assert labels.of(one).keys() == {"sha256"}
    assert labels.of(one) == labels.of(one) != labels.of(other)


def test_what_no_request_takes_is_not_gone_through() -> None:
    assert Labels(names()).of(nested(900)) == {"nested": 900}
