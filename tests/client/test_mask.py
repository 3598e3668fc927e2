"""Secrets among arguments: shown to nobody, back in their places for the tool, covered by the digest."""

import json
from typing import Any

import pydantic
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clearance import ApprovalRequest
from clearance.mask import MASK, check, conceal, names, pointer, reveal, scrub

NAMES = st.sampled_from(
    ["password", "apiKey", "to", "a/b", "a~b", "~1", "", "0", "token", "x", "OTP", "tokens"]
) | st.text(max_size=3)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([MASK, "", "hunter2", "sécret 😀", "0"])
    | st.text(max_size=6)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)


def at(value: Any, path: str) -> Any:
    """What is at a JSON pointer."""
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


@settings(deadline=None)
@given(ARGUMENTS)
def test_what_was_masked_comes_back_exactly(arguments: dict[str, Any]) -> None:
    before = json.dumps(arguments)

    shown, masked = conceal(arguments)

    assert json.dumps(reveal(shown, arguments, masked)) == before
    assert json.dumps(arguments) == before
    assert all(at(shown, path) == MASK for path in masked)
    assert len(set(masked)) == len(masked)


@settings(deadline=None)
@given(ARGUMENTS)
def test_masking_twice_is_once(arguments: dict[str, Any]) -> None:
    shown, masked = conceal(arguments)

    assert conceal(shown) == (shown, masked)


@settings(deadline=None)
@given(ARGUMENTS)
def test_the_digest_is_that_of_the_real_arguments(arguments: dict[str, Any]) -> None:
    request = ApprovalRequest(action="x", tool="t", arguments=arguments)

    concealed = request.concealed()

    assert concealed.digest == request.digest
    assert concealed.arguments == conceal(arguments)[0]
    assert concealed.concealed() == concealed
    stored = ApprovalRequest.model_validate_json(concealed.model_dump_json())
    assert (stored.digest, stored) == (request.digest, concealed)


@settings(deadline=None)
@given(ARGUMENTS, st.text(min_size=1, max_size=6))
def test_another_secret_has_another_digest(arguments: dict[str, Any], other: str) -> None:
    assume(arguments.get("password") != other)
    one = ApprovalRequest(action="x", tool="t", arguments={**arguments, "password": other})
    two = ApprovalRequest(action="x", tool="t", arguments={**arguments, "password": other + "!"})

    assert one.concealed().arguments == two.concealed().arguments
    assert one.concealed().digest != two.concealed().digest


@settings(deadline=None)
@given(ARGUMENTS, st.text(alphabet="abc/~é ", min_size=4, max_size=9), st.text(max_size=5))
def test_a_secret_is_taken_out_of_every_text_that_repeats_it(
    arguments: dict[str, Any], secret: str, around: str
) -> None:
    assume(secret not in MASK)
    arguments = {**arguments, "password": secret}
    _, masked = conceal(arguments)

    clean = scrub(f"{around}{secret}{around}", arguments, masked)

    assert secret not in clean.replace(MASK, "\0")


@pytest.mark.parametrize(
    "name",
    [
        *("password", "Password", "PASSWORD", "userPassword", "user_password", "db-password"),
        *("api_key", "apiKey", "APIKey", "X-API-Key", "stripe_secret_key", "token", "accessToken"),
        *("access_key", "authorization", "cvc", "pin", "ssn", "cardNumber", "private_key"),
        *("oauth.token", "token2", "passwd", "otp", "passphrase", "cookie", "credentials"),
        *("passcode", "bearer", "jwt", "auth", "x-auth", "connectionString", "connection_string"),
        *("access_tokens", "refreshTokens", "passWord", "pass_word", "userPassWord", "pass-phrase"),
        *("API_key2", "apiKEY", "pass word", "Private.Key"),
    ],
)
def test_a_name_that_says_secret_is_masked(name: str) -> None:
    assert conceal({name: "x"}) == ({name: MASK}, (pointer(name),))


