"""Changes that runs recorded before them must not see: one name each, and when it may go."""

import hashlib

from policy.model import Checkpoint, Policy
from policy.source import Pinned

POLICY_IS_PINNED = "policy-is-pinned"
"""A run reads its policy at its start. Runs from before have no such activity in their history; they
go by ``BEFORE_POLICIES``. May go when no run started before 2026-11-22 is open any more."""

BEFORE_POLICIES = Pinned(
    digest=hashlib.sha256(b"before policies").hexdigest(),
    source="(gates in code)",
    policy=Policy(
        default="allow",
        checkpoint=(
            Checkpoint(
                checkpoint_id="send_email",
                action_pattern="^send_email$",
                description_template="Send “{subject}” to {to}\n\n{body}",
                risk="high",
            ),
            Checkpoint(
                checkpoint_id="issue_refund",
                action_pattern="^issue_refund$",
                description_template="Refund {cents} cents for order {order_id}",
                risk="high",
            ),
            Checkpoint(
                checkpoint_id="delete_records",
                action_pattern="^delete_records$",
                description_template="Delete customer records for good",
                risk="critical",
            ),
        ),
    ),
)
"""What stopped the sample agents when the gates stood in their tools' code."""

POLICY_IS_READ_IN_PLACE = "policy-is-read-in-place"
"""A run reads its policy by a local activity: one that has a task on the server can be completed by its
id, by whoever may write to the namespace, and with rules of theirs. Runs from before go by that one. May
go, and ``_policy_by_task`` with it, when no run started before 2026-11-23 is open any more."""

AUDIENCES_ARE_RESOLVED = "audiences-are-resolved"
"""A request that names who decides asks the directory, lists how far it is, and doesn't count the
approval of who asked or changed the arguments. Requests from before do none of that. May go when no
request made before 2026-11-22 is open any more, which at the latest is five years after."""

LARGE_REQUESTS_TAKE_TURNS = "large-requests-take-turns"
"""Decisions on large arguments that were stored together are taken in several workflow tasks. Requests
from before take them in one. May go when no request made before 2026-11-22 is open any more."""

MANY_SIGNALS_TAKE_TURNS = "many-signals-take-turns"
"""So are signals, where thousands were stored, or many MB: those to a notifier, too. Workflows from
before take them in one task. May go when no request made before 2026-11-23 is open any more."""

REQUESTS_ARE_KEPT = "requests-are-kept"
"""A request is written to the ledger at its end, and its audience is told. Requests that say
``version`` 2 or more do so without a patch; those from before, and bare ones, by this. May go when no
request made before 2026-11-22 is open any more, for those that don't say their version."""

REQUESTS_GO_ON = "requests-go-on-anew"
"""A request whose history becomes long goes on in another execution. Looked at only then; requests from
before stay in their one. May go when no request made before 2026-11-23 is open any more."""

REQUESTS_ARE_HANDED_OVER = "requests-are-handed-over"
"""A request is handed to the worker after its end, and not written to the ledger by a local activity
before it. Requests that say ``version`` 3 or more do so without a patch, those of version 2 never;
bare ones by this. May go, and with it what version 2 does, when no request made before 2026-11-23 is open
any more."""

STANDING_IS_SAID = "standing-is-said"
"""Updates say what the directory says of who sent them, instead of having it looked up, and people are
told by an activity, not by a local one. Requests that say ``version`` 4 or more do so without a patch,
those of 2 and 3 never; bare ones by this. May go, and with it what version 3 does, when no request made
before 2026-11-23 is open any more."""

LOOK_UPS_SETTLE = "look-ups-settle"
"""What is looked up for a stored decision is taken up by a timer (``workflows.looking``). Requests that
say ``version`` 5 or more do so without a patch, those of 2 to 4 never; bare ones by this. May go when no
request made before 2026-11-23 is open any more."""

REQUESTS_ARE_FOLLOWED = "requests-are-followed"
"""A patch of notifiers from before 2026-11-23, which tried to tell a request that someone was not told
only by its first execution. May go when none of them is open any more."""
