"""Every name that two processes must agree on, and the limits they enforce.

Nothing here does anything. A service in another language needs this page and no other:
start or signal a workflow of type ``ApprovalWorkflow`` on the queue ``clearance-approvals``.

Names and models here change by one rule: what was ever written is understood for ever. A field is only
added, with a default that means what its absence meant; none is removed, renamed or narrowed. What is
asked (a request, a decision, an act, a run) is refused with a field that the reader doesn't know, for it
might be a condition; what is told (an outcome, a receipt, a view) is read without it.
"""

from datetime import timedelta
from typing import Final

VERSION: Final = 5
"""Of what a request is. 2: it is written to the ledger at its end, and its audience is told. 3: the
ledger takes it after its end, which doesn't wait for that. 4: an update says with it what the directory
says of its sender (``ERROR_STANDING``), and people are told of what Temporal has taken. 5: a look-up is
taken up by a timer."""

APPROVALS_QUEUE: Final = "clearance-approvals"
"""Task queue that serves ``ApprovalWorkflow``. Needs no model and no tools."""

AGENTS_QUEUE: Final = "clearance-agents"
"""Task queue that serves ``AgentWorkflow`` and the activities of its tools."""

APPROVAL_WORKFLOW: Final = "ApprovalWorkflow"
AGENT_WORKFLOW: Final = "AgentWorkflow"

SIGNAL_APPROVE: Final = "approve"
"""``approve(bool)``: the bare decision, without identity, from any SDK or the ``temporal`` command."""

SIGNAL_DECIDE: Final = "record_decision"
"""A whole ``Decision``, stored by the server while no worker answers the update."""

UPDATE_DECIDE: Final = "decide"
"""A whole ``Decision``; answers at once whether it counted. See ``ERROR_STANDING``, ``ERROR_BUSY``."""

SIGNAL_ACT: Final = "record_act"
"""A whole ``Act``, stored by the server while no worker answers the update."""

SIGNALS: Final = (SIGNAL_APPROVE, SIGNAL_DECIDE, SIGNAL_ACT)
"""What an approval takes while no worker is there."""

UPDATE_ACT: Final = "act"
"""A whole ``Act``: a comment, a delegation, a withdrawal; answers at once whether it was taken. See
``ERROR_STANDING``, ``ERROR_BUSY``."""

CONSUMPTION_WORKFLOW: Final = "ConsumptionWorkflow"
"""That somebody outside Temporal has taken the permission to act: at most one for each approval, on the
queue that served it. What it is started with is a ``Taking``, in its memo as well."""

UPDATE_REPORT: Final = "report"
"""On a consumption: a whole ``Report``; answers at once whether it was taken."""

SIGNAL_REPORT: Final = "record_outcome"
"""A whole ``Report``, stored by the server while no worker answers the update."""

QUERY_VIEW: Final = "view"
"""On an approval: the whole record, an ``ApprovalView``."""

QUERY_EXECUTION: Final = "execution"
"""On an agent run, with an approval's id: when its action ran, an ``Execution``; null where it didn't."""

ACTIVITY_MEMBERS: Final = "clearance_members"
"""On the approvals queue: names of an audience in, ``Members`` out."""

ACTIVITY_STANDING: Final = "clearance_standing"
"""On the approvals queue: a ``StandingQuestion`` in, ``Standing`` out."""

ACTIVITY_KEEP: Final = "clearance_keep"
"""On the approvals queue, for requests of version 2: a ``Kept`` in; its events are in the ledger when it
returns."""

ACTIVITY_TELL: Final = "clearance_tell"
"""On the approvals queue: a list of ``Notice`` in; handed to the notifiers of whom they are for when it
returns. It contacts nobody."""

ACTIVITY_SEND: Final = "clearance_send"
"""On the approvals queue: a ``Delivery`` in; it has been sent when it returns."""

ACTIVITY_UNTOLD: Final = "clearance_untold"
"""On the approvals queue: an ``Untold`` in, of a request that has ended."""

RECONCILE_WORKFLOW: Final = "ReconcileWorkflow"
"""What a schedule starts on the approvals queue, to bring what the ledger lacks."""

ACTIVITY_RECONCILE: Final = "clearance_reconcile"
"""On the approvals queue: no argument; the ledger has what Temporal has when it returns."""

ERROR_UNSENDABLE: Final = "Unsendable"
"""``ApplicationError.type`` of a delivery that is not to be tried again; the message says why."""

NOTIFIER_WORKFLOW: Final = "NotifierWorkflow"
"""What one channel of one person or group is told, one after the other, each event once."""

SIGNAL_TELL: Final = "tell"
"""On a notifier: a whole ``Telling``."""

QUERY_GRANTS: Final = "grants"
"""On an agent run: the standing approvals it has been given, a list of ``Grant``."""

SIGNAL_REVOKE: Final = "revoke_grant"
"""On an agent run: end a standing approval; an object ``{grant_id, reviewer}``."""

QUERY_PENDING: Final = "pending_approvals"
"""On a parent: the approvals it waits for, a list of ``PendingApproval``."""

ERROR_MISMATCH: Final = "DigestMismatch"
"""``ApplicationError.type`` where what was approved is not what would run."""

