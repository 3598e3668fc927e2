"""Arguments against a tool's schema: what fits, how long it may take, and what is never told."""

import json
from typing import Any, Literal

import pytest
from agents import function_tool
from pydantic import BaseModel

from policy.formats import FORMATS, in_form
from tools.examine import schema_error

DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]


class And(BaseModel):
    op: Literal["and"]
    items: list["And | Or | Eq"]


class Or(BaseModel):
    op: Literal["or"]
    items: list["And | Or | Eq"]


class Eq(BaseModel):
    op: Literal["eq"]
    field: str


@function_tool
async def find(where: And | Or | Eq) -> str:
    return str(where)


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


pytestmark = pytest.mark.timeout(60)  # what is not bounded goes on for ages


def nested_filter(depth: int, innermost: Any) -> Any:
    for _ in range(depth):
        innermost = {"op": "or", "items": [innermost]}
    return innermost


@pytest.mark.parametrize("depth", [1, 8, 16])
def test_a_recursive_union_is_checked_to_its_bottom(depth: int) -> None:
    right = {"where": nested_filter(depth, {"op": "eq", "field": "a"})}
    wrong = {"where": nested_filter(depth, {"op": "eq", "field": 7})}

    assert schema_error(right, find.params_json_schema) is None
    assert str(schema_error(wrong, find.params_json_schema)).endswith("field: must be string")


def tree(branches: int) -> dict[str, Any]:
    """A schema whose parts all go down before they differ, so each level is checked so many times."""
    part = {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["b"]}
    node = {"anyOf": [part] * branches + [{"type": "null"}]}
    return {**of(a={"$ref": "#/$defs/node"}), "$defs": {"node": node}}


def deep(depth: int) -> dict[str, Any]:
    value: Any = None
    for _ in range(depth):
        value = {"a": value}
    return {"a": value}


ALL_OF = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)}
SELF = {"unevaluatedProperties": False, "allOf": [{"$ref": "#/$defs/s"}] * 2}

ENDLESS: dict[str, tuple[dict[str, Any], Any]] = {
    "a union that doubles at each level": (tree(2), deep(40)),
    "a union of 50 forms": (tree(50), deep(20)),
    "allOf that doubles": ({"$ref": "#/$defs/a0", "$defs": {**ALL_OF, "a40": {}}}, {}),
    "a reference to itself": ({"$ref": "#"}, {}),
    "itself twice, unevaluated": ({"$ref": "#/$defs/s", "$defs": {"s": SELF}}, {"x": 1}),
    "not of not of itself": ({"not": {"not": {"$ref": "#"}}}, {}),
    "300,000 items": (of(a={"items": {"type": "integer"}}), {"a": [1] * 300_000}),
    "a union over 300,000 items": (
        of(a={"items": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}),
        {"a": [1] * 300_000},
    ),
    "itself, naming its draft": (
        {"$schema": DRAFTS[-1], "allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {},
    ),
    "500 forms of a huge value": (
        of(a={"items": {"anyOf": [{"type": "null"}] * 500}}),
        {"a": [["x" * 1_000] * 500] * 10},
    ),
    "a pattern of huge expansion on a huge text": (
        of(a={"pattern": "[a-q][^u-z]{900}x"}),
        {"a": "aht" * 300_000},
    ),
}


@pytest.mark.parametrize(("schema", "arguments"), ENDLESS.values(), ids=ENDLESS)
def test_a_check_that_would_take_too_long_ends_and_allows_nothing(
    schema: dict[str, Any], arguments: dict[str, Any]
) -> None:
    said = schema_error(arguments, schema)

    assert said is not None
    assert said.startswith("the schema can't be applied: ")
    assert said == schema_error(arguments, schema)  # a replay comes to the same


SLOW = "^(a+)+$"
SLOWLY = "a" * 60 + "!"


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(
    ("schema", "arguments", "fits"),
    [
        (of(to={"pattern": SLOW}), {"to": SLOWLY}, False),
        (of(to={"pattern": SLOW}), {"to": "a" * 60}, True),
        ({"patternProperties": {SLOW: {"type": "null"}}}, {SLOWLY: 1}, True),
        ({"patternProperties": {SLOW: {"type": "null"}}}, {"aaa": 1}, False),
        ({"patternProperties": {SLOW: {}}, "additionalProperties": False}, {SLOWLY: 1}, False),
        ({"patternProperties": {SLOW: {}}, "additionalProperties": False}, {"aaa": 1}, True),
        ({"additionalProperties": {"pattern": SLOW}}, {"x": SLOWLY}, False),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [{}, [], {"b": 1}] * 9_000}, False),
    ],
)
def test_no_pattern_takes_more_than_linear_time(
    draft: str, schema: dict[str, Any], arguments: dict[str, Any], fits: bool
) -> None:
    said = schema_error(arguments, {"$schema": draft, **schema})

    assert (said is None) is fits
    assert "can't be applied" not in str(said)


