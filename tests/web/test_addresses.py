"""Where somebody calls from, as far as rates go."""

import pytest
from starlette.requests import Request

from web.guard import address_of


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("a-socket", "a-socket"),
    ],
)
def test_whoever_has_one_ipv6_address_has_all_that_begin_so(host: str, counted: str) -> None:
    assert address_of(Request({"type": "http", "client": (host, 1)})) == counted


def test_a_caller_without_an_address_is_one_caller() -> None:
    assert address_of(Request({"type": "http", "client": None})) == ""
