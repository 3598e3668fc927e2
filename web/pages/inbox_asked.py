"""Reading the address of a list: what of it can't be meant is left out and told, never a dead end."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from clearance.errors import InvalidRequest
from clearance.filters import check
from clearance.text import one_line


class Address(BaseModel):
    """What a list is asked for. Texts have at most 2,000 characters."""

    model_config = ConfigDict(frozen=True, str_max_length=2_000, str_strip_whitespace=True)

    @abstractmethod
    def faults(self) -> dict[str, str]:
        """Which fields ask for what there isn't, and what is wrong with each."""


A = TypeVar("A", bound=Address)


def understood(kind: type[A], given: Mapping[str, str]) -> tuple[A, tuple[str, ...]]:
    """What an address asks for as far as that can be, and a sentence for each thing left out."""
    kept = {name: given[name] for name in kind.model_fields if name in given}
    wrong = {name: "it has control characters" for name in kept if not _is_text(kept[name])}
    try:
        asked = kind.model_validate({name: kept[name] for name in kept.keys() - wrong.keys()})
    except ValidationError as error:
        wrong |= {str(one["loc"][0]): "it can't be that" for one in error.errors()}
        asked = kind.model_validate({name: kept[name] for name in kept.keys() - wrong.keys()})
    if faults := asked.faults():
        wrong |= faults
        asked = kind.model_validate({name: kept[name] for name in kept.keys() - wrong.keys()})
    return asked, tuple(
        f"{name}: “{one_line(kept[name], 40)}” was ignored: {why}" for name, why in wrong.items()
    )


def _is_text(value: str) -> bool:
    try:
        check({"": value})
    except InvalidRequest:
        return False
    return True
