"""Changed arguments on their way to a decision: assigned on the command line, edited in an editor."""

import asyncio
import contextlib
import copy
import json
import os
import shlex
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import typer
from pydantic import JsonValue, ValidationError

from clearance import ApprovalRequest, ApprovalView, ClearanceError, InvalidRequest, Refused
from clearance.edits import NOT_EDITABLE, differences
from clearance.errors import explain
from clearance.models import Change
from clearance.text import control_characters, one_line
from clearance.typed import parsed

from . import output

_HEAD = """\
// The arguments of {what}. It is approved with what you leave here; close it unchanged to do nothing.
// Leave "[masked]" as it is: the real value stays. Lines that begin with // are ignored.
"""


class NothingChanged(ClearanceError):
    """Changes were announced, and there are none. Nothing was sent."""


def assignment(given: str) -> tuple[str, JsonValue]:
    """``NAME=VALUE``: a value that is JSON is that, any other is a string.

    Raises:
        typer.BadParameter: there is no ``=``, or no name before it.
    """
    name, equals, value = given.partition("=")
    if not (equals and name):
        raise typer.BadParameter(f"--set {given}: write NAME=VALUE")
    try:
        return name, parsed(value)
    except ValueError:
        return name, value


class Draft:
    """The arguments of a request while a reviewer changes them.

    A context: what an editor wrote is deleted at its end, and kept, and its file named, if that is
    an error.
    """

    def __init__(self, view: ApprovalView) -> None:
        """Begin with the request as it is now."""
        self._view = view
        self._file: Path | None = None
        self.arguments: dict[str, JsonValue] | None = None
        """All of them; None as long as nothing was to be changed."""

    def __enter__(self) -> Self:
        """Nothing is written yet."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Delete the file, or say where it is."""
        if self._file is None:
            return
        if error is None or isinstance(error, NothingChanged):
            self._file.unlink(missing_ok=True)
        else:
            output.say(f"Your changes are kept in {self._file}")

    def assign(self, name: str, value: JsonValue) -> None:
        """Change one argument, or with ``a.b.0`` a part of one.

        Raises:
            InvalidRequest: there is no such part.
        """
        found = self._copy()
        at: Any = found
        *path, last = [name] if name in found else name.split(".")
        for step in path:
            at = _part(at, step, name)
        if isinstance(at, list):
            _part(at, last, name)  # only what is there can be changed
            at[int(last)] = value
        elif isinstance(at, dict):
            at[last] = value
        else:
            raise _no_part(name)
        self.arguments = found

    async def edit(self, editor: str) -> None:
        """Let the reviewer change the arguments in their editor.

        Args:
            editor: its command, to which the file is added.

        Raises:
            Refused: the request takes no changes.
            InvalidRequest: no editor, it failed, or what it left is no JSON object.
        """
        if self._view.request.editable is False:
            raise Refused(NOT_EDITABLE)
        command = _split(editor)
        handle, name = tempfile.mkstemp(prefix="clearance-", suffix=".json")
        self._file = Path(name)
        what = one_line(f"{self._view.request.tool or 'the request'}, {self._view.id}")
        os.close(handle)
        text = _HEAD.format(what=what) + _readable(self._copy()) + "\n"
        self._file.write_text(text, encoding="utf-8")
        await _run([*command, name])
        try:
            lines = self._file.read_text(encoding="utf-8").split("\n")
            left = parsed("\n".join(one for one in lines if not one.lstrip().startswith("//")))
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"what the editor left is no JSON: {error}") from error
        if not isinstance(left, dict):
            raise InvalidRequest("what the editor left is no JSON object: it has to be {...}")
        self.arguments = left

    def changed(self) -> tuple[ApprovalRequest, tuple[Change, ...]]:
        """The request with the changes, and these.

        Raises:
            NothingChanged: there are none.
            InvalidRequest: they break a limit, or touch what is masked.
        """
        current = self._view.current
        if self.arguments is None:
            return current, ()
        try:
            if not (changes := differences(current.arguments, self.arguments)):
                raise NothingChanged("nothing was changed, and nothing was sent")
            return self._view.request.with_arguments(self.arguments), changes
        except ValidationError as error:
            raise InvalidRequest(explain(error)) from error
        except ValueError as error:
            raise InvalidRequest(str(error)) from error

    def _copy(self) -> dict[str, JsonValue]:
        now = self._view.current.arguments if self.arguments is None else self.arguments
        return copy.deepcopy(now)


def _part(value: Any, step: str, name: str) -> Any:
    if isinstance(value, dict) and step in value:
        return value[step]
    if isinstance(value, list) and step.isascii() and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    raise _no_part(name)


def _no_part(name: str) -> InvalidRequest:
    return InvalidRequest(f"--set {one_line(name, 100)}: the request has no such part")


def _readable(arguments: dict[str, JsonValue]) -> str:
    """Indented JSON in which every character can be seen: those that can't are escapes."""
    text = json.dumps(arguments, ensure_ascii=False, indent=2)
    hidden = {c for c in control_characters(text) if c != "\n"}
    return text.translate({ord(c): json.dumps(c)[1:-1] for c in hidden})


def _split(editor: str) -> list[str]:
    try:
        command = shlex.split(editor)
    except ValueError as error:
        raise InvalidRequest(f"the editor {editor} is no command: {error}") from error
    if not command:
        raise InvalidRequest("no editor is set: set EDITOR, or say the changes with --set")
    return command


async def _run(command: list[str]) -> None:
    try:
        with _interrupts_ignored():
            code = await (await asyncio.create_subprocess_exec(*command)).wait()
    except OSError as error:
        raise InvalidRequest(f"the editor {command[0]} can't be run: {error.strerror}") from error
    if code:
        raise InvalidRequest(f"the editor {command[0]} ended with {code}: nothing was sent")


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl-C reaches the editor too, to which it means something else."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        with contextlib.suppress(TypeError):  # the handler was no Python function
            signal.signal(signal.SIGINT, before)
