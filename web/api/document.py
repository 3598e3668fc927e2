"""What the OpenAPI document says of errors."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from web.problems import MEDIA_TYPE, Problem

_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "required": True}},
    503: {"Retry-After": {"schema": {"type": "integer"}, "required": True}},
}

_ANY = {
    401: "No token, or one that doesn't hold.",
    403: "The token lacks the scope.",
    422: "Something in it is malformed: `errors` says which fields.",
    429: "Too often.",
    503: "Temporal or the database does not answer. Try again.",
}

_WITH_A_BODY = {
    400: "The body can't be read.",
    413: "The body is larger than 1 MB.",
    415: "The body doesn't say that it is JSON.",
}

_OF_ONE = {404: "No request has this id."}

_REQUESTS = "/api/v1/requests"

Responses = dict[int | str, dict[str, Any]]


def problems(of: Mapping[int, str] | None = None, /, *, one: bool = False) -> Responses:
    """The errors of a route that reads.

    Args:
        of: what its own statuses mean, or mean besides.
        one: whether it is about one request.
    """
    said = _ANY | (_OF_ONE if one else {})
    for status, meaning in (of or {}).items():
        said[status] = f"{said[status]} {meaning}" if status in said else meaning
    return {status: _problem(status, said[status]) for status in sorted(said)}


def posted(of: Mapping[int, str] | None = None, /, *, one: bool = True) -> Responses:
    """The errors of a route that takes a body. The arguments are those of ``problems``."""
    return problems({**_WITH_A_BODY, **(of or {})}, one=one)


def _problem(status: int, meaning: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    found: dict[str, Any] = {"description": meaning, "content": {MEDIA_TYPE: {"schema": schema}}}
    if headers := _HEADERS.get(status):
        found["headers"] = headers
    return found


def header(name: str, says: str, kind: str = "string") -> dict[str, Any]:
    """The ``headers`` of a documented answer: one that is always there."""
    schema = {"type": kind}
    return {name: {"description": says, "schema": schema, "required": True}}


def documented(app: FastAPI) -> None:
    """Let the document name the one form that all errors have."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = make()
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            of_problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= of_problem.pop("$defs", {})
            schemas["Problem"] = of_problem
            _say_streams_as_3_1_does(made)
            _say_what_can_follow(made)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _say_streams_as_3_1_does(document: dict[str, Any]) -> None:
    """Only OpenAPI 3.2 knows what one event of a stream is; in 3.1 the word makes it invalid."""
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                stream = response.get("content", {}).get("text/event-stream")
                if stream is not None and stream.pop("itemSchema", None) is not None:
                    stream["schema"] = {"type": "string"}


def _say_what_can_follow(document: dict[str, Any]) -> None:
    """What can be done to a request that was just made."""
    paths = document["paths"]
    links = {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "parameters": {"id": "$response.body#/id"},
        }
        for path, operations in paths.items()
        for operation in operations.values()
        if path.startswith(f"{_REQUESTS}/")
    }
    responses = paths[_REQUESTS]["post"]["responses"]
    responses["200"]["links"] = responses["201"]["links"] = links
