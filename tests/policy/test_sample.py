"""The policy that ships: what it says of the sample agents' tools."""

import re
from typing import Any

import pytest

from policy.match import Rules, rules_of
from policy.model import Checkpoint, Policy
from policy.source import SAMPLE, load, parse
from policy.terms import StageKeys


@pytest.fixture(scope="module")
def sample() -> Rules:
    return rules_of(load(SAMPLE))


@pytest.mark.parametrize(
    ("tool", "args", "by"),
    [
        ("send_email", {"to": "ada@example.com", "subject": "Hi", "body": "..."}, "mail"),
        ("draft_email", {}, None),
        ("issue_refund", {"order_id": "A-1001", "cents": 5_001}, "large-refunds"),
        ("issue_refund", {"order_id": "A-1001", "cents": 5_000}, "refunds"),
        ("issue_refund", {"order_id": "A-1001"}, "large-refunds"),
        ("look_up_order", {"order_id": "A-1001"}, None),
        ("delete_records", {"customers": [{"id": 2, "name": "Charles"}]}, "deletions"),
        ("list_stale_customers", {"before": "2020-01-01"}, None),
    ],
)
def test_it_stops_what_can_not_be_undone(
    sample: Rules, tool: str, args: dict[str, Any], by: str | None
) -> None:
    verdict = sample.judge(tool, args)
    assert verdict.gated is (by is not None)
    assert (verdict.checkpoint and verdict.checkpoint.checkpoint_id) == by


def test_its_examples_work_once_the_hashes_are_gone() -> None:
    examples = SAMPLE.read_text().split("# Further examples")[1]
    lines = [line[2:] for line in examples.splitlines() if re.match(r"# (\[\[|[a-z_]+ = )", line)]
    policy = parse("\n".join(lines), "examples").policy
    ids = [one.checkpoint_id for one in policy.checkpoint]
    assert ids == ["trades", "petty-cash", "deploys", "contracts", "purchases", "seats"]
    assert [one.name for one in policy.checkpoint[4].stage] == ["manager", "cfo"]
    rules = Rules(policy)
    assert not rules.judge("pay_invoice", {"amount": 20, "currency": "EUR"}).gated
    assert rules.judge("pay_invoice", {"amount": 20, "currency": "USD"}).gated
    assert rules.judge("pay_invoice", {"amount": "all", "currency": "EUR"}).unclear


def test_it_shows_every_key_there_is() -> None:
    text = SAMPLE.read_text()
    for key in [*Checkpoint.model_fields, *StageKeys.model_fields, *Policy.model_fields]:
        assert re.search(rf"^(# )?(\[\[)?(checkpoint\.)?{key}\b", text, re.MULTILINE), key