@pytest.mark.parametrize("draft", DRAFTS[1:])
def test_patterns_of_names_take_no_more_either(draft: str) -> None:
    schema = {"$schema": draft, "propertyNames": {"pattern": SLOW}}

    assert schema_error({"aaa": 1}, schema) is None
    assert schema_error({SLOWLY: 1}, schema) == 'must match "^(a+)+$"'


def test_a_part_that_names_its_draft_is_bounded_too() -> None:
    part = {"$schema": DRAFTS[-1], "pattern": SLOW}

    assert schema_error({"to": SLOWLY}, of(to=part)) == 'to: must match "^(a+)+$"'
    assert schema_error({"to": "a"}, of(to=part | {"$schema": DRAFTS[0]})) == (
        "the schema can't be applied: a part of it is of another draft"
    )


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "lookahead": (of(a={"pattern": "^(?=x)"}), "RE2 knows no lookaround"),
    "a backreference": (of(a={"pattern": r"(x)\1"}), "RE2 knows no lookaround"),
    "a pattern of names": ({"patternProperties": {"(?!x)": {}}}, "RE2 knows no lookaround"),
    "a pattern that is none": (of(a={"pattern": "("}), "is no RE2 expression"),
    "a pattern that is a number": (of(a={"pattern": 7}), "is no JSON Schema"),
    "patterns of names and what is left": (
        {"patternProperties": {SLOW: {}}, "unevaluatedProperties": False},
        "don't go together",
    ),
    "a type there is not": (of(a={"type": "money"}), "there is no type 'money'"),
    "a reference to nothing": (of(a={"$ref": "#/$defs/no"}), "which is not in it"),
    "another document": (of(a={"$ref": "https://example.com/a.json"}), "which is not in it"),
    "properties that are a list": ({"properties": ["a"]}, "is no JSON Schema"),
}


@pytest.mark.parametrize(("schema", "why"), BROKEN.values(), ids=BROKEN)
def test_a_schema_that_cannot_be_applied_allows_nothing_and_says_why(
    schema: dict[str, Any], why: str
) -> None:
    said = str(schema_error({"a": "hunter2"}, schema))

    assert said.startswith("the schema can't be applied: ")
    assert why in said
    assert "hunter2" not in said


DECIMAL = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"


@pytest.mark.parametrize("amount", ["80.00", "-.5", "8.", "+007", 80, 0.5])
def test_a_decimal_as_pydantic_writes_it_fits(amount: Any) -> None:
    schema = of(amount={"anyOf": [{"type": "number"}, {"type": "string", "pattern": DECIMAL}]})

    assert schema_error({"amount": amount}, schema) is None


@pytest.mark.parametrize("amount", ["", "-", ".", "+.-", "8 0", "1e5", "Ada", "80\n", None, []])
def test_what_is_no_decimal_does_not_fit(amount: Any) -> None:
    schema = of(amount={"anyOf": [{"type": "number"}, {"type": "string", "pattern": DECIMAL}]})

    assert str(schema_error({"amount": amount}, schema)).startswith("amount: ")


