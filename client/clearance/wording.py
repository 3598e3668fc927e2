"""What a reviewer reads of a call: its words, from a template or from the call itself."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from . import contract, template, text


def worded(
    description: str | None, tool: str, arguments: Mapping[str, JsonValue]
) -> dict[str, str]:
    """The words of a call: from its template, or where there is none the call itself as the action."""
    if description:
        return described(description, arguments)
    call = json.dumps(dict(arguments), ensure_ascii=False)
    return {"action": text.one_line(f"{tool} {call}", 200)}


def described(description: str, arguments: Mapping[str, JsonValue]) -> dict[str, str]:
    """``action`` and ``details`` from a description template: its first line, and the rest.

    Each is cut, with a mark, where its limit is; the arguments themselves are shown whole anyway.
    """
    first, _, rest = description.strip().partition("\n")
    limit = contract.MAX_DETAILS_BYTES + 1  # one more than fits, so that a cut is marked
    action = text.one_line(template.fill(first, arguments, limit=limit), contract.MAX_ACTION_CHARS)
    details = template.fill(rest.strip("\n"), arguments, limit=limit).encode()
    if len(details) > contract.MAX_DETAILS_BYTES:
        cut = details[: contract.MAX_DETAILS_BYTES - 100].decode(errors="ignore")
        details = f"{cut}\n(cut here: the arguments have the rest)".encode()
    return {"action": action or "(no description)", "details": details.decode()}
