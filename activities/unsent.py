"""What keeps a message from being sent."""

from clearance import ClearanceError


class NotSent(ClearanceError):
    """A message was not sent, or nobody knows. The text says why, without any address or secret."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        """Say why.

        Args:
            text: one line.
            final: whether trying again is of no use, or might tell somebody twice.
        """
        super().__init__(text)
        self.final = final
