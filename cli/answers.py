"""What somebody answers at the keyboard, while other things go on."""

import asyncio
import sys
import threading

from . import output


class Answers:
    """Lines from the keyboard, read beside everything else; or one answer given in advance."""

    def __init__(self, given: str | None) -> None:
        """``approve`` or ``reject`` in advance; None to ask."""
        self.given = given
        self.asks = asyncio.Event()
        """Set once there is something to answer."""
        self._question = ""
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        if given is None:
            loop = asyncio.get_running_loop()

            def read() -> None:
                for line in sys.stdin:
                    loop.call_soon_threadsafe(self._lines.put_nowait, line.strip())
                loop.call_soon_threadsafe(self._lines.put_nowait, None)

            # A thread that may be left blocked in a read when the process leaves.
            threading.Thread(target=read, daemon=True).start()

    async def line(self, question: str) -> str | None:
        """The next line; None when there will be no more."""
        self._question = question
        print(question, end="", file=sys.stderr, flush=True)  # noqa: T201
        try:
            return await self._lines.get()
        finally:
            self._question = ""

    def interrupt(self, text: str) -> None:
        """Say something while a question may stand there: it is asked again below."""
        output.say(f"\n{text}" if self._question else text)
        print(self._question, end="", file=sys.stderr, flush=True)  # noqa: T201

    async def decision(self, phrase: str | None) -> tuple[bool, str, str | None]:
        """Yes or no, a reason, and what was typed to confirm, where ``phrase`` has to be.

        Never returns where nobody can answer.
        """
        if self.given is not None:
            return self.given == "approve", "", phrase
        while True:
            line = await self.line("Approve? [a]pprove or [r]eject: ")
            if line is None:
                output.say("\nNobody answers here; waiting for a decision from elsewhere.")
                await asyncio.Event().wait()
            elif line.lower() in ("a", "approve", "y", "yes"):
                return True, "", phrase and await self.confirmation(phrase)
            elif line.lower() in ("r", "reject", "n", "no"):
                return False, await self.line("Why not? ") or "", None

    async def confirmation(self, phrase: str) -> str:
        """The phrase, asked for until it is there."""
        while (typed := await self.line(f"Type {phrase} to confirm: ")) != phrase:
            if typed is None:
                await asyncio.Event().wait()
        return phrase
