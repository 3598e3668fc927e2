"""One run as a page shows it: its steps, and what it is doing now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from temporalio.client import WorkflowExecutionDescription

from clearance.runs import RunStatus
from clearance.text import one_line, span
from clearance.timeline import Entry, Timeline

from .request_values import Part, answered

LONG = 600
"""Characters of a text, and ``LINES`` of its lines, beyond which it is folded."""

LINES = 12

_A_SECOND = timedelta(seconds=1)

MODEL = "invoke_model_activity"
"""How the names of the activities begin that ask the model."""


@dataclass(frozen=True)
class Step:
    """One entry of a timeline, without what other entries beside it say already."""

    entry: Entry
    when: str
    """Counted from the beginning of the run."""
    parts: Sequence[Part] = ()
    """The arguments; of a gate only where a reviewer changed them."""
    text: str = ""
    folded: bool = False
    """Whether the text is so long that it is shown on demand."""


@dataclass(frozen=True)
class Doing:
    """What a run is at now."""

    what: str
    since: datetime
    attempt: int = 1
    reason: str = ""
    """Why the attempt before failed; of the model only: that of a tool may tell what was secret."""


def steps(timeline: Timeline) -> list[Step]:
    """What happened, in order."""
    results = {one.text for one in timeline.entries if one.kind == "result" and one.text}
    called: dict[str | None, object] = {}
    made = []
    for one in timeline.entries:
        arguments, text = one.arguments, one.text
        if one.kind == "call":
            called[one.tool] = arguments
            # What the model was told is mostly what the tool answered, which comes by itself.
            text = next((text[: -len(end)] for end in results if text.endswith(end)), text)
            text = text.rstrip()
        elif one.kind == "gate" and arguments == called.get(one.tool):
            arguments = None
        elif one.kind == "end" and text in (timeline.output, timeline.failure):
            text = ""
        folded = len(text) > LONG or text.count("\n") > LINES
        since = one.at - timeline.run.started_at
        when = f"+{span(since) if since >= _A_SECOND else '0 s'}"
        parts = answered(arguments) if arguments else ()
        made.append(Step(one, when, parts, text, folded))
    return made


def lasted(length: timedelta) -> str:
    """How long something took."""
    return span(length) if length >= _A_SECOND else "under 1 s"


def waiting(timeline: Timeline) -> list[Entry]:
    """The approvals that a run waits for."""
    return [one for one in timeline.entries if one.kind == "gate" and one.status == "pending"]


def doing(timeline: Timeline, run: WorkflowExecutionDescription | None) -> list[Doing]:
    """What a run is at, besides waiting; ``run`` knows what of it is tried again."""
    tried = {} if run is None else _tried(run)
    found = []
    for one in timeline.entries:
        if one.status == "running" and one.kind == "model":
            attempt, reason = tried.get("", (1, ""))
            found.append(Doing("The model is thinking", one.at, attempt, reason))
        elif one.status == "running" and one.kind == "result":
            attempt, _ = tried.get(one.title, (1, ""))
            found.append(Doing(f"{one_line(one.title)} is running", one.at, attempt))
    return found


def _tried(run: WorkflowExecutionDescription) -> dict[str, tuple[int, str]]:
    """How often what runs now was begun, and why the last one failed; the model's under no name."""
    tried = {}
    for one in run.raw_description.pending_activities:
        name = "" if one.activity_type.name.startswith(MODEL) else one.activity_type.name
        failure = one.last_failure
        while failure.HasField("cause"):
            failure = failure.cause
        tried[name] = (max(1, one.attempt), one_line(failure.message, 300))
    return tried


def address(id: str) -> str:
    """The path of a run's page."""
    return f"/runs/{quote(id)}"


def of_temporal(site: str | None, namespace: str, id: str) -> str | None:
    """The run in Temporal's own pages; None where there are none to link to."""
    if not site:
        return None
    return (
        f"{site.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/{quote(id, safe='')}"
    )


ENDED: dict[RunStatus, str] = {
    "failed": "The run failed",
    "canceled": "The run was cancelled",
    "terminated": "The run was stopped",
    "timed_out": "The run took too long",
}
"""How a run ended that gave no answer."""
