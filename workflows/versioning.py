"""What becomes of an open workflow when a new build takes over, where workers are versioned."""

from typing import Final

from temporalio.common import VersioningBehavior

AUTO_UPGRADE: Final = VersioningBehavior.AUTO_UPGRADE
"""It goes on under the current build, with its next task. For what waits for months and is small: its
changes stand behind the names in ``patches``, and recorded histories prove them."""

PINNED: Final = VersioningBehavior.PINNED
"""It ends under the build it began with, whose workers are kept until then. For what runs agents: their
tools, prompts and the Agents SDK change with each build, and no patch of ours stands before those."""
