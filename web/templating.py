"""Jinja, set up so that nothing a model wrote can act: escaped, and made visible first."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from clearance import text

_HERE = Path(__file__).parent


def _finalize(value: Any) -> Any:
    """Every text that a template prints: control characters are seen, not obeyed."""
    if value is None:
        return ""
    return text.visible(value) if type(value) is str else value


def moment(at: datetime) -> Markup:
    """A time: in UTC, which the page's script writes in the reader's own zone."""
    said = text.moment(at.astimezone(UTC))
    return Markup('<time datetime="{}">{}</time>').format(at.astimezone(UTC).isoformat(), said)


def ago(at: datetime) -> str:
    """How long ago: ``3 min``."""
    return text.span(datetime.now(UTC) - at)


def left(at: datetime) -> str:
    """How long until then; from a minute on up to a whole one, so that a new ``2 d`` reads as such."""
    rest = max(timedelta(0), at - datetime.now(UTC))
    minute = timedelta(minutes=1)
    return text.span(rest if rest < minute else -(-rest // minute) * minute)


_STATUS_WORDS = {
    "pending": "Waiting",
    "approved": "Approved",
    "rejected": "Rejected",
    "expired": "Expired",
    "withdrawn": "Withdrawn",
}


def status_word(status: str) -> str:
    """How a request stands: ``Waiting`` for ``pending``; the same word on every page."""
    return _STATUS_WORDS.get(status, status.replace("_", " ").capitalize())


def risk_word(risk: str | None) -> str:
    """``High risk``; ``Risk ?`` where nobody can tell it."""
    return f"{risk.capitalize()} risk" if risk else "Risk ?"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        moment=moment,
        ago=ago,
        left=left,
        status_word=status_word,
        risk_word=risk_word,
        one_line=text.one_line,
        visible=text.visible,
    )
    return environment


_TEMPLATES = _environment()


def page(request: Request, template: str, code: int = 200, /, **shown: Any) -> HTMLResponse:
    """A page, or a part of one, from ``templates/``, with this HTTP status."""
    context = request.app.state.context
    made = _TEMPLATES.get_template(template).render(request=request, config=context.config, **shown)
    return HTMLResponse(made, code)
