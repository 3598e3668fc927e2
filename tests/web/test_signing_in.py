"""Signing in on one's own machine: by a link that a command prints, once."""

import httpx

from web.context import Context

from .conftest import SignedIn


async def test_a_link_signs_in_once(inbox: Context, browser: httpx.AsyncClient) -> None:
    token = await inbox.store.sessions.invite("ada@example.com")

    first = await browser.get(f"/sign-in/{token}")
    again = await browser.get(f"/sign-in/{token}")

    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert token not in cookie
    assert again.status_code == 403
    assert "was used or is too old" in again.text


async def test_who_signs_out_is_out_on_the_server_too(signed_in: SignedIn) -> None:
    client = await signed_in()
    secret = client.cookies["clearance"]

    refused = await client.post("/sign-out", data={"csrf": "made up"})

    assert refused.status_code == 403
    assert client.cookies["clearance"] == secret