ERROR_REJECTED: Final = "CollaborationError"
"""``ApplicationError.type`` of a run that a rejection stopped; the message begins with ``rejected``."""

ERROR_EXPIRED: Final = "TimeoutError"
"""``ApplicationError.type`` of a run that was stopped because nobody decided in time."""

MEMO_APPROVAL: Final = "approval"
"""Memo key of an approval: an ``ApprovalSummary`` without id and times, so that lists need no queries."""

MEMO_CONSUMPTION: Final = "consumption"
"""Memo key of a consumption: a ``Consumption`` without its time."""

MEMO_RUN: Final = "run"
"""Memo key of an agent run: a ``RunSummary``."""

MEMO_TROUBLE: Final = "trouble"
"""Memo key of an agent run: why its policy can't be read, as long as that is so; else none, or None."""

MEMO_LONG: Final = "long"
"""Memo key of an agent run: why it stays in its execution, whose history is long; else none."""

MEMO_LISTED: Final = "listed_requester"
"""Memo key of a workflow that asks for somebody: their name to its hash, where the index holds that."""

ERROR_INVALID_REQUEST: Final = "InvalidRequest"
"""``ApplicationError.type`` of an approval that failed because its request was malformed."""

ERROR_REFUSED: Final = "DecisionRefused"
"""``ApplicationError.type`` of a decision that did not count."""

ERROR_STANDING: Final = "StandingRequired"
"""``ApplicationError.type`` of an update that has left no trace, on a request that asks the directory.
Its only detail, a list, is what the directory says of who sent it (a ``Standing``) and, where they hand
it over, of who is to decide: send the same again, with the list as the second argument. A worker takes it
if its directory says the same then."""

ERROR_BUSY: Final = "Busy"
"""``ApplicationError.type`` of an update that has left no trace because the directory is being asked
about something that came before: send the same again in a moment, or leave it as a signal."""

DIRECTORY: Final = "clearance_directory"
"""By this name a worker's process gives its workflows the directory."""

ERROR_ALREADY_DECIDED: Final = "AlreadyDecided"
"""``ApplicationError.type`` of a decision on a request that another decision had closed."""

MAX_ACTION_CHARS: Final = 500
MAX_DETAILS_BYTES: Final = 64 * 1024
MAX_ARGUMENTS_BYTES: Final = 256 * 1024
MAX_ARGUMENTS_DEPTH: Final = 100
"""Lists and objects inside one another. The converter of a worker gives up at 200, envelope included."""

MAX_PROMPT_BYTES: Final = 100 * 1024
MAX_REASON_CHARS: Final = 4_000
MAX_PROSE_CHARS: Final = 2_000
"""Of an impact, a prompt or a message as a request repeats it."""

MAX_TEMPLATE_CHARS: Final = 10_000
MAX_CONDITION_CHARS: Final = 500
MAX_GRANT_USES: Final = 1_000
MAX_NAME_CHARS: Final = 200
"""Reviewers, requesters, tools, audiences. Search attribute values allow 255."""

MAX_INDEXED_BYTES: Final = 2048
"""Of one search attribute as ASCII JSON, the most that Temporal takes: a whole audience, or a tool."""

MAX_ID_CHARS: Final = 200
MAX_AUDIENCE: Final = 50
MAX_VOUCHED: Final = 200
"""Groups that a sign-in vouches for."""

MAX_STAGES: Final = 10
MAX_REMINDERS: Final = 10
MAX_ATTEMPTS: Final = 1_000
MAX_RESPONSE_BYTES: Final = 16 * 1024
MAX_COMMENTS_BYTES: Final = 100 * 1024
"""Of all comments, questions and answers of one request: a view has to stay below 2 MB."""

MAX_DELEGATIONS: Final = 50
MAX_SEEN: Final = 200
"""Events that a record keeps of each of the kinds ``viewed`` and ``notified``, and of its own notes."""

MAX_RECORDED_REFUSALS: Final = 1_000
"""Refused attempts kept in the view one by one, at most 200 KB; further ones are counted. All
stay in the history, but those that the request's worker has no need to keep (changes where none can
count, large or very many attempts of who isn't in the audience): these are only answered."""

DEFAULT_EXPIRY: Final = timedelta(days=7)
MAX_EXPIRY: Final = timedelta(days=5 * 365)
MAX_GRANT_EXPIRY: Final = timedelta(days=30)
DEFAULT_USABLE: Final = timedelta(hours=1)
"""How long after an approval its permission may be taken, where the request says nothing."""

MAX_USABLE: Final = timedelta(days=30)
MAX_REPORT_AFTER: Final = timedelta(days=30)
"""How long after it was taken one may report what the action did."""

CONSUMED: Final = ".consumed"


def child_id(parent_id: str, sequence: int) -> str:
    """The id of a parent's ``sequence``-th approval (from 1).

    Fixed per parent and sequence: a parent that is reset asks again under the same id and
    replaces its old request instead of leaving it behind as an orphan.
    """
    return f"{parent_id}.{sequence}"


def consumption_id(approval_id: str) -> str:
    """The workflow id of an approval's consumption. One id, so that the engine lets one taker in."""
    return f"{approval_id}{CONSUMED}"
