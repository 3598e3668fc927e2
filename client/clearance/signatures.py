"""What is signed of a decision or an act, and what a request asks of a signature. No cryptography here.

A request pins public keys; then only what one of them has signed counts. Signed is the canonical JSON
(``fields.canonical_json``) of ``{"v": 1, "kind": "decision" | "act", "approval_id", "execution",
"said"}``: ``said`` is the whole decision or act as plain JSON but its signature, and ``execution`` the
id that Temporal gave the request's first execution, so that a signature is good for no other request,
not even one that is asked anew under the same id.
"""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from .fields import canonical_json

MAX_KEYS = 10
"""That one request pins."""

MISSING = "only signed decisions count here, and its signature is missing"
UNKNOWN = "its signature is of a key that this request doesn't pin"
WRONG = "its signature doesn't fit what it says"
SPENT = "this very decision was made before the request changed: read it again, then decide"

KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""The id of a key, as key files have them: 1 to 64 letters, digits, dots, ``_`` and ``-``."""


class DecisionKey(BaseModel):
    """A public key, of which a request accepts signatures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: KeyId
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    """Ed25519, 32 bytes, base64url without padding."""


def _distinct(keys: tuple[DecisionKey, ...]) -> tuple[DecisionKey, ...]:
    if len({one.id for one in keys}) < len(keys):
        raise ValueError("two keys have the same id")
    return keys


DecisionKeys = Annotated[
    tuple[DecisionKey, ...], Field(max_length=MAX_KEYS), AfterValidator(_distinct)
]
"""Those that a request pins: at most 10, each with an id of its own."""


class Signature(BaseModel):
    """Who says that a decision or an act was made by the person it names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: KeyId
    """The id of the key that signed."""
    value: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{85}[AQgw]$")]
    """Ed25519, 64 bytes, base64url without padding; there is one way to write it."""


def unset(value: object) -> bool:
    """Whether a field is left out on the wire, where nobody needs it."""
    return not value


def message(said: BaseModel, *, approval_id: str, execution: str) -> bytes:
    """What is signed of a ``Decision`` or an ``Act``.

    Args:
        said: whole; a signature that it has is left aside.
        approval_id: of the request that it is for.
        execution: the id of that request's first execution.
    """
    return canonical_json(
        {
            "v": 1,
            "kind": type(said).__name__.lower(),
            "approval_id": approval_id,
            "execution": execution,
            "said": said.model_dump(mode="json", exclude={"signature"}),
        }
    ).encode(errors="surrogatepass")


Verify = Callable[[BaseModel, Signature], str | None]
"""Judges the signature of a decision or an act; returns why it is refused."""


def unverifiable(said: BaseModel, signature: Signature) -> str | None:
    """Refuse: where nobody can tell what a signature is worth, none counts."""
    return UNKNOWN


class Signatures:
    """What the signatures on one request are worth. Each counts once, and what it came to stays."""

    def __init__(self, keys: tuple[DecisionKey, ...], verify: Verify = unverifiable) -> None:
        """Of a request that pins these keys; where it pins none, nothing need be signed."""
        self.required = bool(keys)
        self._verify = verify
        self._refused: dict[str, str] = {}

    def refuse(self, said: BaseModel) -> str | None:
        """Why what was said doesn't count, whatever it is; None where it is signed as it has to be."""
        if not self.required:
            return None
        signature: Signature | None = getattr(said, "signature", None)
        return MISSING if signature is None else self._verify(said, signature)

    def spent(self, said: BaseModel) -> str | None:
        """Why the same, with the same signature, doesn't count a second time; None the first time."""
        return self._refused.get(_value(said))

    def judged(self, said: BaseModel, came_to: object) -> None:
        """Remember what it came to: a reason to refuse it, or anything else where it was taken.

        Who copies it later can't have it judged anew, when it might count.
        """
        if self.required:
            reason = came_to if isinstance(came_to, str) else SPENT
            self._refused.setdefault(_value(said), reason)


def _value(said: BaseModel) -> str:
    signature: Signature | None = getattr(said, "signature", None)
    return "" if signature is None else signature.value
