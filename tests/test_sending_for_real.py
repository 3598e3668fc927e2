"""From a request to somebody's mailbox and to another service, through the worker as it is started."""

import json
import re
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook as Verifier
from temporalio.client import Client

import worker
from clearance import ApprovalClient, ApprovalRequest
from cli.settings import Settings

from .receiving import receiver, status
from .support import eventually, unique
from .test_activities import mail_server

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


async def test_who_decides_gets_a_link_that_is_in_no_history_and_a_service_each_event(
    settings: Settings, approvals: ApprovalClient, temporal: Client, tmp_path: Path
) -> None:
    ada = f"{unique('ada')}@example.com"
    file = tmp_path / "reviewers.toml"
    async with mail_server() as (smtp, mailbox), receiver(status(503)) as service:
        file.write_text(
            f'[people."{ada}"]\nnotify = ["mail"]\n[groups]\nfinance = ["{ada}"]\n'
            '[notify.groups.finance]\nchannels = ["webhook:erp"]\neach = true\n'
            f'[webhooks.erp]\nurl = "{service.url}"\nsecret = "{SECRET}"\nallow_private = true\n'
        )
        mine = settings.model_copy(
            update={
                "reviewers": file,
                "smtp_url": Settings(smtp_url=smtp).smtp_url,
                "notify_digest": Settings(notify_digest="0s").notify_digest,
                "public_url": "https://approvals.example.com",
                "database_url": Settings(database_url=f"sqlite:///{tmp_path}/i.db").database_url,
            }
        )
        connection = {"target_host": temporal.service_client.config.target_host}
        async with worker.running(mine, connection, only="approvals"):
            asked = ApprovalRequest(action="Wire the money", audience=("group:finance",))
            id = (await approvals.request(asked, id=unique("wire"))).id

            async def mails() -> bool:
                return len(mailbox.mails) >= 1

            await eventually(mails)
            await approvals.approve(id, reviewer=ada, reason="as agreed")

            async def all_told() -> bool:
                return len(mailbox.mails) == 2 and len(service.taken) >= 3

            await eventually(all_told)

        first, last = map(_text, mailbox.mails)
        link = re.search(r"https://approvals\.example\.com(/l/\S+)", first)
        assert link
        assert mailbox.mails[1]["Subject"] == "Approved: Wire the money"
        assert f"By: {ada}" in last
        assert "/l/" not in last

        events = [Verifier(SECRET).verify(body, headers) for headers, body in service.taken]
        ids = [headers["webhook-id"] for headers, _ in service.taken]
        kinds = [one["type"] for one in events]
        assert sorted(set(kinds)) == ["approval.approved", "approval.created"]
        refused = kinds.index(kinds[0])
        assert ids.count(ids[refused]) == 2, "the one that was refused came again, as the same"

    found = 0
    async for one in temporal.list_workflows(f"TaskQueue='{mine.approvals_queue}'"):
        history = await temporal.get_workflow_handle(one.id, run_id=one.run_id).fetch_history()
        said = json.dumps(history.to_json_dict())
        found += 1
        for secret in (link[1], "secret-path", SECRET):
            assert secret not in said
    assert found == 3, "the request, and the notifiers of a person and of a group"


def _text(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content())