@pytest.mark.parametrize(
    "name",
    [
        *("max_tokens", "pinned", "spin", "opinion", "keys", "key", "passenger", "secretary"),
        *("to", "", "tokenizer", "compassword", "cookies_accepted", "authorize", "author", "oauth"),
        *("tokens", "maxTokens", "total_tokens", "p_in", "to_ken", "pass", "word_pass", "bearing"),
        *("connection", "string", "pass_enger"),
    ],
)
def test_a_name_that_only_looks_like_it_is_not(name: str) -> None:
    assert conceal({name: "x"}) == ({name: "x"}, ())


@pytest.mark.parametrize("value", ["x", "", None, 0, False, [1, 2], {"inner": "x"}, MASK])
def test_whatever_stands_under_a_secret_name_is_masked_whole(value: Any) -> None:
    shown, masked = conceal({"login": [{"password": value, "user": "ada"}]})

    assert shown == {"login": [{"password": MASK, "user": "ada"}]}
    assert masked == ("/login/0/password",)


def test_a_policy_adds_names_of_its_own() -> None:
    secrets = names(["iban", "Kunden-Nummer"])

    assert conceal({"IBAN": 1, "kunden_nummer": 2, "token": 3, "nummer": 4}, secrets)[0] == {
        "IBAN": MASK,
        "kunden_nummer": MASK,
        "token": MASK,
        "nummer": 4,
    }


