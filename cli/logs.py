"""What a process that keeps running writes to standard error: text, or a JSON object a line.

Names and ids, never what people and models wrote. The text of an error may repeat arguments, so of an
error there is its type and its place; and a library's message ends where it would begin to quote one.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pythonjsonlogger.json import JsonFormatter
from temporalio import activity, workflow
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig

from clearance.keys import InvalidKeys
from clearance.text import one_line

from . import output

Format = Literal["text", "json"]

_IDS: Final = {
    "temporal_workflow": {
        "workflow_id": "workflow_id",
        "run_id": "run_id",
        "workflow_type": "workflow",
    },
    "temporal_activity": {
        "workflow_id": "workflow_id",
        "workflow_run_id": "run_id",
        "activity_type": "activity",
        "attempt": "attempt",
    },
}
"""Where Temporal's SDK leaves which workflow or activity it was, and what we call it."""

ACCESS: Final = "access"
"""Attribute of a record of the inbox's: what it answered, each part by its name."""

ENGINE: Final = "temporalio.core"
"""The logger of the engine beneath Temporal's SDK."""

_MESSAGE_CHARS = 500


def configure(format: Format, *, engine: bool = False, file: Path | None = None) -> None:
    """Log what matters to standard error, or to the end of a file.

    Args:
        format: of the lines.
        file: where the terminal is for something else.
        engine: what the engine beneath Temporal's SDK says, too, as records like the others.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file is not None:
        handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(formatter(format))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("clearance").setLevel(logging.INFO)
    # What they would append to a message stands in fields of its own.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    if engine:
        runtime = Runtime(telemetry=TelemetryConfig(logging=of_core()))
        Runtime.set_default(runtime, error_if_already_set=False)


def of_core() -> LoggingConfig:
    """The engine's own log, as records of Python's, without the fields that quote failures."""
    forwarding = LogForwardingConfig(
        logger=logging.getLogger(ENGINE),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,
    )
    return LoggingConfig(filter=LoggingConfig.default.filter, forwarding=forwarding)


def teller(format: Format) -> Callable[[str], None]:
    """How to tell what the process does: a line for a person, or a record like the others."""
    return output.say if format == "text" else logging.getLogger("clearance").info


def formatter(format: Format) -> logging.Formatter:
    """Of either kind; both have the same fields."""
    return _Json() if format == "json" else _Text()


class _Json(JsonFormatter):
    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data.update(_fields(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return ""


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        head = [fields.pop(name) for name in ("time", "level", "logger", "message")]
        return " ".join([*head, *(f"{name}={value}" for name, value in fields.items())])


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields: dict[str, Any] = {
        "time": at,
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _message(record),
    }
    for attribute, names in _IDS.items():
        details = getattr(record, attribute, None) or {}
        fields |= {ours: details[name] for name, ours in names.items() if details.get(name)}
    fields |= getattr(record, ACCESS, {})
    if record.exc_info and (error := record.exc_info[1]) is not None:
        causes = _causes(error)
        fields["error"] = " from ".join(map(_kind, causes))
        fields["at"] = _place(error)
        # Which key is missing in which file is no secret, and all that helps.
        missing = [
            one_line(str(one), _MESSAGE_CHARS) for one in causes if isinstance(one, InvalidKeys)
        ]
        fields |= {"reason": missing[0]} if missing else {}
    return fields


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.name.partition(".")[0] != "clearance":
        # "Handling failed: <the error's text>"
        text = text.splitlines()[0].partition(": ")[0] if text else ""
    return one_line(text, _MESSAGE_CHARS)


def _causes(error: BaseException) -> list[BaseException]:
    """It, and what caused it."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return causes


def _kind(error: BaseException) -> str:
    kind = getattr(error, "type", None)  # ours and Temporal's: a name such as DecisionRefused
    named = f"{type(error).__name__}[{kind}]" if isinstance(kind, str) and kind else None
    return one_line(named or type(error).__name__, 100)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return f"{Path(last.filename).name}:{last.lineno} {last.name}" if last else "-"
