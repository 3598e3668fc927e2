"""The audit: audit trace."""

import typer

from . import audit_trace

app = typer.Typer(
    help="The record: what was decided and done, and its proof.", no_args_is_help=True
)
app.command()(audit_trace.trace)
