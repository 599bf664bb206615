"""Where the services are, and how they are spoken to: contexts, TLS, tokens, retries."""

import os
import time
from pathlib import Path

import grpc
import pytest
import trustme
from graft_client import AsyncGraft, ConfigError, DeadlineExceeded, Graft, ResourceExhausted, Retry, Unavailable
from graft_client.config import Context, config_path, read_context
from graft_client.connection import connect, endpoint
from proxies import Gate, served

NOWHERE = {"GRAFT_CONFIG": os.devnull}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.toml"

    def write(text: str, mode: int = 0o600):
        path.write_text(text)
        path.chmod(mode)
        return {"GRAFT_CONFIG": str(path)}

    return write


def urls(connection) -> tuple[str, str]:
    return connection.trainer.url, connection.extractor.url


def test_without_a_word_they_are_on_this_machine(tmp_path):
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "GRAFT_CONFIG": ""}
    assert config_path(environment) == tmp_path / "graft/config.toml"
    # As the XDG specification has it.
    assert config_path({"XDG_CONFIG_HOME": "relative"}) == Path.home() / ".config/graft/config.toml"
    found = connect(Context(), environment=environment)
    assert urls(found) == ("http://127.0.0.1:7400", "http://127.0.0.1:7401") and found.metadata() == ()


def test_arguments_win_over_the_environment_and_that_over_the_file(file):
    environment = file(
        """
        current-context = "near"
        [contexts.near]
        trainer = "http://localhost:1"
        extractor = "http://localhost:2"
        token = "near-token"
        [contexts.far]
        trainer = "https://trainer.example.org"
        extractor = "https://extractor.example.org:8443"
        """
    )
    assert urls(connect(Context(), environment=environment)) == ("http://localhost:1", "http://localhost:2")
    said = {**environment, "GRAFT_TRAINER": "http://localhost:3", "GRAFT_TOKEN": "said"}
    found = connect(Context(extractor="localhost:4"), environment=said)
    assert urls(found) == ("http://localhost:3", "http://localhost:4")
    assert found.metadata() == (("authorization", "Bearer said"),)
    chosen = connect(Context(), environment={**environment, "GRAFT_CONTEXT": "far"})
    assert chosen.trainer.target == "trainer.example.org:443" and chosen.extractor.target == "extractor.example.org:8443"
    assert chosen.trainer.tls and not chosen.token
    # A context that is named takes the place of the current one, and of no more.
    named = connect(Context(), "far", environment=said)
    assert urls(named) == ("http://localhost:3", "https://extractor.example.org:8443")
    assert "said" not in repr(named) and "near-token" not in repr(read_context(environment=environment))


def test_files_are_relative_to_the_file_of_contexts(file, tmp_path):
    (tmp_path / "secret").write_text("from-a-file\n")
    (tmp_path / "secret").chmod(0o600)
    environment = file('current-context = "a"\n[contexts.a]\ntoken-file = "secret"\n')
    assert connect(Context(), environment=environment).token == "from-a-file"
    # A token that is given takes the place of the file of one.
    assert connect(Context(token="given"), environment=environment).token == "given"


@pytest.mark.parametrize(
    "text, words",
    [
        ('[contexts.a]\ntrainr = "x"', ["trainr", "trainer, extractor, token"]),
        ('current = "a"', ["current", "current-context, contexts"]),
        ('current-context = "b"\n[contexts.a]', ["'b'", "there are: a"]),
        ('current-context = "a"\n[contexts.a]\ntrainer = 7400', ["contexts.a.trainer", "text is expected"]),
        ('current-context = "a"\n[contexts.a]\ntoken = "x"\ntoken-file = "y"', ["token and token-file"]),
        ('current-context = "a"\n[contexts.a]\nca-file = "nowhere.pem"', ["ca-file", "nowhere.pem"]),
        ('current-context = "a"\n[contexts.a]\ncert-file = "c.pem"', ["key-file belong together"]),
        ('current-context = "a"\n[contexts.a]\ntrainer = "ftp://x"', ["ftp://x", "https://HOST:PORT"]),
        ("contexts = 3", ["[contexts.NAME]"]),
        ("a = [", ["config.toml"]),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_what_is_accepted(file, text, words):
    environment = file(text)
    named = "a" if "trainr" in text else None
    with pytest.raises(ConfigError) as wrong:
        connect(Context(), named, environment=environment)
    assert all(word in str(wrong.value) for word in words), wrong.value


def test_a_file_that_was_named_must_be_there_and_tokens_are_for_its_owner(file, tmp_path):
    with pytest.raises(ConfigError, match="nowhere.toml"):
        connect(Context(), config=tmp_path / "nowhere.toml", environment={})
    environment = file('current-context = "a"\n[contexts.a]\ntoken = "secret"', mode=0o644)
    with pytest.warns(UserWarning, match="config.toml holds a token.*chmod 600"):
        connect(Context(), environment=environment)
    (tmp_path / "open.token").write_text("secret")
    environment = file('current-context = "a"\n[contexts.a]\ntoken-file = "open.token"')
    with pytest.warns(UserWarning, match="open.token holds a token"):
        connect(Context(), environment=environment)
    with pytest.raises(ConfigError, match="contexts.b"):
        connect(Context(), environment=file('current-context = "a"\n[contexts.a]\n[contexts.b]\nport = "1"'))


@pytest.mark.parametrize("address", ["http://10.0.0.1:7400", "trainer.example.org:7400"])
def test_a_token_goes_over_tls_alone(address):
    with pytest.raises(ConfigError, match="only sent over TLS.*https://"):
        connect(Context(trainer=address, token="secret"), environment=NOWHERE)
    for fine in ("localhost:1", "127.0.0.5:1", "[::1]:1", "https://trainer.example.org"):
        assert connect(Context(trainer=fine, token="secret"), environment=NOWHERE).token == "secret"


@pytest.mark.parametrize("address", ["", "http://", "http://a/b", "http://u@a", "http://a:x", "http://a:99999", "a?b"])
def test_bad_addresses_are_refused(address):
    with pytest.raises(ConfigError, match="HOST:PORT"):
        endpoint(address)


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
    import socket

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
    import asyncio

    gate.refuse = [(grpc.StatusCode.UNAVAILABLE, None)] * 2
    asyncio.run(_heads(gate.address, token="secret"))
    assert [name for name, _ in gate.seen] == ["ListHeads"] * 3
    assert gate.seen[-1][1]["authorization"] == "Bearer secret"
    gate.refuse = [(grpc.StatusCode.UNAVAILABLE, 0.2)] * 2
    with pytest.raises(Unavailable) as refused:
        asyncio.run(_heads(gate.address, retry=Retry(attempts=1)))
    assert refused.value.retry_after == 0.2
