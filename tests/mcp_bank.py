"""A bank's MCP server, as a process of its own or beside others: what it did stands in its file."""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

LONG = "transfer_between_the_accounts_of_two_customers_of_different_branches"

LEDGER = Path("/nowhere")
"""Its file."""

server = MCPServer("bank")


def _done(what: str) -> str:
    with LEDGER.open("a") as ledger:
        ledger.write(f"{what}\n")
    return what


@server.tool()
def transfer(to: str, cents: int) -> str:
    """Send money."""
    return _done(f"transferred {cents} to {to}")


@server.tool()
def balance(of: str) -> str:
    """How much there is."""
    return _done(f"balance of {of}")


@server.tool(name=LONG)
def between(to: str) -> str:
    """Send money, under a long name."""
    return _done(f"moved to {to}")


if __name__ == "__main__":
    LEDGER = Path(sys.argv[1])
    server.run("stdio")
