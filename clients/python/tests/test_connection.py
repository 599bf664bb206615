"""How the services are spoken to: TLS, tokens, retries and deadlines."""

import asyncio
import socket
import time

import grpc
import pytest
import trustme
from graft_client import AsyncGraft, DeadlineExceeded, Graft, ResourceExhausted, Retry, Unavailable
from proxies import Gate, served

@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.toml"

    def write(text: str, mode: int = 0o600):
        path.write_text(text)
        path.chmod(mode)
        return {"GRAFT_CONFIG": str(path)}

    return write


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secured(addresses, authority):
    """A gate with TLS before the real trainer, for the host `trainer.test`."""
    made = authority.issue_cert("trainer.test")
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    pair = [(made.private_key_pem.bytes(), chain)]
    gate = Gate(addresses[0])
    with served(gate, grpc.ssl_server_credentials(pair)) as port:
        yield f"https://127.0.0.1:{port}", gate


def test_a_context_says_all_of_tls_and_the_token(file, tmp_path, secured, authority):
    address, gate = secured
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environment = file(
        f"""
        [contexts.secure]
        trainer = "{address}"
        token = "secret"
        ca-file = "ca.pem"
        server-name = "trainer.test"
        """
    )
    config = environment["GRAFT_CONFIG"]
    with Graft(context="secure", config=config) as graft:
        graft.heads()
    assert gate.seen[-1][0] == "ListHeads" and gate.seen[-1][1]["authorization"] == "Bearer secret"
    once = Retry(attempts=1)
    with Graft(address, server_name="trainer.test", retry=once) as graft, pytest.raises(Unavailable, match=address):
        graft.heads()
    wrong = Graft(address, ca_file=tmp_path / "ca.pem", server_name="other.test", retry=once)
    with wrong, pytest.raises(Unavailable):
        wrong.heads()


def test_mutual_tls(addresses, tmp_path, authority):
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.org")
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(str(paths["ca"]))
    client.private_key_pem.write_to_path(str(paths["key"]))
    paths["cert"].write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
    pair = [(server.private_key_pem.bytes(), b"".join(blob.bytes() for blob in server.cert_chain_pems))]
    credentials = grpc.ssl_server_credentials(pair, authority.cert_pem.bytes(), require_client_auth=True)
    with served(Gate(addresses[0]), credentials) as port:
        address = f"https://127.0.0.1:{port}"
        with Graft(address, ca_file=paths["ca"], cert_file=paths["cert"], key_file=paths["key"]) as graft:
            assert isinstance(graft.heads(), list)
        once = Retry(attempts=1)
        with Graft(address, ca_file=paths["ca"], retry=once) as graft, pytest.raises(Unavailable):
            graft.heads()


@pytest.fixture
def gate(addresses):
    made = Gate(addresses[0])
    with served(made) as port:
        made.address = f"127.0.0.1:{port}"
        yield made


def test_what_is_safe_is_asked_again_and_what_is_not_is_not(gate):
    with Graft(gate.address) as graft:
        gate.refuse = [(grpc.StatusCode.UNAVAILABLE, None)] * 3
        graft.heads()
        assert [name for name, _ in gate.seen] == ["ListHeads"] * 4
        gate.seen.clear()
        gate.refuse = [(grpc.StatusCode.UNAVAILABLE, None)]
        with pytest.raises(Unavailable, match=f"{gate.address}.*the gate is shut"):
            graft.delete_head("nothing-of-that-name")
        assert len(gate.seen) == 1
        # No more often than told, and not what trying again cannot help.
        gate.refuse = [(grpc.StatusCode.UNAVAILABLE, None)] * 4
        with pytest.raises(Unavailable):
            graft.heads()
        gate.seen.clear()
        gate.refuse = [(grpc.StatusCode.RESOURCE_EXHAUSTED, None)]
        with pytest.raises(ResourceExhausted):
            graft.heads()
        assert len(gate.seen) == 1


def test_a_service_says_when_to_come_back(gate):
    with Graft(gate.address, retry=Retry(first_pause=0.001)) as graft:
        gate.refuse = [(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.3)]
        begun = time.monotonic()
        graft.heads()
        assert time.monotonic() - begun >= 0.3
        gate.refuse = [(grpc.StatusCode.UNAVAILABLE, 0.5)]
        with Graft(gate.address, timeout=0.4) as hasty, pytest.raises(Unavailable) as refused:
            hasty.heads()
        assert refused.value.retry_after == 0.5


def test_there_is_a_deadline(addresses):
    # A listener that never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        with Graft(address, timeout=0.3) as graft, pytest.raises((DeadlineExceeded, Unavailable)):
            graft.heads()
        assert time.monotonic() - begun < 5


async def _heads(address: str, **options):
    async with AsyncGraft(address, **options) as graft:
        return await graft.heads()


def test_an_event_loop_asks_again_too(gate):
    gate.refuse = [(grpc.StatusCode.UNAVAILABLE, None)] * 2
    asyncio.run(_heads(gate.address, token="secret"))
    assert [name for name, _ in gate.seen] == ["ListHeads"] * 3
    assert gate.seen[-1][1]["authorization"] == "Bearer secret"
    gate.refuse = [(grpc.StatusCode.UNAVAILABLE, 0.2)] * 2
    with pytest.raises(Unavailable) as refused:
        asyncio.run(_heads(gate.address, retry=Retry(attempts=1)))
    assert refused.value.retry_after == 0.2
