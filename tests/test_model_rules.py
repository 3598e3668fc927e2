"""The tests' model server refuses what OpenAI's refuses; otherwise passing against it says nothing."""

from typing import Any

import pytest

from .model_rules import wrong

TOOL = {
    "name": "pay",
    "parameters": {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    },
    "strict": True,
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "pay", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "paid"}
ASKED: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
    ],
}
ANSWERED = {"role": "tool", "tool_call_id": "c1", "content": "paid"}
USER = {"role": "user", "content": "Pay Ada"}

GOOD: dict[str, dict[str, Any]] = {
    "responses": {
        "model": "m",
        "input": [USER, CALL, OUTPUT],
        "tools": [{"type": "function", **TOOL}],
    },
    "chat_completions": {
        "model": "m",
        "messages": [USER, ASKED, ANSWERED],
        "tools": [{"type": "function", "function": TOOL}],
    },
}

BAD = [
    ("responses", {"model": ""}, "model parameter"),
    ("responses", {"messages": [USER]}, "Unknown parameter: 'messages'"),
    ("responses", {"stream": True}, "does not stream"),
    ("responses", {"input": []}, "'input'"),
    ("responses", {"input": [USER, CALL]}, "No tool output found for function call c1"),
    ("responses", {"input": [USER, OUTPUT]}, "No tool call found"),
    ("responses", {"input": [USER, {**CALL, "id": "call_1"}, OUTPUT]}, "begins with 'fc'"),
    ("responses", {"input": [USER, CALL, {**OUTPUT, "output": None}]}, "Invalid tool output"),
    ("responses", {"tools": [{"type": "function", "function": TOOL}]}, "Invalid tool name"),
    ("responses", {"tools": [{"type": "function", **TOOL, "parameters": {}}]}, 'of type "object"'),
    ("chat_completions", {"input": "Pay Ada"}, "Unknown parameter: 'input'"),
    ("chat_completions", {"messages": []}, "'messages'"),
    ("chat_completions", {"messages": [USER, ASKED]}, "did not have response messages"),
    ("chat_completions", {"messages": [USER, ASKED, USER]}, "did not have response messages"),
    ("chat_completions", {"messages": [USER, ANSWERED]}, "must follow"),
    ("chat_completions", {"messages": [{**USER, "content": None}]}, "Invalid content"),
    ("chat_completions", {"tools": []}, "too short"),
    ("chat_completions", {"tools": [{"type": "function", **TOOL}]}, "Invalid tool"),
]


@pytest.mark.parametrize("api", GOOD)
def test_a_request_as_the_reference_describes_it_is_taken(api: str) -> None:
    assert wrong(api, GOOD[api]) is None


@pytest.mark.parametrize(("api", "change", "reason"), BAD)
def test_a_request_that_a_real_server_refuses_is_refused(
    api: str, change: dict[str, Any], reason: str
) -> None:
    assert reason in str(wrong(api, {**GOOD[api], **change}))
