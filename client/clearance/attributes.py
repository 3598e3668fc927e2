"""The search attributes of an approval: the one source for registering, setting and checking them."""

import json
from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeIndexedValueType,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from . import contract
from .models import Status
from .requests import ApprovalRequest
from .stages import folded

STATUS = SearchAttributeKey.for_keyword("ApprovalStatus")
TOOL = SearchAttributeKey.for_keyword("ApprovalTool")
CHECKPOINT = SearchAttributeKey.for_keyword("ApprovalCheckpoint")
REQUESTER = SearchAttributeKey.for_keyword("ApprovalRequester")
RISK = SearchAttributeKey.for_keyword("ApprovalRisk")
AUDIENCE = SearchAttributeKey.for_keyword_list("ApprovalAudience")
DEADLINE = SearchAttributeKey.for_datetime("ApprovalDeadline")
REVIEWER = SearchAttributeKey.for_keyword("ApprovalReviewer")
"""Of a request that has ended: who closed it, case-folded."""
CLOSED = SearchAttributeKey.for_datetime("ApprovalClosed")
"""Of a request that has ended: when, to the microsecond, as its record says it."""
GRANTS = SearchAttributeKey.for_int("ApprovalGrants")
"""On an agent run: how many standing approvals it has been given that nobody revoked."""
KEYS: tuple[SearchAttributeKey[Any], ...] = (
    STATUS,
    TOOL,
    CHECKPOINT,
    REQUESTER,
    RISK,
    AUDIENCE,
    DEADLINE,
    REVIEWER,
    CLOSED,
    GRANTS,
)
"""All of them. None holds anything of the arguments or the text."""

_MAX_CHARS = 255
"""Of one value, where Temporal keeps its index in PostgreSQL or MySQL."""


def cli_types() -> list[str]:
    """``NAME=Type`` for each, as the ``temporal`` command's ``--search-attribute`` takes it."""
    words = {
        SearchAttributeIndexedValueType.KEYWORD: "Keyword",
        SearchAttributeIndexedValueType.KEYWORD_LIST: "KeywordList",
        SearchAttributeIndexedValueType.DATETIME: "Datetime",
        SearchAttributeIndexedValueType.INT: "Int",
    }
    return [f"{key.name}={words[key.indexed_value_type]}" for key in KEYS]


async def missing(client: Client) -> list[SearchAttributeKey[Any]]:
    """The attributes that the client's namespace lacks. Raises ``temporalio.service.RPCError``."""
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [key for key in KEYS if key.name not in listed.custom_attributes]


async def register(client: Client) -> list[str]:
    """Add what is missing; return what was added.

    Raises:
        temporalio.service.RPCError: ``PERMISSION_DENIED`` and the like, where the caller may not
            change the namespace.
    """
    absent = await missing(client)
    if absent:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace,
                search_attributes={
                    key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in absent
                },
            )
        )
    return [key.name for key in absent]


def of(
    request: ApprovalRequest,
    *,
    status: Status,
    deadline: datetime | None,
    requester: str | None = None,
) -> TypedSearchAttributes:
    """The attributes of a request in a status; what it doesn't name is left out.

    Args:
        request: whose.
        status: which it has.
        deadline: by when it expires.
        requester: as the index shall hold the name, where that is not as it is.
    """
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(STATUS, status),
        SearchAttributePair(RISK, request.risk),
    ]
    if request.tool:
        pairs.append(SearchAttributePair(TOOL, request.tool))
    if request.checkpoint:
        pairs.append(SearchAttributePair(CHECKPOINT, request.checkpoint))
    if request.requester:
        pairs.append(SearchAttributePair(REQUESTER, requester or request.requester))
    if audience := folded(request.chain[0].audience):
        pairs.append(SearchAttributePair(AUDIENCE, list(audience)))
    if deadline:
        pairs.append(SearchAttributePair(DEADLINE, deadline))
    return TypedSearchAttributes(pairs)


def closing(
    status: Status, reviewer: str | None, at: datetime | None = None
) -> list[SearchAttributeUpdate[Any]]:
    """What a request's end changes: its status, who closed it, where somebody did, and when."""
    updates: list[SearchAttributeUpdate[Any]] = [STATUS.value_set(status)]
    if reviewer and fits_the_index(name := reviewer.casefold()):
        updates.append(REVIEWER.value_set(name))
    if at is not None:
        updates.append(CLOSED.value_set(at))
    return updates


def fits_the_index(value: str) -> bool:
    """Whether Temporal takes a value: one that it refuses would fail the workflow's task for ever."""
    return len(value) <= _MAX_CHARS and len(json.dumps(value)) <= contract.MAX_INDEXED_BYTES
