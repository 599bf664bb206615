"""Where the services are: arguments, environment and the file of contexts."""

import os
from pathlib import Path

import pytest
from graft_client import ConfigError
from graft_client.config import Context, config_path, read_context
from graft_client.connection import connect, endpoint

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
