"""LangGraph with its SQLite checkpointer: ``interrupt`` waits, ``Command(resume=...)`` decides.

Whoever decides runs the rest of the graph, in its own process: nothing is handed to anybody, and
nobody goes on where the decider dies.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.measuring import moment


class OnLangGraph:
    """A graph of one node, in this process."""

    name = "LangGraph with SQLite (goes on in the decider)"

    def __init__(self, graph: Any) -> None:
        """With a compiled graph that has a checkpointer."""
        self._graph = graph
        self._resumed: dict[str, int] = {}

    async def ask(self, id: str) -> None:
        """As ``Contender``."""
        await self._graph.ainvoke({"at": 0}, _thread(id))

    async def waits(self, id: str) -> None:
        """As ``Contender``: it does since it was asked."""

    async def decide(self, id: str) -> None:
        """As ``Contender``."""
        from langgraph.types import Command

        state = await self._graph.ainvoke(Command(resume=True), _thread(id))
        self._resumed[id] = state["at"]

    async def resumed(self, id: str) -> int:
        """As ``Contender``."""
        return self._resumed.pop(id)


def _thread(id: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": id}}


@asynccontextmanager
async def contender(folder: Path) -> AsyncIterator[Contender]:
    """With a database in the folder."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import interrupt

    def gate(state: dict[str, int]) -> dict[str, int]:
        approved = interrupt("Deploy?")
        now = moment()
        assert approved is True
        return {"at": now}

    async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous=NORMAL")  # as the embedded server has it
        graph = StateGraph(dict)
        graph.add_node("gate", gate)
        graph.add_edge(START, "gate")
        graph.add_edge("gate", END)
        yield OnLangGraph(graph.compile(checkpointer=saver))
