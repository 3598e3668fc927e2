"""Everything that takes part: the server, two workers, the inbox, the ledger, those who are told."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearance import ApprovalClient, CannotConnect, connect, contract
from cli import embedded
from tests.model_server import MODEL, ModelServer
from tests.proxy import Proxy, proxy

from .bank import Bank
from .disk import Clock, Disk, disk
from .journal import Journal
from .model import scripted
from .postgres import PostgreSQL, killable
from .programs import CLEARANCE, Program, run

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

ADA, BOB, CLEO = "ada@example.com", "bob@example.com", "cleo@example.com"

REVIEWERS = """
[people."ada@example.com"]
notify = ["mail"]
[people."bob@example.com"]
notify = ["mail"]
[people."cleo@example.com"]
notify = ["webhook:stock"]
[webhooks.stock]
url = "http://127.0.0.1:{port}/hooks"
secret = "env:STOCK_WEBHOOK_SECRET"
allow_private = true
"""


@dataclass
class World:
    """What ``world`` yields. All processes run but those that a fault has killed."""

    folder: Path
    journal: Journal
    bank: Bank
    proxy: Proxy
    clock: Clock
    state: Disk
    """Of the inbox's database, and of the ledger where that is SQLite."""
    temporal: Disk
    """Of the server's file."""
    postgresql: PostgreSQL | None
    programs: dict[str, Program]
    environment: dict[str, str]
    """Of our commands, also of workers and inbox but for their clock."""
    address: str
    """Of the server itself, past the proxy."""
    ledger: str
    inbox: str
    tokens: dict[str, str]

    async def client(self, address: str | None = None) -> ApprovalClient:
        """A client at the server itself, or at the address of the proxy."""
        temporal = await connect({"target_host": address or self.address})
        return ApprovalClient(temporal, whole_ids=True)

    async def command(self, *words: str) -> tuple[int, str]:
        """Run ``clearance`` with these words: its exit code, and what it printed."""
        return await run(*CLEARANCE, *words, cwd=self.folder, environment=self.environment)

    def worker(self, name: str, changed: Path | None = None) -> Program:
        """One more, not started; it finds rooms of ours in ``changed`` before those of the tree."""
        environment, command = {**self.environment, **self.clock.environment}, ["worker.py"]
        if changed is not None:
            environment["PYTHONPATH"] = f"{changed}:{environment['PYTHONPATH']}"
            command.insert(0, "tests/faults/anew.py")
        return Program(
            name,
            (sys.executable, *(str(ROOT / one) for one in command)),
            log=self.folder / f"{name}.log",
            cwd=self.folder,
            environment=environment,
            ready=_serves,
        )

    async def heal(self) -> None:
        """Undo every fault, and have everything run and ready."""
        self.proxy.heal()
        self.clock.set(0)
        self.state.free()
        self.temporal.free()
        if self.postgresql is not None:
            await self.postgresql.start()
        for program in self.programs.values():
            await program.start()
        await asyncio.gather(*(one.is_ready() for one in self.programs.values()))


@asynccontextmanager
async def world(
    folder: Path,
    *,
    workers: int = 2,
    with_inbox: bool = True,
    with_postgresql: bool = False,
    with_steps: bool = False,
) -> AsyncIterator[World]:
    """Start everything; leaving the context ends it, whatever was killed meanwhile.

    Args:
        folder: for all that is kept; has to be there, and empty.
        workers: how many there are.
        with_inbox: whether there is one, and tokens of ``clearance web``'s API.
        with_postgresql: whether the ledger is there, instead of in a SQLite file.
        with_steps: whether the clock can be stepped, for which Python loads everything anew.
    """
    async with AsyncExitStack() as stack:
        kept = stack.enter_context(disk(folder / "state", 64))
        temporal = stack.enter_context(disk(folder / "temporal", 512))
        database, ledger = None, f"sqlite:///{kept.folder / 'ledger.db'}"
        if with_postgresql:
            database, ledger = stack.enter_context(killable())
        model = await stack.enter_async_context(scripted())
        port = embedded.free_port(0)
        between = await stack.enter_async_context(proxy(port))
        clock = Clock(folder / "clock", stepped=with_steps)
        web, mail, hook = (embedded.free_port(0) for _ in range(3))
        (folder / "reviewers.toml").write_text(REVIEWERS.format(port=hook))
        environment = {
            **_environment(folder, kept, model),
            "TEMPORAL_ADDRESS": f"127.0.0.1:{between.port}",
            "CLEARANCE_LEDGER_URL": ledger,
            "CLEARANCE_SMTP_URL": f"smtp://127.0.0.1:{mail}",
            "CLEARANCE_WEB_PORT": str(web),
        }
        made = World(
            folder=folder,
            journal=Journal(folder / "journal"),
            bank=Bank(folder / "bank.db"),
            proxy=between,
            clock=clock,
            state=kept,
            temporal=temporal,
            postgresql=database,
            programs={},
            environment=environment,
            address=f"127.0.0.1:{port}",
            ledger=ledger,
            inbox=f"http://127.0.0.1:{web}",
            tokens={},
        )
        stack.push_async_callback(_end, made)
        made.programs |= _programs(made, port, (mail, hook), workers, with_inbox)
        server = made.programs["server"]
        await server.start()
        await server.is_ready()
        if with_inbox:
            await _make_tokens(made)
        await made.heal()
        yield made


