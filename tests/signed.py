"""Key files of signed decisions, and who signs with them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearance import keyfile, keys
from clearance.signatures import DecisionKey
from clearance.signing import Signer, decision_keys, public_ring

from .support import unique


@dataclass(frozen=True)
class SigningKeys:
    """A file of signing keys, and that of their public ones."""

    private: Path
    public: Path

    @classmethod
    def made(cls, folder: Path) -> "SigningKeys":
        """New ones."""
        name = unique("keys")
        files = cls(folder / f"{name}.json", folder / f"{name}-public.json")
        keyfile.create(files.private, keys.new(keys.KINDS["signing"]))
        files.publish()
        return files

    def publish(self) -> None:
        """What `clearance keys public` prints goes to the public file."""
        self.public.write_text(keys.dumped(public_ring(keyfile.read(self.private))))

    @property
    def signer(self) -> Signer:
        """Signs with them."""
        return Signer(self.private)

    @property
    def pinned(self) -> tuple[DecisionKey, ...]:
        """As requests pin them."""
        return decision_keys(keyfile.read(self.public))

    def sign(self, said: Any, approval_id: str, execution: str) -> Any:
        """The same decision or act, signed."""
        ids = [one.id for one in self.pinned]
        return self.signer.sign(said, ids, approval_id=approval_id, execution=execution)
