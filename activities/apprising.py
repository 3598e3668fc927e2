"""One message by Apprise, in a process of its own: what a service answers can hurt this process only.

``python -P apprising.py`` reads a line of JSON, where to, and answers how long a text may be; reads the
message, and answers what became of it. It ends at once when whoever started it closes the pipe or is
gone, and writes nothing anywhere else. Imports nothing of ours: it has to start quickly.
"""

import contextlib
import json
import logging
import math
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MEMORY = {
    resource.RLIMIT_DATA: 192 * 2**20,  # Apprise takes 50 MB
    resource.RLIMIT_AS: 2**30,
    resource.RLIMIT_CORE: 0,  # a dump would hold the URL
}
_MAX_BYTES = 1_000_000
_MAX_SAID = 20_000
_LONGER = 5.0
"""Seconds that this process has beyond its starter's patience, should nobody be left to kill it."""


def main() -> None:
    """Send the message that standard input names; see the module."""
    _bound()
    import apprise

    sys.stdout = answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a service's own code prints is no answer
    asked = _line()
    signal.setitimer(signal.ITIMER_REAL, asked["wait"] + asked["timeout"] + _LONGER)
    service = _service(apprise, asked["url"], asked["timeout"])
    if service is None:
        return _say(answers, room=None)
    title_is_apart = service[0].title_maxlen > 0
    _say(answers, room=service[0].body_maxlen - (0 if title_is_apart else 200))
    message = _line()
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    result = service.notify(
        body=message["text"],
        title=message["title"],
        body_format="text",
        log_level=logging.WARNING,
    )
    said = " ".join(entry.message for entry in result.logs())
    return _say(answers, sent=bool(result), said=said[:_MAX_SAID])


def _bound() -> None:
    """Whatever is too much for this process is so before it is for the machine."""
    for what, most in _MEMORY.items():
        with contextlib.suppress(OSError, ValueError):  # not every system knows each of them
            resource.setrlimit(what, (most, most))
    with contextlib.suppress(OSError):  # Linux: if memory runs out all the same, this process goes
        Path("/proc/self/oom_score_adj").write_text("1000")


def _service(apprise: Any, url: str, timeout: float) -> Any:
    asset = apprise.AppriseAsset(
        app_id="Clearance",
        app_desc="Clearance",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        storage_mode="memory",  # nothing of it is left on disk
        http_redirects=False,
        allow_templates=False,
        async_mode=False,
        service_timeout=0,  # it would take other threads to keep it
    )
    found = apprise.Apprise.instantiate(url, asset=asset)
    if found is None:
        return None
    # A service that took the message, and didn't say so in time, must not count as one that refused
    # it: that one is tried again. So its own time is no shorter than ours.
    found.socket_read_timeout = math.ceil(timeout) + 1
    found.notify = _or_end(found.notify)
    return apprise.Apprise(found, asset=asset)


def _or_end(notify: Callable[..., Any]) -> Callable[..., Any]:
    """Apprise would call a crash a refusal; but nobody knows what was sent before it."""

    def notified(*args: Any, **how: Any) -> Any:
        try:
            return notify(*args, **how)
        except BaseException:
            os._exit(1)

    return notified


def _line() -> Any:
    """What comes next; ends this process where nothing does."""
    return json.loads(sys.stdin.buffer.readline(_MAX_BYTES) or sys.exit(1))


def _say(answers: Any, **said: Any) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()


def _end_with_the_pipe() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
