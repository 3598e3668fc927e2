"""What programs are told of an error (RFC 9457), and the errors that only programs make."""

from pydantic import BaseModel, ConfigDict, Field

from clearance import ClearanceError

MEDIA_TYPE = "application/problem+json"

TYPE = "urn:clearance:problem:"
"""Begins the ``type`` of every problem. What follows never changes its meaning."""


class TokenNeeded(ClearanceError):
    """There is no token, or it doesn't hold."""

    def __init__(self, message: str, challenge: str) -> None:
        """Keep what ``WWW-Authenticate`` says beside the text."""
        super().__init__(message)
        self.challenge = challenge


class ScopeMissing(TokenNeeded):
    """The token is not for this."""


class KeyReused(ClearanceError):
    """An ``Idempotency-Key`` that came with another request before."""


class Fault(BaseModel):
    """What is wrong with one field."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    field: str
    """Where it stands, ``stages.0.audience``; empty for the whole."""
    message: str


class Problem(BaseModel):
    """An error, as RFC 9457 writes it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = Field(examples=[f"{TYPE}already-decided"])
    """What kind of error; it never changes, for programs to compare."""
    title: str
    """The same for people."""
    status: int
    detail: str
    """What went wrong this time, and what to do."""
    errors: list[Fault] | None = None
    """Of what is malformed: each field, the first 20."""
    request_status: str | None = None
    """Of ``already-decided``: how the request ended."""
    decided_by: str | None = None
    """Of ``already-decided``: who decided; missing where nobody did."""