TOLD: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "integer"}, "hunter2", "a: must be integer"),
    ({"type": ["integer", "null"]}, "hunter2", "a: must be integer or null"),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "hunter2", "a: must be integer or null"),
    ({"enum": ["x", "é"]}, "hunter2", 'a: must be one of ["x", "é"]'),
    ({"const": {"b": 1}}, "hunter2", 'a: must be {"b": 1}'),
    ({"minLength": 12}, "hunter2", "a: must have at least 12 characters"),
    ({"maxLength": 2}, "hunter2", "a: must have at most 2 characters"),
    ({"pattern": "^x{2}$"}, "hunter2", 'a: must match "^x{2}$"'),
    ({"format": "uuid"}, "hunter2", "a: must be a UUID in lower case with its hyphens"),
    ({"minimum": 8_000_000}, 7654321, "a: must be at least 8000000"),
    ({"maximum": 1}, 7654321, "a: must be at most 1"),
    ({"exclusiveMinimum": 8_000_000}, 7654321, "a: must be more than 8000000"),
    ({"exclusiveMaximum": 1}, 7654321, "a: must be less than 1"),
    ({"multipleOf": 2}, 7654321, "a: must be a multiple of 2"),
    ({"items": {"type": "null"}}, ["hunter2"], "a/0: must be null"),
    ({"minItems": 2}, ["hunter2"], "a: must have at least 2 items"),
    ({"maxItems": 0}, ["hunter2"], "a: must have at most 0 items"),
    ({"uniqueItems": True}, ["hunter2", "hunter2"], "a: must not hold the same twice"),
    ({"uniqueItems": True}, [7654321, 7654321.0], "a: must not hold the same twice"),
    ({"contains": {"type": "null"}}, ["hunter2"], "a: doesn't fit contains"),
    ({"prefixItems": [{}], "items": False}, [1, "hunter2"], "a: doesn't fit items"),
    ({"not": {"type": "string"}}, "hunter2", "a: doesn't fit not"),
    ({"oneOf": [{}, {}]}, "hunter2", "a: fits more than one of the forms it may have"),
    ({"anyOf": [{"const": 1}, {"const": 2}]}, "hunter2", "a: fits none of the forms it may have"),
    ({"required": ["to/b"]}, {"b": "hunter2"}, "a/to~1b: is required"),
    ({"additionalProperties": False}, {"b": "hunter2"}, "a/b: is not an argument"),
    ({"unevaluatedProperties": False}, {"b": "hunter2"}, "a: doesn't fit unevaluatedProperties"),
    ({"minProperties": 2}, {"b": "hunter2"}, "a: must have at least 2 properties"),
    ({"maxProperties": 0}, {"b": "hunter2"}, "a: must have at most 0 properties"),
    ({"dependentRequired": {"b": ["c"]}}, {"b": "hunter2"}, "a: doesn't fit dependentRequired"),
    ({"if": {}, "then": {"type": "null"}}, "hunter2", "a: must be null"),
    ({"properties": {"b": False}}, {"b": "hunter2"}, "a: is not allowed"),
]


@pytest.mark.parametrize(("schema", "value", "said"), TOLD, ids=[said for *_, said in TOLD])
def test_what_is_wrong_is_told_without_the_value(
    schema: dict[str, Any], value: Any, said: str
) -> None:
    found = schema_error({"a": value}, of(a=schema))

    assert found == said
    assert "hunter2" not in found
    assert "7654321" not in found


def test_of_the_forms_of_a_value_the_one_that_was_meant_is_told() -> None:
    card = {**of(kind={"const": "card"}, pin={"type": "string"}), "required": ["kind", "pin"]}
    cash = {**of(kind={"const": "cash"}, cents={"minimum": 1}), "required": ["kind", "cents"]}
    schema = of(by={"anyOf": [card, cash, {"type": "null"}]})

    assert schema_error({"by": {"kind": "cash", "cents": 0}}, schema) == (
        "by/cents: must be at least 1"
    )
    assert schema_error({"by": {"kind": "card"}}, schema) == "by/pin: is required"


def test_a_long_message_is_cut() -> None:
    name = "n" * 1_000

    said = str(schema_error({name: 1}, of(**{name: {"enum": ["e" * 1_000]}})))

    assert len(said) <= 300


