"""What stands before every route: names, headers, rates, sizes, slow callers, and the stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from clearance import ApprovalClient
from cli import embedded
from tests.support import eventually
from web import connections
from web.config import Rates, WebConfig
from web.context import Context
from web.server import running

from .conftest import SignedIn

Having = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

PUBLIC = "https://approvals.example.com"


@pytest.fixture
def having(web_config: WebConfig, approvals: ApprovalClient) -> Having:
    """``async with having(public_url=...) as browser``: an inbox set up otherwise."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        config = WebConfig.model_validate({**web_config.model_dump(), **changes})
        async with running(config, approvals) as inbox:
            address = f"http://127.0.0.1:{config.port}" if config.public_url else inbox.url
            async with httpx.AsyncClient(base_url=address) as browser:
                browser.inbox = inbox  # type: ignore[attr-defined]
                yield browser

    return start


async def answers_to(browser: httpx.AsyncClient, host: str) -> int:
    """The status for a request that calls us so."""
    return (await browser.get("/sign-in", headers={"Host": host})).status_code


async def test_on_this_machine_it_answers_to_names_of_this_machine_only(
    browser: httpx.AsyncClient,
) -> None:
    for host in ("127.0.0.1", "localhost:8234", "[::1]:8234", "LOCALHOST"):
        assert await answers_to(browser, host) == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""):
        assert await answers_to(browser, host) == 400, host


async def test_whoever_watches_over_the_process_may_call_it_by_any_name(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.get("/healthz", headers={"Host": "10.1.2.3"})
    assert answer.status_code == 200


async def test_behind_a_proxy_it_answers_to_its_public_name(having: Having) -> None:
    async with having(public_url=PUBLIC, port=embedded.free_port(0)) as browser:
        assert await answers_to(browser, "approvals.example.com") == 200
        assert await answers_to(browser, "evil.example") == 400


@pytest.mark.parametrize("path", ["/sign-in", "/static/base.css", "/nothing", "/api/v1/nothing"])
async def test_every_answer_says_what_a_browser_may_do_with_it(
    browser: httpx.AsyncClient, path: str
) -> None:
    headers = (await browser.get(path)).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers
    assert "strict-transport-security" not in headers
    assert (headers.get("cache-control") == "no-store") is not path.startswith("/static/")


async def test_over_https_the_cookie_is_for_that_host_only_and_the_browser_stays_there(
    having: Having,
) -> None:
    async with having(public_url=PUBLIC, port=embedded.free_port(0)) as browser:
        inbox: Context = browser.inbox  # type: ignore[attr-defined]
        token = await inbox.store.sessions.invite("ada@example.com")
        answer = await browser.get(f"/sign-in/{token}")

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-clearance=")
    attributes = {part.strip().partition("=")[0].lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "secure", "samesite", "path", "max-age"} <= attributes
    assert "domain" not in attributes
    assert "Path=/;" in cookie
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_who_tries_sign_in_links_is_stopped_and_told_for_how_long(
    browser: httpx.AsyncClient,
) -> None:
    answers = [await browser.get(f"/sign-in/guess-{number}") for number in range(22)]

    assert [one.status_code for one in answers] == [403] * 20 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) in range(1, 62)
    assert "too often" in answers[-1].text
    assert (await browser.get("/sign-in")).status_code == 200