def test_names_that_a_pointer_has_to_escape_keep_their_places() -> None:
    arguments: dict[str, Any] = {"a/b~c": {"api_key": "x"}, "a": {"b~c": {"api_key": "y"}}}

    shown, masked = conceal(arguments)

    assert masked == ("/a~1b~0c/api_key", "/a/b~0c/api_key")
    assert reveal(shown, arguments, masked) == arguments


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"pin": "1234"},
        {"pin": None},
        {"pin": [MASK]},
        {"pin": {"pin": MASK}},
        {"PIN": MASK},
        {"pin ": MASK},
    ],
)
def test_nothing_is_put_where_no_mask_is(shown: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the masked argument /pin can't be changed"):
        reveal(shown, {"pin": "0000"}, ("/pin",))


def test_a_secret_stays_in_its_place_when_what_is_around_it_moves() -> None:
    """Values are put back by their place: a list whose order changed must not mix them up."""
    original: dict[str, Any] = {"cards": [{"name": "a", "pin": "1"}, {"name": "b", "pin": "2"}]}
    shown: Any
    shown, masked = conceal(original)

    kept = reveal({"cards": [{"name": "A", "pin": MASK}, shown["cards"][1]]}, original, masked)

    assert kept == {"cards": [{"name": "A", "pin": "1"}, {"name": "b", "pin": "2"}]}
    with pytest.raises(ValueError, match="/cards/1/pin"):
        reveal({"cards": [shown["cards"][1]]}, original, masked)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("log in with hunter2!", f"log in with {MASK}!"),
        ("hunter2hunter2", MASK + MASK),
        ("Hunter2", "Hunter2"),
        ("code 123456 for 123", f"code {MASK} for 123"),  # too short to be told from chance
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_texts_lose_the_secrets_and_nothing_else(text: str, clean: str) -> None:
    arguments: dict[str, Any] = {
        "password": "hunter2",
        "pin": 123,
        "otp": 123456,
        "secrets": {"a": ["abcd"]},
    }

    assert scrub(text, arguments, conceal(arguments)[1]) == clean


@pytest.mark.parametrize("secret", ['quo"te', "back\\slash", "two\nlines", "schlüssel", "\x7f123"])
@pytest.mark.parametrize("escapes", [True, False])
def test_a_secret_is_found_as_json_spells_it(secret: str, escapes: bool) -> None:
    arguments: dict[str, Any] = {"password": secret}
    text = json.dumps({"sent": f"with {secret}, twice {secret}"}, ensure_ascii=escapes)

    clean = scrub(text, arguments, conceal(arguments)[1])

    assert json.loads(clean) == {"sent": f"with {MASK}, twice {MASK}"}


def test_a_secret_hides_no_other_argument() -> None:
    arguments: dict[str, Any] = {"to": "eve@example.com", "password": "eve@example.com"}

    shown = ApprovalRequest(action="Send", tool="send", arguments=arguments).concealed()

    assert shown.arguments == {"to": "eve@example.com", "password": MASK}
    assert reveal(shown.arguments, arguments, shown.masked) == arguments


@pytest.mark.parametrize("further", [[], [""], ["", "iban"], ["a+b", "(", "["]])
def test_names_that_say_nothing_mask_nothing(further: list[str]) -> None:
    arguments: dict[str, Any] = {"": 1, "to": 2, "_": 3, "a_b": 4}

    assert conceal(arguments, names(further))[0] | {"a_b": 4} == arguments


@pytest.mark.parametrize("count", [500, 501, 12_000])
def test_more_secrets_than_a_request_keeps_are_masked_and_told(count: int) -> None:
    arguments: dict[str, Any] = {f"pin{n}": n for n in range(count)}

    shown, masked = conceal(arguments)

    assert set(shown.values()) == {MASK}
    assert len(masked) == min(count, 501)
    if count == 500:
        check(masked)
        assert ApprovalRequest(action="x", arguments=arguments).concealed().masked == masked
        return
    said = "too many secrets among the arguments: at most 500 values can be masked"
    with pytest.raises(ValueError, match=said):
        check(masked)
    with pytest.raises(pydantic.ValidationError, match=said):
        ApprovalRequest(action="x", arguments=arguments).concealed()


def test_places_too_long_to_be_named_are_not_all_named() -> None:
    arguments: dict[str, Any] = {"k" * 20_000: [{"pin": n} for n in range(2_000)]}

    shown, masked = conceal(arguments)

    assert shown == {"k" * 20_000: [{"pin": MASK}] * 2_000}
    assert len(masked) == 4
    with pytest.raises(ValueError, match="their places take more than 65,536 characters"):
        check(masked)


@pytest.mark.parametrize(
    ("arguments", "text", "clean"),
    [
        ({"password": "ab" * 120_000}, "x" + "ab" * 120_000, f"x{MASK}"),
        ({"password": "ab" * 120_000}, "ab" * 119_999, "ab" * 119_999),
        ({"secrets": [f"{n:06}s" for n in range(25_000)]}, "is 010007s", f"is {MASK}"),
        ({"secrets": [f"{n:06}s" for n in range(25_000)]}, "nothing", "nothing"),
        ({"secrets": [f"same{n:06}" for n in range(20_000)]}, "all the same", MASK),
    ],
    ids=["long", "not whole", "many", "none", "too many to tell"],
)
def test_large_arguments_are_scrubbed_too(arguments: dict[str, Any], text: str, clean: str) -> None:
    assert scrub(text, arguments, conceal(arguments)[1]) == clean


def test_of_secrets_inside_one_another_none_is_left_in_part() -> None:
    arguments: dict[str, Any] = {"password": "hunter2", "secret": "hunter2-longer"}

    assert scrub("is hunter2-longer", arguments, conceal(arguments)[1]) == f"is {MASK}"


def test_a_request_is_concealed_in_all_its_texts() -> None:
    request = ApprovalRequest(
        action="Log in with hunter2",
        details="hunter2",
        tool="log_in",
        arguments={"user": "ada", "password": "hunter2"},
        impact="Whoever has hunter2 may do anything",
        user_prompt="my password is hunter2",
        agent_message="I use hunter2",
    )

    stored = request.concealed().model_dump_json()

    assert "hunter2" not in stored
    assert stored.count(MASK) == 6