def _environment(folder: Path, kept: Disk, model: ModelServer) -> dict[str, str]:
    return {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}",
        "CLEARANCE_STATE": str(kept.folder),
        "CLEARANCE_POLICY": str(HERE / "checkpoints.toml"),
        "CLEARANCE_REVIEWERS": str(folder / "reviewers.toml"),
        "CLEARANCE_AGENTS": "tests.faults.bank",
        "CLEARANCE_NOTIFY_DIGEST": "1s",
        "CLEARANCE_RECONCILE_EVERY": "1m",
        "CLEARANCE_MODEL": MODEL,
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": model.key or "",
        "STOCK_WEBHOOK_SECRET": f"whsec_{base64.b64encode(b'0' * 32).decode()}",
        "FAULTS_BANK": str(folder / "bank.db"),
    }


def _programs(
    made: World,
    port: int,
    told: tuple[int, int],
    workers: int,
    with_inbox: bool,
) -> dict[str, Program]:
    folder = made.folder

    def program(name: str, *command: str, **how: Any) -> Program:
        return Program(name, command, log=folder / f"{name}.log", cwd=folder, **how)

    async def server_answers(_: str) -> bool:
        return await _answers(made.address)

    database = made.temporal.folder / "temporal.db"
    serve = embedded.server_arguments(port, embedded.free_port(0), database)
    found = {"server": program("server", embedded.temporal_command(), *serve, ready=server_answers)}
    for kind, at in zip(("mail", "webhook"), told, strict=True):
        receive = (sys.executable, "-m", "tests.faults.receivers", kind, str(at))
        environment = {"PYTHONPATH": made.environment["PYTHONPATH"]}
        found[kind] = program(
            kind, *receive, str(folder / f"{kind}s"), environment=environment, ready=_listens(at)
        )
    for number in range(1, workers + 1):
        found[f"worker-{number}"] = made.worker(f"worker-{number}")
    if with_inbox:
        by_clock = {**made.environment, **made.clock.environment}
        listens = _listens(int(made.environment["CLEARANCE_WEB_PORT"]))
        found["inbox"] = program("inbox", *CLEARANCE, "web", environment=by_clock, ready=listens)
    return found


def _listens(port: int) -> Any:
    async def listens(_: str) -> bool:
        writer = (await asyncio.open_connection("127.0.0.1", port))[1]
        writer.close()
        return True

    return listens


async def _serves(said: str) -> bool:
    return contract.AGENTS_QUEUE in said


async def _answers(address: str) -> bool:
    try:
        await connect({"target_host": address}, timeout=1)
    except CannotConnect:
        return False
    return True


async def _make_tokens(made: World) -> None:
    for name, scopes, *person in (
        ("agent", "request,read"),
        ("rival", "request,read"),
        ("ada", "decide,read", "--as", ADA),
    ):
        code, said = await made.command(
            "token", "create", "--name", name, "--scopes", scopes, *person
        )
        assert code == 0, said
        made.tokens[name] = said.strip().splitlines()[-1]


async def _end(made: World) -> None:
    await asyncio.gather(*(one.kill() for one in made.programs.values()))
    if made.postgresql is not None:
        await made.postgresql.start()  # whoever runs it ends it, and expects it to run