async def test_who_calls_is_told_by_trusted_proxies_only(having: Having) -> None:
    once = Rates(sign_in="1/minute")

    async def tries(browser: httpx.AsyncClient, address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return (await browser.get("/sign-in/guess", headers=headers)).status_code

    async with having(rates=once, proxies=("127.0.0.0/8",)) as browser:
        addresses = ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.9, 192.0.2.2")
        assert [await tries(browser, one) for one in addresses] == [403, 403, 429, 429]
    async with having(rates=once) as browser:
        assert [await tries(browser, one) for one in ("192.0.2.1", "192.0.2.2")] == [403, 429]


async def test_what_one_person_does_is_counted_for_them_alone(having: Having) -> None:
    async with having(rates=Rates(act="2/minute")) as browser:
        other: Context = browser.inbox  # type: ignore[attr-defined]
        codes: dict[str, list[int]] = {}
        for who in ("ada@example.com", "grace@example.com"):
            codes[who] = []
            for _ in range(3):  # each in a session of its own
                browser.cookies.clear()
                await browser.get(f"/sign-in/{await other.store.sessions.invite(who)}")
                page = (await browser.get("/history")).text
                csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
                answer = await browser.post("/sign-out", data={"csrf": csrf})
                codes[who].append(answer.status_code)
    assert list(codes.values()) == [[303, 303, 429]] * 2


async def test_who_tries_tokens_is_stopped(browser: httpx.AsyncClient) -> None:
    answers = [
        await browser.get("/api/v1/requests", headers={"Authorization": f"Bearer clr_{n}_guess"})
        for n in range(22)
    ]

    assert [one.status_code for one in answers] == [401] * 20 + [429] * 2
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert "retry-after" in answers[-1].headers


async def test_an_old_key_of_a_rate_counts_again_in_the_next_window(having: Having) -> None:
    async with having(rates=Rates(sign_in="1/second")) as browser:

        async def status() -> int:
            return (await browser.get("/sign-in/guess")).status_code

        async def refused() -> bool:
            return await status() == 429

        async def tried() -> bool:
            return await status() == 403

        await eventually(refused)
        await eventually(tried)


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(inbox: Context, sends: bytes = b"") -> Wire:
    """A bare connection on which this was sent."""
    url = httpx.URL(inbox.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sends)
    await writer.drain()
    return reader, writer


def head(path: str, *lines: str) -> bytes:
    """The head of a POST."""
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", "")).encode()


@pytest.mark.parametrize("path", ["/sign-out", "/api/v1/requests", "/pending", "/nothing"])
async def test_a_body_of_ten_megabytes_is_refused_before_it_is_sent(
    inbox: Context, path: str
) -> None:
    lines = ("Content-Type: application/json", f"Content-Length: {10 * 1024 * 1024}")
    reader, writer = await connect(inbox, head(path, *lines))

    status = await reader.readline()

    assert status.split()[1] == b"413"
    writer.close()


async def test_a_body_that_says_no_length_is_cut_off(inbox: Context, signed_in: SignedIn) -> None:
    client = await signed_in()
    cookie = f"Cookie: clearance={client.cookies['clearance']}"
    form = "Content-Type: application/x-www-form-urlencoded"
    reader, writer = await connect(
        inbox, head("/sign-out", cookie, form, "Transfer-Encoding: chunked")
    )
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    sent = 0
    answer = asyncio.create_task(reader.readline())
    while not answer.done() and sent < 160:
        writer.write(chunk)
        try:
            await writer.drain()
        except ConnectionError:
            break
        sent += 1
        await asyncio.sleep(0)
    assert (await answer).split()[1] == b"413"
    writer.close()


async def test_a_thousand_slow_connections_leave_others_answered(
    inbox: Context, signed_in: SignedIn
) -> None:
    slow = [await connect(inbox, b"GET / HTTP/1.1\r\nHost: ") for _ in range(1_000)]
    try:
        client = await signed_in()
        for path in ("/healthz", "/", "/history"):
            assert (await client.get(path)).status_code == 200
        assert not any(reader.at_eof() for reader, _ in slow)
    finally:
        for _, writer in slow:
            writer.transport.abort()


async def closed(wire: Wire) -> bool:
    """Wait until the other end hangs up; whether it said nothing before."""
    try:
        said = await wire[0].read()
    except ConnectionError:
        said = b""
    wire[1].close()
    return said == b""


_WHOLE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Hasty(connections.Prompt):
    """Between two requests it waits less, too; that is uvicorn's own to say."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.timeout_keep_alive = 1


@pytest.fixture
async def hasty(
    monkeypatch: pytest.MonkeyPatch, web_config: WebConfig, approvals: ApprovalClient
) -> AsyncIterator[Context]:
    """An inbox that waits for nobody."""
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.3)
    monkeypatch.setattr(connections, "BODY_WITHIN", 0.3)
    monkeypatch.setattr("web.server.Prompt", Hasty)
    async with running(web_config, approvals) as context:
        yield context


async def test_who_does_not_finish_what_they_ask_is_hung_up_on(hasty: Context) -> None:
    slow_body = head("/sign-out", "Content-Type: text/plain", "Content-Length: 9") + b"abc"

    silent = await connect(hasty)
    half_a_head = await connect(hasty, b"GET / HTTP/1.1\r\nHo")
    half_a_body = await connect(hasty, slow_body)

    assert await closed(silent)
    assert await closed(half_a_head)
    await closed(half_a_body)


async def test_a_second_request_on_a_connection_has_to_come_whole_too(hasty: Context) -> None:
    reader, writer = await connect(hasty, _WHOLE)
    assert await reader.readuntil(b'{"status":"ok"}')

    writer.write(_WHOLE + b"GET / HT")

    assert await reader.readuntil(b'{"status":"ok"}')
    assert await closed((reader, writer))


async def test_an_answer_under_way_is_finished_when_it_stops(
    web_config: WebConfig, approvals: ApprovalClient
) -> None:
    body = b"csrf=none"

    async def begun() -> bool:
        tasks = {getattr(one.get_coro(), "__qualname__", "") for one in asyncio.all_tasks()}
        return "RequestResponseCycle.run_asgi" in tasks

    async with running(web_config, approvals) as inbox:
        secret, _ = await inbox.store.sessions.begin("ada@example.com")
        cookie = f"Cookie: clearance={secret}"  # of nobody the body would not be read
        form = ("Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}")
        reader, writer = await connect(inbox, head("/sign-out", cookie, *form) + body[:4])
        answer = asyncio.create_task(reader.readline())
        await eventually(begun)
        stopping = asyncio.create_task(inbox.stopping.wait())
        late = asyncio.create_task(_late(stopping, writer, body[4:]))
        assert not answer.done()
    await late
    assert (await answer).split()[1] == b"403"
    writer.close()


async def _late(stopping: "asyncio.Task[bool]", writer: asyncio.StreamWriter, rest: bytes) -> None:
    await stopping
    writer.write(rest)
    await writer.drain()


async def test_it_takes_nobody_new_once_it_has_stopped(
    web_config: WebConfig, approvals: ApprovalClient
) -> None:
    async with running(web_config, approvals) as inbox:
        pass
    with pytest.raises(OSError, match=r".*"):
        await connect(inbox)


async def test_whoever_listens_is_let_go_when_it_stops(
    web_config: WebConfig, approvals: ApprovalClient
) -> None:
    async with running(web_config, approvals) as inbox:
        changes = inbox.live.changes()
        assert (await anext(changes)).kind == "resync"
        ending = asyncio.create_task(_last(changes))
    await ending
    assert [change async for change in inbox.live.changes()] == []


async def _last(changes: Any) -> None:
    async for _ in changes:
        pass


async def test_a_service_is_counted_by_its_token(
    having: Having,
) -> None:
    async with having(rates=Rates(act="1/minute")) as browser:
        inbox: Context = browser.inbox  # type: ignore[attr-defined]
        codes = []
        for name in ("one", "one", "two"):
            if name not in {known.name for known in await inbox.store.tokens.all()}:
                token, _ = await inbox.store.tokens.create(name, ["request"], lasts=None)
            headers = {"Authorization": f"Bearer {token}"}
            codes.append((await browser.post("/api/v1/requests", headers=headers)).status_code)
    assert codes[1] == 429
    assert 429 not in (codes[0], codes[2])
