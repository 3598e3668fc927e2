"""mcp: what a reviewer's assistant reads, and decides where somebody switched that on."""

from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from clearance.errors import InvalidRequest, explain
from clearance.fields import Name

from . import output, session


def mcp(
    decide_as: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Let the assistant decide as this person; else it reads."
        ),
    ] = None,
) -> None:
    """Serve the Model Context Protocol on standard input and output, for a reviewer's assistant."""
    settings = session.load()
    try:
        name = None if decide_as is None else TypeAdapter(Name).validate_python(decide_as)
    except ValidationError as error:
        raise InvalidRequest(f"--decide-as: {explain(error)}") from error

    async def work() -> None:
        from .assistants import serve  # the protocol's library takes long to load

        output.say(f"An assistant decides as {name} here." if name else "Read-only.")
        await serve(settings, name)

    session.run(work())
