"""For tests of one request's page: people and groups, a payment to decide, and one inbox for all."""

import pytest
from temporalio.client import Client

from clearance import ApprovalClient, ApprovalRequest
from cli.settings import Settings
from tests import directory
from tests.directory import ADA, BOB, MARY
from tests.raw import impatient
from web.config import WebConfig

from . import shared

PAY = ApprovalRequest(
    action="Pay 100 to Ada",
    details="For the lights.\n  And the heating.",
    tool="pay",
    arguments={"to": "Ada", "cents": 100, "ref": "1", "api_key": "sk-123456", "parts": {"a": [1]}},
    impact="The money leaves today.",
    user_prompt="Pay the bill",
    agent_message="I pay it now.",
    requester=MARY,
    checkpoint="payments",
    risk="high",
    audience=(ADA, BOB),
)


def _settings(temporary: pytest.TempPathFactory) -> Settings:
    return directory.reviewed(shared.settings_of(temporary))


def _config(settings: Settings) -> WebConfig:
    return shared.config_of(settings).model_copy(update={"reviewers": settings.reviewers})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With people and groups."""
    return _settings(tmp_path_factory)


@pytest.fixture(scope="module")
def web_config(settings: Settings) -> WebConfig:
    """With the same."""
    return _config(settings)


class WithoutAWorker(shared.Own):
    """Nobody waits long for one."""

    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory: pytest.TempPathFactory) -> Settings:
        return _settings(tmp_path_factory)

    @pytest.fixture(scope="class")
    @classmethod
    def web_config(cls, settings: Settings) -> WebConfig:
        return _config(settings)

    @pytest.fixture(scope="class")
    @classmethod
    def approvals(cls, temporal: Client, settings: Settings) -> ApprovalClient:
        return impatient(temporal, settings)
