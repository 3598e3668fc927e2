"""What the activities of an agent's run do, by their names."""

_HOUSEKEEPING = ("-list-tools", "-list-prompts", "-get-prompt", "-get-prompt-v2", "-server-session")
"""How the names of activities end that only prepare the tools of an MCP server."""

_CALL_TOOL = ("-call-tool-v2", "-call-tool")


def is_model(activity: str) -> bool:
    """Whether it asks a model."""
    return activity.startswith("invoke_model_activity")


def is_policy(activity: str) -> bool:
    """Whether it reads the run's policy."""
    return activity == "load_policy"


def is_housekeeping(activity: str) -> bool:
    """Whether it only prepares the tools of an MCP server."""
    return activity.endswith(_HOUSEKEEPING)


def is_mcp_call(activity: str) -> bool:
    """Whether it calls a tool of an MCP server."""
    return activity.endswith(_CALL_TOOL)
