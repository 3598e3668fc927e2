"""What the activities of an agent's run do, by their names."""

from collections.abc import Sequence
from typing import Any

from . import turns

_MARKER = "core_local_activity"
"""What the SDK calls the event of an activity that ran in a worker without a task on the server."""

_HOUSEKEEPING = (
    *("-list-tools", "-list-prompts", "-get-prompt", "-get-prompt-v2", "-server-session"),
    *(".list-tools", ".list-prompts", ".get-prompt", ".list-resources"),
    *(".list-resource-templates", ".read-resource"),
)
"""How the names of activities end that only prepare or read what an MCP server has."""

_CALL_TOOL = (".call-tool", "-call-tool-v2", "-call-tool")


def is_model(activity: str) -> bool:
    """Whether it asks a model."""
    return activity.startswith("invoke_model_activity")


def is_policy(activity: str) -> bool:
    """Whether it reads the run's policy."""
    return activity == "load_policy"


def local_activity(marker: Any) -> tuple[str, Sequence[Any]]:
    """The activity that a marker in a history tells of, and the payloads of its result.

    Args:
        marker: the attributes of a ``MARKER_RECORDED`` event.

    Returns:
        No name for a marker of anything else; no result where it failed.
    """
    if marker.marker_name != _MARKER or "data" not in marker.details:
        return "", ()
    # Written by the SDK's core beneath all codecs, so it is never encrypted; the result is.
    told = [turns.parsed(one.data) for one in marker.details["data"].payloads[:1]]
    name = told[0].get("activity_type") if told and isinstance(told[0], dict) else None
    result = marker.details["result"].payloads if "result" in marker.details else ()
    return (name if isinstance(name, str) else ""), result


def is_housekeeping(activity: str) -> bool:
    """Whether it only prepares or reads what an MCP server has."""
    return activity.endswith(_HOUSEKEEPING)


def is_mcp_call(activity: str) -> bool:
    """Whether it calls a tool of an MCP server."""
    return activity.endswith(_CALL_TOOL)


def mcp_tool(activity: str, asked: Any) -> str | None:
    """The tool of an MCP server that it calls.

    Args:
        activity: its name.
        asked: the first value it was handed, as plain JSON.

    Returns:
        None where it calls none, or doesn't say which.
    """
    if not is_mcp_call(activity):
        return None
    tool = asked.get("tool_name", asked.get("name")) if isinstance(asked, dict) else asked
    return tool if isinstance(tool, str) else None
