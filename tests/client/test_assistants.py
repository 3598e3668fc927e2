"""What an assistant's decision may not be: every rule, in a table."""

from typing import Any

import pytest

from clearance.assistants import refuse_decision
from clearance.directory import unlisted
from clearance.grants import GrantTerms

from .records import decision_of, request_of

ADA = unlisted("ada")
NAMED: dict[str, Any] = {"audience": ("ada", "bob")}
INBOX = "decide in the inbox"


@pytest.mark.parametrize(
    ("asked", "said", "reason"),
    [
        ({}, {}, None),
        ({}, {"approved": False, "reason": "no"}, None),
        ({}, {"approved": False, "reason": " "}, "a reason"),
        ({"requester": "ADA"}, {}, "no assistant of theirs"),
        ({"requester": "ada", "self_approval": ("requester",)}, {}, "no assistant of theirs"),
        ({"requester": "ada"}, {"approved": False, "reason": "no"}, "no assistant of theirs"),
        ({"requester": "bob"}, {}, None),
        ({"audience": ()}, {}, INBOX),
        ({"risk": "critical"}, {}, INBOX),
        ({"risk": "critical"}, {"approved": False, "reason": "no"}, INBOX),
        ({"confirm_phrase": "go"}, {"confirmation": "go"}, INBOX),
        ({"editable": True}, {"arguments": {"amount": 1}}, INBOX),
        ({"grantable": True}, {"grant": GrantTerms(condition="true")}, INBOX),
    ],
)
def test_an_assistant_may_not(
    asked: dict[str, Any], said: dict[str, Any], reason: str | None
) -> None:
    request = request_of(**{**NAMED, **asked})

    def judged(channel: str) -> str | None:
        decision = decision_of(request, reviewer="ada", channel=channel, **said)
        return refuse_decision(request, request.audience, decision, ADA)

    assert judged("inbox") is None
    found = judged("mcp")
    assert found is None if reason is None else found is not None and reason in found
