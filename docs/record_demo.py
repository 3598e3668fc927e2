"""Make the README's picture from the real program: ``uv run python docs/record_demo.py``.

Runs ``clearance demo`` on a real terminal, types an answer, and writes what the terminal showed
to ``docs/demo.svg``.
"""

import re
import sys
import sysconfig
import tempfile
from pathlib import Path

import pexpect
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 104


def record() -> str:
    """What a terminal shows of one demo that is approved."""
    command = str(Path(sysconfig.get_path("scripts")) / "clearance")
    with tempfile.TemporaryDirectory() as folder:
        child = pexpect.spawn(
            command,
            ["demo"],
            cwd=folder,
            dimensions=(200, COLUMNS),
            encoding="utf-8",
            timeout=60,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": folder,
                "TERM": "xterm-256color",
                "CLEARANCE_REVIEWER": "ada",
            },
        )
        child.expect(r"\[r\]eject: ")
        shown = child.before + child.after
        child.sendline("a")
        child.expect(pexpect.EOF)
        shown += child.before
    return shown.replace("\r\n", "\n")


def main() -> None:
    """Write the picture beside this file."""
    console = Console(record=True, width=COLUMNS, file=sys.stderr, force_terminal=True)
    console.print(Text("$ clearance demo", style="bold"))
    console.print(Text.from_ansi(record().rstrip()))
    svg = console.export_svg(title="clearance demo", theme=MONOKAI)
    # The theme asks a font server for its font; a picture of ours asks nobody for anything.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")
    (Path(__file__).parent / "demo.svg").write_text(svg)


if __name__ == "__main__":
    main()
