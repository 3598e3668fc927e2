"""Whether the inbox in this container can serve: exit 0, or 1 and the reason.

Asks it over HTTP what it says of itself: that Temporal and its database answer.
"""

import os
import sys
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

TIMEOUT = 8
"""Seconds; an inbox answers within two."""


def main() -> int:
    """Say what is wrong, if anything, and return the exit code."""
    port = os.environ.get("CLEARANCE_WEB_PORT") or "8234"
    try:
        # Past any proxy that the environment names: it is this container that is asked.
        with build_opener(ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/readyz", timeout=TIMEOUT
        ):
            return 0
    except HTTPError as error:
        said = error.read(1_000).decode(errors="replace")
    except (OSError, HTTPException) as error:
        said = f"no answer on port {port}: {error}"
    sys.stderr.write(f"{said}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
