"""The command ``clearance``: runs one command, and says in one line what went wrong."""

import gc
import os
import sys

EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run the command and leave the process.

    By ``os._exit``: a process that used Temporal's client can abort while the interpreter shuts
    down (temporalio/sdk-python issue 300), and a shell script would take that for a refusal.
    """
    gc.disable()  # what modules define stays; looked through until the command is loaded, it takes 30 ms
    arguments = sys.argv[1:] if arguments is None else arguments
    code = _run(arguments)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # whoever read us has gone
            code = code or 1
    os._exit(code)


def _run(arguments: list[str]) -> int:
    import typer  # here: after the garbage collector stopped

    from .commands import app

    try:
        return app(arguments, prog_name="clearance", standalone_mode=False) or 0
    except SystemExit as end:  # how shell completion leaves
        return end.code if isinstance(end.code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except Exception as error:
        if "--debug" in arguments:
            import traceback

            traceback.print_exc()
        from . import failures, output  # here: they take longer to load than help does

        lines, code = failures.explain(error)
        for line in lines:
            output.say(f"clearance: {line}")
        return code
