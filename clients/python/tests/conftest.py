"""The stubs, freshly generated, and both services, really running on free ports."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]

# Before any test imports the client, which imports them.
subprocess.run([ROOT / "clients/python/generate.sh"], check=True, env={**os.environ, "PYTHON": sys.executable})


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; all are held until the last is known, so that they differ."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture(scope="session")
def addresses(tmp_path_factory):
    """The addresses of a running trainer and extractor."""
    trainer, extractor, *metrics = (f"127.0.0.1:{port}" for port in free_ports(4))
    command = [ROOT / "target/release/graft", "up", "--data-dir", tmp_path_factory.mktemp("data")]
    command += ["--trainer-listen", trainer, "--extractor-listen", extractor]
    command += ["--trainer-metrics-listen", metrics[0], "--extractor-metrics-listen", metrics[1]]
    process = subprocess.Popen(command)
    try:
        for address in (trainer, extractor):
            wait_ready(process, address)
        yield trainer, extractor
    finally:
        process.terminate()
        assert process.wait(timeout=90) == 0, "graft up did not end well"


@pytest.fixture(scope="session")
def graft(addresses):
    """A client of both."""
    from graft_client import Graft

    with Graft(*addresses) as client:
        yield client


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of pictures, with a sub-folder a class."""
    from samples import TRAIN, folder, garments

    return folder(tmp_path_factory.mktemp("photos"), garments(TRAIN, 900))


@pytest.fixture(scope="session")
def head(graft, photos):
    """The head clothes@1, fitted on them."""
    return graft.train(photos, "clothes", dataset="clothes", progress=False)


def wait_ready(process: subprocess.Popen, address: str) -> None:
    deadline = time.monotonic() + 60
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline:
            assert process.poll() is None, "graft up ended"
            try:
                if health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.RpcError:
                pass
            time.sleep(0.1)
    raise AssertionError(f"{address} is not ready")
