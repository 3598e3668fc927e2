"""Webhooks: signed as Standard Webhooks says, once for each event, and never into our own network."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from activities import reaching
from activities.unsent import NotSent
from activities.webhooks import Webhooks, event, trial
from clearance.notices import Notice
from policy.channels import Webhook

from .receiving import Answer, hang, pour, receiver, status

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
EXECUTION = "01999b3c-0000-7000-8000-000000000001"
AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
PUBLIC = "93.184.215.14"


def hook(url: str, *, private: bool = True, secret: str = SECRET) -> Webhook:
    return Webhook("erp", url, secret, private)


def refund(**said: object) -> Notice:
    facts = {"action": "Refund 29.00", "kind": "created", "tool": "issue_refund", **said}
    return Notice.model_validate(
        {"key": f"r-1/{EXECUTION}/1", "approval_id": "r-1", "requested_at": AT, "at": AT, **facts}
    )


async def test_an_event_arrives_signed_and_the_same_again_has_the_same_id() -> None:
    body = event(refund(deadline=AT + timedelta(hours=1)), "https://inbox.example.com/requests/r-1")
    async with receiver() as service:
        for key in ("r-1/x/1", "r-1/x/1", "r-1/x/2"):
            await Webhooks({}).send(hook(service.url), key, body)

    ids = [headers["webhook-id"] for headers, _ in service.taken]
    assert ids[0] == ids[1] != ids[2]
    headers, text = service.taken[0]
    assert Verifier(SECRET).verify(text, headers) == {
        "type": "approval.created",
        "timestamp": "2026-11-21T09:00:00+00:00",
        "data": {
            "id": "r-1",
            "status": "pending",
            "action": "Refund 29.00",
            "tool": "issue_refund",
            "requester": None,
            "run_id": None,
            "risk": "medium",
            "deadline": "2026-11-21T10:00:00+00:00",
            "stage": None,
            "by": None,
            "reason": "",
            "url": "https://inbox.example.com/requests/r-1",
        },
    }
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(text.replace("29.00", "92.00"), headers)
    assert event(refund(kind="rejected"), None)["data"]["status"] == "rejected"


async def test_address_and_secret_may_stand_in_the_environment() -> None:
    async with receiver() as service:
        environ = {"ERP_URL": service.url, "ERP_SECRET": SECRET}
        await Webhooks(environ).send(hook("env:ERP_URL", secret="env:ERP_SECRET"), "k", trial())
        headers, text = service.taken[0]
        assert Verifier(SECRET).verify(text, headers)["type"] == "clearance.test"
        with pytest.raises(NotSent, match=r"environment has no ERP_SECRET") as unset:
            await Webhooks({}).send(hook(service.url, secret="env:ERP_SECRET"), "k", trial())
        with pytest.raises(NotSent, match=r"no secret of a webhook") as wrong:
            await Webhooks({"S": "hunter2"}).send(hook(service.url, secret="env:S"), "k", trial())
    assert unset.value.final
    assert wrong.value.final
    assert "hunter2" not in str(wrong.value)
    assert len(service.taken) == 1


@pytest.mark.parametrize(
    ("answer", "reason", "final"),
    [
        (status(500), "it answered 500", False),
        (status(404), "it answered 404", False),
        (status(410), "it answered 410: it wants no more of this", True),
        (
            status(302, Location="http://127.0.0.1:1/"),
            "it answered 302 (redirects are not followed)",
            False,
        ),
    ],
)
async def test_only_a_2xx_says_that_it_was_told(answer: Answer, reason: str, final: bool) -> None:
    async with receiver(answer) as service:
        with pytest.raises(NotSent) as refused:
            await Webhooks({}).send(hook(service.url), "k", trial())
        assert (str(refused.value), refused.value.final) == (reason, final)
        await Webhooks({}).send(hook(service.url), "k", trial())
    assert len(service.taken) == 2
    assert "secret-path" not in str(refused.value)


async def test_an_answer_without_an_end_is_not_read() -> None:
    async with receiver(pour) as service:
        await Webhooks({}).send(hook(service.url), "k", trial())


async def test_a_service_that_hangs_is_left() -> None:
    async with receiver(hang) as service:
        with pytest.raises(NotSent, match=r"no answer within 0.2 s") as left:
            await reaching.post(service.url, b"", {}, allow_private=True, timeout=0.2)
    assert not left.value.final


async def test_where_nothing_listens_is_told_without_the_address() -> None:
    async with receiver() as service:
        url = service.url
    with pytest.raises(NotSent) as unreachable:
        await Webhooks({}).send(hook(url), "k", trial())
    assert "secret-path" not in str(unreachable.value)
    assert not unreachable.value.final


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2001:db8::1", False),
    ],
)
async def test_only_public_addresses_are_called_as_a_played_resolver_gives_them(
    address: str, public: bool
) -> None:
    assert reaching.is_public(address) is public
    if public:
        return

    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("erp.example.com", 443)
        return [PUBLIC, address]  # one that is not is enough

    with pytest.raises(NotSent, match=r"allow_private = true") as refused:
        await Webhooks({}, resolve).send(
            hook("https://erp.example.com/x", private=False), "k", trial()
        )
    assert refused.value.final


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost", "0"])
async def test_however_this_machine_is_written_it_is_refused(host: str) -> None:
    with pytest.raises(NotSent) as refused:
        await Webhooks({}).send(hook(f"https://{host}:1/x", private=False), "k", trial())
    assert "allow_private = true" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://erp.example.com/", "ftp://erp.example.com/", "https://a:b@erp.example.com/", "x"],
)
async def test_an_address_from_the_environment_is_checked_like_one_in_the_file(url: str) -> None:
    with pytest.raises(NotSent, match=r"\[webhooks.erp\]: write an") as refused:
        await Webhooks({"U": url}).send(hook("env:U", private=False), "k", trial())
    assert refused.value.final


async def test_a_host_that_is_not_found_is_tried_again_later() -> None:
    with pytest.raises(NotSent, match=r"its host is not found") as lost:
        await Webhooks({}).send(hook("https://nowhere.invalid/x"), "k", trial())
    assert not lost.value.final


async def test_the_checked_address_is_the_one_called_by_its_name_as_a_played_resolver_gives_it(
    tmp_path: Path,
) -> None:
    """TLS and Host keep the name; it is resolved once, so that a second answer leads nowhere."""
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        assert len(asked) == 1, "a second answer might be another one"
        return ["127.0.0.2", "127.0.0.1"]  # nothing listens at the first

    async with receiver(ssl_context=_named("erp.example.com", tmp_path)) as service:
        url = f"https://erp.example.com:{service.port}/x"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
            status = await reaching.post(url, b"{}", {}, allow_private=True, resolve=resolve)
            asked.clear()
            with pytest.raises(NotSent, match=r"(?i)certificate"):
                await reaching.post(
                    url.replace("erp.", "other."), b"{}", {}, allow_private=True, resolve=resolve
                )

    assert status == 200
    [(headers, body)] = service.taken
    assert (headers["Host"], body) == (f"erp.example.com:{service.port}", "{}")


def _named(name: str, folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate of its own for that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