LOGIN = of(password={"type": "string", "minLength": 12}, user={"type": "string"})
FORMS: dict[str, dict[str, Any]] = {
    "plain": LOGIN,
    "optional": {"anyOf": [LOGIN, {"type": "null"}]},
    "one of": {"oneOf": [LOGIN, {"type": "null"}]},
    "all of": {"allOf": [LOGIN, {"required": ["password"]}]},
    "one of two that its value tells apart": {
        "oneOf": [LOGIN, of(password={"maxLength": 2}, user={"type": "string"})]
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_is_wrong_with_a_masked_value_does_not_count(form: dict[str, Any]) -> None:
    shown: dict[str, Any] = {"login": {"password": "[masked]", "user": "ada"}, "note": "new"}
    schema = of(login=form, note={"type": "string"})

    assert schema_error(shown, schema, masked=("/login/password",)) is None


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "wrong", [{"login": {"password": "[masked]", "user": 7}}, {"login": 7}, {"note": 7}]
)
def test_what_is_wrong_beside_a_masked_value_does(
    form: dict[str, Any], wrong: dict[str, Any]
) -> None:
    shown = {"login": {"password": "[masked]", "user": "ada"}, "note": "new"} | wrong
    schema = of(login=form | {"type": ["object", "null"]}, note={"type": "string"})

    assert schema_error(shown, schema, masked=("/login/password",)) is not None


def test_masked_values_are_not_taken_for_the_same() -> None:
    shown: dict[str, Any] = {"keys": [{"secret": "[masked]"}, {"secret": "[masked]"}]}
    masked = ("/keys/0/secret", "/keys/1/secret")

    assert schema_error(shown, of(keys={"uniqueItems": True}), masked=masked) is None
    assert schema_error(shown, of(keys={"uniqueItems": True})) is not None


FORMS_OF_TEXT: dict[str, tuple[list[str], list[str]]] = {
    "uuid": (
        ["0f3c8d52-8f7e-4f7c-9f43-0c6d3c0f6f11"],
        ["0F3C8D52-8f7e-4f7c-9f43-0c6d3c0f6f11", "0f3c8d528f7e4f7c9f430c6d3c0f6f11", ""],
    ),
    "date": (
        ["2026-01-31", "2024-02-29"],
        ["2026-02-30", "20260131", "2026-W05-6", "2026-1-31", "2026-01-31\n", "\uff12026-01-31"],
    ),
    "date-time": (
        ["2026-01-31T09:30:00Z", "2026-01-31T09:30:00.5+01:00"],
        ["2026-01-31T09:30:00", "2026-01-31 09:30:00Z", "2026-01-31T25:00:00Z", "1769817600"],
    ),
    "time": (["09:30:00", "09:30:00Z"], ["9:30", "09:30", "24:00:01", "T09:30:00"]),
    "email": (
        ["ada@example.com", "Ada.L+x@example.com"],
        ["Ada <ada@example.com>", "ada@Example.com", "ada", "a@b@c", " ada@example.com", "a@b\n"],
    ),
    "ipv4": (["192.0.2.1"], ["192.0.2.01", "192.0.2", "3221225985", " 192.0.2.1"]),
    "ipv6": (["2001:db8::1", "::"], ["2001:DB8::1", "2001:db8:0::1", "::1/128"]),
}


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_taken_in_one_form_alone(form: str) -> None:
    right, wrong = FORMS_OF_TEXT[form]

    assert [text for text in right if not in_form(form, text)] == []
    assert [text for text in wrong if in_form(form, text)] == []
    assert schema_error({"a": right[0]}, of(a={"format": form})) is None
    assert schema_error({"a": wrong[0]}, of(a={"format": form})) == (
        f"a: must be {FORMATS[form][0]}"
    )


@pytest.mark.parametrize("form", ["regex", "color", "idn-email", "", 7, None, ["uuid"]])
def test_a_format_that_is_not_ours_says_nothing(form: Any) -> None:
    assert schema_error({"a": "("}, of(a={"format": form})) is None


@pytest.mark.parametrize("value", [7, None, True, [], {}])
def test_a_format_is_about_text_only(value: Any) -> None:
    assert schema_error({"a": value}, of(a={"format": "uuid"})) is None


def test_arguments_as_large_as_real_ones_are_checked() -> None:
    row = of(**{f"c{i}": {"type": "string"} for i in range(10)})
    rows: list[Any] = [{f"c{i}": "é" * 20 for i in range(10)}] * 1_000
    schema = of(rows={"type": "array", "items": {**row, "additionalProperties": False}})

    assert len(json.dumps(rows)) > 200_000
    assert schema_error({"rows": rows}, schema) is None
    assert schema_error({"rows": [*rows, {"c1": 1}]}, schema) == "rows/1000/c1: must be string"
