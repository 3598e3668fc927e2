"""From settings to what agents are: their modules imported, their policy compiled."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from activities.policy import rules_of

from . import inventory, registry

_SAMPLES = "tools.samples"


def load_agents(modules: Sequence[str]) -> Any:
    """Import the sample agents and these modules. Returns what they bring (``registry.load``).

    Raises:
        BrokenModule: one can't be used; the text says which and why.
    """
    # An installed command does not look for modules where it is called. Last, so that nothing
    # there stands in for a module of ours.
    if modules and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    return registry.load([_SAMPLES, *modules])


def registered_tools(modules: Sequence[str], policy: Path | None) -> list[inventory.ToolSeen]:
    """Every tool of every agent there is.

    Raises:
        BrokenModule, BrokenPolicy: as the text says.
    """
    load_agents(modules)
    return inventory.tools(rules_of(policy))
