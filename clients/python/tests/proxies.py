"""What stands between a client and a real service in tests: lines that are cut, TLS, and a gate that refuses calls."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2


class Line:
    """Carries bytes to a service and back, until it is cut. It runs on a thread of its own."""

    def __init__(self, address: str):
        self.host, self.port = address.split(":")
        self.connections = 0
        self.carried = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._on_loop(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection now. New ones are taken."""
        self._on_loop(self._abort())

    def down(self) -> None:
        """Break all, and refuse new ones until `up`."""
        self._on_loop(self._listen(False))
        self.cut()

    def up(self) -> None:
        """Take connections again, where they were taken before."""
        self._on_loop(self._listen(True))

    async def _listen(self, wanted: bool) -> None:
        if wanted:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", int(self.address.split(":")[1]))
        else:
            self._server.close()

    def close(self) -> None:
        """Break all and take no more."""
        if not self._loop.is_running():
            return
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _on_loop(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader, writer) -> None:
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection(self.host, int(self.port))
        both = {writer, there_writer}
        self._writers |= both
        await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer))
        self._writers -= both

    async def _carry(self, reader, writer) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.carried += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()


class Gate(grpc.GenericRpcHandler):
    """Passes unary calls on to a service, keeps what they carry, and refuses those that it is told to."""

    def __init__(self, address: str):
        self.channel = grpc.insecure_channel(address)
        self.seen: list[tuple[str, dict]] = []
        self.refuse: list[tuple[grpc.StatusCode, float | None]] = []

    def service(self, details):
        def call(request: bytes, context):
            self.seen.append((details.method.rpartition("/")[2], dict(context.invocation_metadata())))
            if self.refuse:
                code, seconds = self.refuse.pop(0)
                context.set_trailing_metadata(trailers(code, seconds))
                context.abort(code, "the gate is shut")
            return self.channel.unary_unary(details.method)(request)

        return grpc.unary_unary_rpc_method_handler(call)


def trailers(code: grpc.StatusCode, seconds: float | None):
    """What says to come back after so many seconds."""
    if seconds is None:
        return ()
    packed = any_pb2.Any()
    delay = duration_pb2.Duration(nanos=int(seconds * 1e9))
    packed.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message="the gate is shut", details=[packed])
    return (("grpc-status-details-bin", status.SerializeToString()),)


@contextmanager
def served(gate: Gate, credentials=None):
    """The gate's port while it is open; with TLS if there are credentials."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[gate])
    address = "127.0.0.1:0"
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None)
        gate.channel.close()
