"""One queue, one worker and one inbox for many tests that don't disturb each other.

A module has them for all of its tests where it names them: ``inbox = shared.inbox``, and likewise each
other one. A class has its own, whatever the module has, if it is ``Own``.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client

import worker
from clearance import ApprovalClient
from cli.settings import Settings
from tests.support import unique
from web.config import Rates, WebConfig
from web.context import Context
from web.server import running

OFTEN = Rates(sign_in="100000/minute", failed_token="100000/minute", act="100000/minute")
"""For people and services who may try as often as a test does."""


def settings_of(temporary: pytest.TempPathFactory) -> Settings:
    """With queues and a state folder that nobody else has."""
    return Settings(
        approvals_queue=unique("approvals"),
        agents_queue=unique("agents"),
        state=temporary.mktemp("shared") / "state",
        reconcile_every=None,
    )


def config_of(settings: Settings) -> WebConfig:
    """On loopback, on a free port, with a database of its own."""
    return WebConfig(
        port=0,
        database=f"sqlite:///{settings.state.with_name('clearance.db')}",
        approvals_queue=settings.approvals_queue,
        rates=OFTEN,
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Queues and a state folder of this module's own."""
    return settings_of(tmp_path_factory)


@pytest.fixture(scope="module")
def approvals(temporal: Client, settings: Settings) -> ApprovalClient:
    """A client on this module's approvals queue."""
    return ApprovalClient(temporal, task_queue=settings.approvals_queue)


@pytest.fixture(scope="module")
async def worker_running(
    settings: Settings, connection: dict[str, Any]
) -> AsyncIterator[worker.Serving]:
    """The approvals worker, without a model."""
    async with worker.running(settings, connection) as serving:
        yield serving


@pytest.fixture(scope="module")
def web_config(settings: Settings) -> WebConfig:
    """On loopback, on a free port, with a database of its own."""
    return config_of(settings)


@pytest.fixture(scope="module")
async def inbox(web_config: WebConfig, approvals: ApprovalClient) -> AsyncIterator[Context]:
    """An inbox that answers at ``inbox.url``."""
    async with running(web_config, approvals) as context:
        yield context


class Own:
    """All tests of the class share what is this class's own."""

    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory: pytest.TempPathFactory) -> Settings:
        return settings_of(tmp_path_factory)

    @pytest.fixture(scope="class")
    @classmethod
    def approvals(cls, temporal: Client, settings: Settings) -> ApprovalClient:
        return ApprovalClient(temporal, task_queue=settings.approvals_queue)

    @pytest.fixture(scope="class")
    @classmethod
    async def worker_running(
        cls, settings: Settings, connection: dict[str, Any]
    ) -> AsyncIterator[worker.Serving]:
        async with worker.running(settings, connection) as serving:
            yield serving

    @pytest.fixture(scope="class")
    @classmethod
    def web_config(cls, settings: Settings) -> WebConfig:
        return config_of(settings)

    @pytest.fixture(scope="class")
    @classmethod
    async def inbox(
        cls, web_config: WebConfig, approvals: ApprovalClient
    ) -> AsyncIterator[Context]:
        async with running(web_config, approvals) as context:
            yield context
