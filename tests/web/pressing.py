"""Filling in a page's forms and pressing their buttons over HTTP, as a browser without scripts does."""

from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import httpx

Fields = list[tuple[str, str]]


class _Forms(HTMLParser):
    """The forms of a page, by their ids or else by where they go, each with what a browser would send."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, tuple[str, Fields]] = {}
        self._form: tuple[str, Fields] | None = None
        self._textarea: tuple[str, list[str]] | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = (given.get("action", ""), [])
            self.found[given.get("id") or given.get("action", "")] = self._form
        if self._form is None:
            return
        fields = self._form[1]
        if tag == "input" and "name" in given:
            kind = given.get("type", "text")
            if kind not in ("checkbox", "radio") or "checked" in given:
                fields.append((given["name"], given.get("value", "")))
        elif tag == "textarea":
            self._textarea = (given["name"], [])
        elif tag == "select":
            self._select = given["name"]
            fields.append((self._select, ""))
        elif tag == "option" and "selected" in given:
            fields[-1] = (self._select, given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._textarea[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == "textarea" and self._form and self._textarea:
            name, parts = self._textarea
            self._form[1].append((name, "".join(parts).removeprefix("\n")))
            self._textarea = None


def forms(page: httpx.Response) -> dict[str, tuple[str, dict[str, str]]]:
    """Where each form goes, and its fields; of several with one name the last."""
    parser = _Forms()
    parser.feed(page.text)
    return {id: (action, dict(fields)) for id, (action, fields) in parser.found.items()}


async def press(
    client: httpx.AsyncClient, page: httpx.Response, form: str, **filled: str
) -> httpx.Response:
    """Send one of a page's forms with these fields filled in; follow where that leads.

    Line ends go as browsers send them.
    """
    action, fields = forms(page)[form]
    sent = {name: value.replace("\n", "\r\n") for name, value in {**fields, **filled}.items()}
    answer = await client.post(
        action,
        content=urlencode(sent),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    return await client.get(answer.headers["location"]) if answer.status_code == 303 else answer


def path(id: str) -> str:
    """Where a request's page is."""
    return f"/requests/{quote(id, safe='')}"


async def opened(client: httpx.AsyncClient, id: str, query: str = "") -> httpx.Response:
    """A request's page."""
    page = await client.get(path(id) + query)
    assert page.status_code == 200, page.text
    return page
