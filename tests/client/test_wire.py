"""What travels between versions: an older one's words still mean the same, a newer one's do no harm."""

from typing import Any

import pydantic_core
import pytest
from pydantic import BaseModel, ValidationError

from clearance import (
    Act,
    ActReceipt,
    ApprovalRequest,
    ApprovalSummary,
    ApprovalView,
    Decision,
    Edit,
    Event,
    Execution,
    FinishedApproval,
    Grant,
    Outcome,
    PendingApproval,
    Receipt,
    Recorded,
)
from clearance.permits import Consumption, OutcomeReceipt, Permit, Report, Taking
from clearance.runs import AgentResult, AgentRun, RunSummary

DIGEST = "e6ef95eb2713ac10015ea033de4ef1f436b9b079bd1afcbfb0488e9aa308c894"
RECORDED = (
    '{"approved":true,"reviewer":"ada@example.com","reason":"fine","channel":"cli",'
    f'"decision_id":"d-1","digest":"{DIGEST}","at":"2026-11-21T10:00:00Z"}}'
)
REQUEST = (
    '{"action":"Send it","details":"Hello","tool":"send_email","arguments":{"to":"ada","n":1.0},'
    '"run_id":"email-1","requester":"grace","checkpoint":"mail","risk":"high",'
    '"audience":["ada@example.com"],"expires_in":"P7D"}'
)
EVENT = (
    '{"sequence":1,"at":"2026-11-21T10:00:00Z","kind":"created","who":"grace","channel":"engine",'
    f'"reason":"","digest":"{DIGEST}"}}'
)
WIRE: list[tuple[type[BaseModel], str]] = [
    (ApprovalRequest, REQUEST),
    (
        Decision,
        f'{{"approved":false,"reviewer":"ada","digest":"{DIGEST}","reason":"no","channel":"inbox",'
        '"decision_id":"d-1","decided_at":"2026-11-21T10:00:00Z"}',
    ),
    (Recorded, RECORDED),
    (
        Outcome,
        f'{{"approval_id":"a.1","status":"approved","digest":"{DIGEST}","decision":{RECORDED}}}',
    ),
    (
        Outcome,
        f'{{"approval_id":"a.1","status":"withdrawn","digest":"{DIGEST}","decision":null}}',
    ),
    (
        Receipt,
        '{"approval_id":"a.1","status":"approved","decision_id":"d-1",'
        '"recorded_at":"2026-11-21T10:00:00Z"}',
    ),
    (Event, EVENT),
    (
        ApprovalSummary,
        '{"id":"a.1","status":"pending","action":"Send it","tool":"send_email","run_id":"a",'
        '"requester":"grace","checkpoint":null,"risk":"high","audience":[],'
        f'"digest":"{DIGEST}","requested_at":"2026-11-21T10:00:00Z","expires_in":"P7D"}}',
    ),
    (
        ApprovalView,
        f'{{"id":"a.1","status":"approved","request":{REQUEST},"digest":"{DIGEST}",'
        '"requested_at":"2026-11-21T10:00:00Z","deadline":"2026-11-28T10:00:00Z",'
        f'"decision":{RECORDED},"events":[{EVENT}],"refusals_uncounted":0,"complete":true}}',
    ),
    (
        Grant,
        '{"id":"a.1","run_id":"a","tool":"pay","checkpoint":"payments","condition":"true",'
        '"max_uses":10,"granted_by":"ada","granted_at":"2026-11-21T10:00:00Z",'
        '"expires_at":"2026-11-21T11:00:00Z","used_by":["a.2"],"revoked_by":null,'
        '"revoked_at":null}',
    ),
    (
        Edit,
        f'{{"arguments":{{"n":2}},"digest":"{DIGEST}",'
        '"changes":[{"name":"n","kind":"changed","before":1,"after":2}]}',
    ),
    (
        Act,
        '{"kind":"delegated","who":"ada","text":"away","to":"bob","channel":"cli","act_id":"a-1"}',
    ),
    (
        ActReceipt,
        '{"approval_id":"a.1","status":"pending","act_id":"a-1","recorded_at":null}',
    ),
    (Execution, '{"approval_id":"a.1","at":"2026-11-21T10:00:00Z","failed":true}'),
    (
        FinishedApproval,
        '{"id":"a.1","status":"approved","action":"Send it","tool":"send_email","run_id":"a",'
        '"requester":"grace","checkpoint":null,"risk":"high","audience":["ada"],"quorum":1,'
        f'"stage":1,"stages":[],"attempt":1,"digest":"{DIGEST}",'
        '"requested_at":"2026-11-21T10:00:00Z","expires_in":"P7D",'
        f'"closed_at":"2026-11-21T11:00:00Z","decision":{RECORDED},"reason":"fine"}}',
    ),
    (
        Taking,
        f'{{"approval_id":"a","taker":"bot","consumption_id":"c-1","digest":"{DIGEST}",'
        '"until":"2026-11-21T11:00:00Z"}',
    ),
    (
        Consumption,
        f'{{"approval_id":"a","taker":"bot","consumption_id":"c-1","digest":"{DIGEST}",'
        '"until":"2026-11-21T11:00:00Z","at":"2026-11-21T10:00:00Z",'
        '"outcome":{"succeeded":true,"summary":"paid","at":"2026-11-21T10:00:01Z"}}',
    ),
    (Report, '{"taker":"bot","succeeded":true,"summary":"paid"}'),
    (
        OutcomeReceipt,
        '{"approval_id":"a","succeeded":true,"recorded_at":"2026-11-21T10:00:00Z"}',
    ),
    (
        Permit,
        f'{{"approval_id":"a","consumption_id":"c-1","taker":"bot","at":"2026-11-21T10:00:00Z",'
        f'"until":"2026-11-21T11:00:00Z","digest":"{DIGEST}","action":"Pay","tool":"pay",'
        f'"arguments":{{"n":1}},"masked":[],"decision":{RECORDED}}}',
    ),
    (PendingApproval, '{"id":"a.1","action":"Send it","since":"2026-11-21T10:00:00Z"}'),
    (
        AgentRun,
        '{"agent":"email","prompt":"Write","requester":"grace","approvals_queue":"q",'
        '"expires_in":null,"max_turns":50}',
    ),
    (AgentResult, '{"output":"Done","approvals":[]}'),
    (
        RunSummary,
        '{"id":"a","status":"running","agent":"email","prompt":"Write","requester":null,'
        '"started_at":"2026-11-21T10:00:00Z","closed_at":null}',
    ),
]


@pytest.mark.parametrize(("model", "wire"), WIRE)
def test_what_an_older_version_stored_still_loads_and_means_the_same(
    model: type[BaseModel], wire: str
) -> None:
    loaded = model.model_validate_json(wire)

    known = pydantic_core.from_json(wire)
    assert within(known, pydantic_core.from_json(loaded.model_dump_json())) == known


def within(known: Any, written: Any) -> Any:
    """What of ``written`` an older version knows, too."""
    if isinstance(known, dict):
        return {name: within(value, written[name]) for name, value in known.items()}
    if isinstance(known, list):
        return [within(*both) for both in zip(known, written, strict=True)]
    return written


ASKED: set[type[BaseModel]] = {ApprovalRequest, Decision, Act, AgentRun, Taking, Report}


@pytest.mark.parametrize(("model", "wire"), WIRE)
def test_unknown_fields_are_refused_where_something_is_asked_and_ignored_where_it_is_told(
    model: type[BaseModel], wire: str
) -> None:
    newer = {**pydantic_core.from_json(wire), "added_later": 1}

    if model in ASKED:
        with pytest.raises(ValidationError, match="added_later"):
            model.model_validate(newer)
    else:
        assert model.model_validate(newer) == model.model_validate_json(wire)
