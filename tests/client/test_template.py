"""Sentences with arguments in them."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clearance.template import check, fill

VALUES: dict[str, Any] = {
    "to": "ada@example.com",
    "amount": 1234.5,
    "cents": 12_900,
    "ok": True,
    "none": None,
    "order": {"id": "A-1", "items": [{"name": "engine"}, "é"]},
    "customer_id": 7,
    "big": 10**400,
    "braces": "{to}",
    "früher": "ja",
}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("plain", "plain"),
        ("", ""),
        ("to {to}", "to ada@example.com"),
        ("{cents} cents", "12900 cents"),
        ("{amount:,.2f} EUR", "1,234.50 EUR"),
        ("{cents:,}", "12,900"),
        ("{cents:d}", "12900"),
        ("{amount:d}", "1234.5"),  # no whole number: shown as it is
        ("{cents:%}", "1290000.000000%"),
        ("{big:,.2f}", str(10**400)),
        ("{to:,.2f}", "ada@example.com"),
        ("{ok:d}", "true"),
        ("{ok} {none}", "true null"),
        ("{order.id}", "A-1"),
        ("{order.items.0.name}", "engine"),
        ("{order.items.1}", "é"),
        ("{order.items}", '[{"name": "engine"}, "é"]'),
        ("{order.items.2}", "(missing: order.items.2)"),
        ("{order.items.-1}", "(missing: order.items.-1)"),
        ("{order.items.99999999999}", "(missing: order.items.99999999999)"),
        ("{to.upper}", "(missing: to.upper)"),
        ("{order.__class__}", "(missing: order.__class__)"),
        ("{nobody}", "(missing: nobody)"),
        ("{{to}} {to}", "{to} ada@example.com"),
        ("{braces}", "{to}"),
        ("{früher}", "ja"),
        ("{customer_id}", "7"),
    ],
)
def test_a_field_is_what_the_argument_is(template: str, filled: str) -> None:
    check(template)
    assert fill(template, VALUES) == filled


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{", "Single '{'"),
        ("{to", "expected '}'"),
        ("}", "Single '}'"),
        ("{}", "is no field"),
        ("{0}", "is no field"),
        ("{to!r}", "a format is like"),
        ("{order[id]}", "is no field"),
        ("{to.}", "is no field"),
        ("{ to }", "is no field"),
        ("{cents:>10}", "a format is like"),
        ("{cents:{to}}", "a format is like"),
        ("{cents:999999999}", "a format is like"),
        ("{cents:.99f}", "a format is like"),
    ],
)
def test_a_template_that_cannot_be_filled_is_told_and_left_as_it_is(
    template: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said.replace("{", r"\{")):
        check(template)
    assert fill(template, VALUES) == template


def test_a_name_the_arguments_have_beats_no_path() -> None:
    assert fill("{a.b}", {"a.b": 1, "a": {"b": 2}}) == "2"


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["{", "}", "{a}", "{a.b:,.2f}", ":", "!", ".", "[", "é"])).map(
        "".join
    ),
    st.dictionaries(
        st.sampled_from("ab"),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner),
            max_leaves=5,
        ),
    ),
)
@example("{a}", {"a": 10**5000})
def test_filling_never_raises(template: str, values: dict[str, Any]) -> None:
    assert isinstance(fill(template, values), str)
