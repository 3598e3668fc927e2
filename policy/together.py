"""Whether a policy and a directory go together: groups that aren't there, too few people in them."""

from collections.abc import Iterator

from clearance import ApprovalRequest, contract, rules
from clearance.text import one_line

from .directory import Directory
from .model import Policy


def mismatches(policy: Policy, directory: Directory) -> Iterator[str]:
    """A line for each checkpoint whose requests would be refused, because nobody could approve them."""
    for one in policy.checkpoint:
        request = ApprovalRequest(action="-", **one.terms(contract.DEFAULT_EXPIRY))
        names = [name for stage in request.chain for name in stage.audience + stage.escalate_to]
        if names and (reason := rules.refuse_request(request, directory.members(names))):
            yield f'checkpoint "{one_line(one.checkpoint_id, 80)}": {reason}'
