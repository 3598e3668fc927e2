"""What OpenAI's servers refuse, as far as an agent's requests can break it. Pure functions.

From the API reference of ``POST /v1/responses`` and ``POST /v1/chat/completions``; the sentences
are those the servers answer with.
"""

import re
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

# Generated from OpenAI's own specification.
_RESPONSES = {"stream", *ResponseCreateParamsBase.__annotations__}
_CHAT = {"stream", *CompletionCreateParamsBase.__annotations__}


def wrong(api: str, body: dict[str, Any]) -> str | None:
    """Why a server that speaks ``api`` answers 400 to this request; None where it doesn't."""
    known, conversation = (
        (_RESPONSES, _wrong_input) if api == "responses" else (_CHAT, _wrong_messages)
    )
    return _first(
        *(f"Unknown parameter: '{name}'" for name in body if name not in known),
        None if body.get("model") else "you must provide a model parameter",
        "this server does not stream" if body.get("stream") else None,
        _wrong_tools(api, body),
        conversation(body),
    )


def _wrong_tools(api: str, body: dict[str, Any]) -> str | None:
    tools = body.get("tools", [])
    if api == "chat_completions" and "tools" in body and not tools:
        return "[] is too short - 'tools'"
    if api == "chat_completions" and "parallel_tool_calls" in body and not tools:
        return "'parallel_tool_calls' is only allowed when 'tools' are specified"
    for tool in tools:
        if api == "responses" and tool.get("type") == "mcp" and tool.get("server_label"):
            continue
        function = tool if api == "responses" else tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            return f"Invalid tool: {tool}"
        if not _NAME.fullmatch(function.get("name", "")):
            return f"Invalid tool name: {function.get('name')}"
        if function.get("strict") and (reason := _not_strict(function.get("parameters"))):
            return f"Invalid schema for function '{function['name']}': {reason}"
    return None


def _not_strict(schema: Any) -> str | None:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return 'schema must be of type "object"'
    if schema.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false"
    if set(schema.get("properties", {})) != set(schema.get("required", [])):
        return "'required' has to include every key in properties"
    return None


def _wrong_input(body: dict[str, Any]) -> str | None:
    items = body.get("input")
    if isinstance(items, str):
        return None if items else "Input is empty"
    if not isinstance(items, list) or not items:
        return "Missing required parameter: 'input'"
    called = [item for item in items if item.get("type") == "function_call"]
    answered = [item for item in items if item.get("type") == "function_call_output"]
    return _first(
        *(_wrong_item(item) for item in items),
        _wrong_permissions(items),
        _unmatched([c.get("call_id") for c in called], [a.get("call_id") for a in answered]),
    )


def _wrong_item(item: dict[str, Any]) -> str | None:
    kind = item.get("type", "message")
    if kind == "message":
        roles = ("user", "assistant", "system", "developer")
        return None if item.get("role") in roles and "content" in item else "Invalid message"
    if kind == "function_call":
        if not str(item.get("id", "fc_")).startswith("fc"):
            return f"Invalid 'id': '{item['id']}'. Expected an ID that begins with 'fc'"
        return _wrong_call(item.get("call_id"), item)
    if kind == "function_call_output":
        return None if isinstance(item.get("output"), str) else "Invalid tool output"
    if kind == "mcp_approval_request":
        known = {"id", "arguments", "name", "server_label"} <= item.keys()
        return None if known else "Invalid MCP approval request"
    if kind == "mcp_approval_response":
        return None if isinstance(item.get("approve"), bool) else "Invalid MCP approval"
    return f"Invalid value: '{kind}'"


def _wrong_permissions(items: list[dict[str, Any]]) -> str | None:
    asked = [one.get("id") for one in items if one.get("type") == "mcp_approval_request"]
    answers = [one for one in items if one.get("type") == "mcp_approval_response"]
    answered = [one.get("approval_request_id") for one in answers]
    if sorted(map(str, asked)) == sorted(map(str, answered)):
        return None
    return f"MCP approval requests do not have an approval: {asked}, {answered}"


def _wrong_messages(body: dict[str, Any]) -> str | None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "Missing required parameter: 'messages'"
    open_calls: list[Any] = []
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                return "messages with role 'tool' must follow a message with their 'tool_calls'"
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            return f"tool_call_ids did not have response messages: {open_calls}"
        made = message.get("tool_calls") or []
        if role not in ("user", "assistant", "system", "developer"):
            return f"Invalid role: {role!r}"
        if content is None and not (role == "assistant" and made):
            return f"Invalid content of a message of {role}: null"
        if bad := _first(*(_wrong_call(c.get("id"), c.get("function", {})) for c in made)):
            return bad
        open_calls = [call["id"] for call in made]
    return f"tool_call_ids did not have response messages: {open_calls}" if open_calls else None


def _wrong_call(call_id: Any, call: dict[str, Any]) -> str | None:
    if not isinstance(call_id, str) or not 0 < len(call_id) <= 64:
        return f"Invalid call id: {call_id!r}"
    if not isinstance(call.get("name"), str) or not isinstance(call.get("arguments"), str):
        return "a call needs a name and its arguments as a string"
    return None


def _unmatched(called: list[Any], answered: list[Any]) -> str | None:
    return _first(
        *(f"No tool output found for function call {c}" for c in called if c not in answered),
        *(f"No tool call found for function call output {a}" for a in answered if a not in called),
    )


def _first(*reasons: str | None) -> str | None:
    return next((reason for reason in reasons if reason), None)
