"""What a form of a page has sent, and the reading of what was typed in it."""

from collections.abc import Mapping

from starlette.datastructures import FormData

from clearance import InvalidRequest


class Misfit(InvalidRequest):
    """Something typed doesn't do. ``fields`` says what is wrong beside which."""

    def __init__(self, message: str, fields: Mapping[str, str]) -> None:
        """Keep ``fields`` beside the text."""
        super().__init__(message)
        self.fields = dict(fields)


class Form:
    """A form that was sent."""

    def __init__(self, data: FormData) -> None:
        """With all that came."""
        self._data = data

    def __contains__(self, name: str) -> bool:
        """Whether a field of this name came."""
        return name in self._data

    def raw(self, name: str) -> str:
        """A field as it came; empty where it didn't. Of several the last: a button's after its form's."""
        values = [one for one in self._data.getlist(name) if isinstance(one, str)]
        return values[-1] if values else ""

    def text(self, name: str) -> str:
        """A field with the line ends that were typed, and not those that browsers send."""
        return self.raw(name).replace("\r\n", "\n")

    @property
    def do(self) -> str:
        """What is to be done."""
        return self.raw("do")
