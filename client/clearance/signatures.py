"""What is signed of a decision or an act, and what a request asks of a signature. No cryptography here.

A request pins public keys; then only what one of them has signed counts. Signed is the canonical JSON
(``fields.canonical_json``) of ``{"v": 1, "kind": "decision" | "act", "approval_id", "execution",
"said"}``: ``said`` is the whole decision or act as plain JSON but its signature, and ``execution`` the
id that Temporal gave the request's first execution, so that a signature is good for no other request,
not even one that is asked anew under the same id.
"""

import json
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from .fields import canonical_json

MAX_KEYS = 10
"""That one request pins."""

_MAX_PROOF_BYTES = 300_000
"""Of all that is kept of what was signed, as JSON: a view has to stay below 2 MB."""

_MAX_CHANGES_BYTES = 200_000
"""Of that for decisions that change arguments; the rest is for those that don't."""

MISSING = "only signed decisions count here, and its signature is missing"
UNKNOWN = "its signature is of a key that this request doesn't pin"
WRONG = "its signature doesn't fit what it says"
FULL = "what counts here is kept with its signature, and there is no room for it: say why in fewer words"
FULL_OF_CHANGES = (
    "what counts here is kept with its signature, and there is no room for changes of this size: "
    "approve it as it is, or reject it and say what to change"
)
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


class Proof(BaseModel):
    """What proves, to whoever has the public key, who decided what."""

    model_config = ConfigDict(frozen=True)

    key: str
    """The id of the key that signed."""
    value: str
    """The signature, as ``Signature`` has it."""
    message: str | None = None
    """What was signed: see ``message``. None of a rejection that there was no room for."""


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

    def __init__(
        self,
        keys: tuple[DecisionKey, ...],
        verify: Verify = unverifiable,
        *,
        approval_id: str = "",
        execution: str = "",
    ) -> None:
        """Of a request that pins these keys; where it pins none, nothing need be signed.

        Args:
            keys: those.
            verify: judges a signature.
            approval_id: of the request.
            execution: the id of its first execution.
        """
        self.required = bool(keys)
        self._verify = verify
        self._of = {"approval_id": approval_id, "execution": execution}
        self._kept_bytes = 0
        self._refused: dict[str, str] = {}

    def refuse(self, said: BaseModel) -> str | None:
        """Why what was said doesn't count, whatever it is; None where it is signed as it has to be."""
        if not self.required:
            return None
        signature: Signature | None = getattr(said, "signature", None)
        return MISSING if signature is None else self._verify(said, signature)

    def spent(self, said: BaseModel) -> str | None:
        """Why the same, with the same signature, doesn't count a second time; None the first time.

        Nor does an approval that there is no room for, so that each can be proved.
        """
        return self._refused.get(_value(said)) or self._no_room(said)

    def proof(self, said: BaseModel) -> Proof | None:
        """What is kept of a decision that counts; None where nothing need be signed. Takes its room."""
        proof = self._whole(said)
        if proof is None:
            return None
        if self._kept_bytes + (size := _size(proof)) > _MAX_PROOF_BYTES:
            return proof.model_copy(update={"message": None})
        self._kept_bytes += size
        return proof

    def _no_room(self, said: BaseModel) -> str | None:
        if getattr(said, "approved", False) is not True:  # a rejection always counts
            return None
        proof = self._whole(said)
        changes = getattr(said, "arguments", None) is not None
        room = _MAX_CHANGES_BYTES if changes else _MAX_PROOF_BYTES
        if proof is None or self._kept_bytes + _size(proof) <= room:
            return None
        return FULL_OF_CHANGES if changes else FULL

    def _whole(self, said: BaseModel) -> Proof | None:
        signature: Signature | None = getattr(said, "signature", None)
        if not self.required or signature is None:
            return None
        text = message(said, **self._of).decode(errors="replace")
        return Proof(key=signature.key, value=signature.value, message=text)

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


def _size(proof: Proof) -> int:
    """In bytes of the JSON that it is kept in."""
    return len(json.dumps(dict(proof), ensure_ascii=False).encode())
