"""The search attributes of an approval: the one source for registering, setting and checking them."""

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
    TypedSearchAttributes,
)

from .models import Status
from .requests import ApprovalRequest

STATUS = SearchAttributeKey.for_keyword("ApprovalStatus")
TOOL = SearchAttributeKey.for_keyword("ApprovalTool")
CHECKPOINT = SearchAttributeKey.for_keyword("ApprovalCheckpoint")
REQUESTER = SearchAttributeKey.for_keyword("ApprovalRequester")
RISK = SearchAttributeKey.for_keyword("ApprovalRisk")
AUDIENCE = SearchAttributeKey.for_keyword_list("ApprovalAudience")
DEADLINE = SearchAttributeKey.for_datetime("ApprovalDeadline")
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
    GRANTS,
)
"""All of them. None holds anything of the arguments or the text."""


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
    request: ApprovalRequest, *, status: Status, deadline: datetime | None
) -> TypedSearchAttributes:
    """The attributes of a request in a status; what it doesn't name is left out."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(STATUS, status),
        SearchAttributePair(RISK, request.risk),
    ]
    if request.tool:
        pairs.append(SearchAttributePair(TOOL, request.tool))
    if request.checkpoint:
        pairs.append(SearchAttributePair(CHECKPOINT, request.checkpoint))
    if request.requester:
        pairs.append(SearchAttributePair(REQUESTER, request.requester))
    if request.audience:
        pairs.append(SearchAttributePair(AUDIENCE, [name.casefold() for name in request.audience]))
    if deadline:
        pairs.append(SearchAttributePair(DEADLINE, deadline))
    return TypedSearchAttributes(pairs)
