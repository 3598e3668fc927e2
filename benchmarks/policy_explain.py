"""What a large policy costs: reading it, making its rules, and explaining one call.

``python -m benchmarks.policy_explain`` writes a policy of 5,000 checkpoints, each with a pattern, a
condition and a template, and one of 3, into a folder of its own. Explaining is everything that
``clearance policy explain`` does besides starting: the verdict and the words a person would read.
Nobody should wait 50 ms for it. *First* is a tool's first call, *warm* each later one.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from pydantic import JsonValue

from clearance.wording import described
from policy.match import Rules
from policy.source import load

SIZES = (5_000, 3)
ROUNDS = 200
CALL: dict[str, JsonValue] = {"amount": 9_000, "currency": "EUR", "customer": {"name": "Ada"}}

_ACTIONS = ("delete", "refund", "update", "send", "move")

_CHECKPOINT = '''
[[checkpoint]]
checkpoint_id = "{action}-{number}"
action_pattern = "^(crm|shop)_{action}_[a-z]+_{number}$"
when = "args.amount > {number} && args.currency in ['EUR', 'USD']"
description_template = """{action} {{amount:,.2f}} {{currency}} for {{customer.name}}"""
risk = "high"
deadline = "2h"
'''

Row = tuple[str, float]


def policy_text(size: int) -> str:
    """A policy of that many checkpoints, none of them about the same tool."""
    return 'default = "allow"\n' + "".join(
        _CHECKPOINT.format(action=_ACTIONS[number % 5], number=number) for number in range(size)
    )


def tools(size: int) -> dict[str, str]:
    """A tool that the first checkpoint matches, one for the last, and one for none."""
    last = size - 1
    return {
        "first match": "crm_delete_order_0",
        "last match": f"shop_{_ACTIONS[last % 5]}_order_{last}",
        "no match": "crm_look_up_order",
    }


def explain(rules: Rules, tool: str) -> bool:
    """The verdict on a call, and the words for it if it waits; whether it does."""
    verdict = rules.judge(tool, CALL, agent="clerk", requester="ada@example.com")
    if verdict.checkpoint and verdict.checkpoint.description_template:
        described(verdict.checkpoint.description_template, CALL)
    return verdict.gated


def took(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000


def measure(size: int, folder: Path) -> list[Row]:
    """What was measured, and its milliseconds, for a policy of that size."""
    file = folder / f"{size}.toml"
    file.write_text(policy_text(size))
    rows = [("read and check the file", took(lambda: load(file)))]
    rows.append(("read it again", took(lambda: load(file))))
    policy = load(file).policy
    rows.append(("make its rules", took(lambda: Rules(policy))))
    for name, tool in tools(size).items():
        rules = Rules(policy)
        assert explain(Rules(policy), tool) is (name != "no match")
        rows.append((f"explain, {name}, first", took(lambda r=rules, t=tool: explain(r, t))))  # type: ignore[misc]
        warm = [took(lambda r=rules, t=tool: explain(r, t)) for _ in range(ROUNDS)]  # type: ignore[misc]
        rows.append((f"explain, {name}, warm median", median(warm)))
        rows.append((f"explain, {name}, warm worst", max(warm)))
    return rows


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        measure(1, Path(folder))  # what is loaded once in a process is not the policy's cost
        large, small = (measure(size, Path(folder)) for size in SIZES)
    print(f"{'milliseconds':36}{SIZES[0]:>10,}{SIZES[1]:>10,}{'ratio':>10}")
    for (name, much), (_, little) in zip(large, small, strict=True):
        print(f"{name:36}{much:>10.3f}{little:>10.3f}{much / little:>10.1f}")


if __name__ == "__main__":
    main()
