"""A collector of OpenTelemetry over HTTP, which keeps what it is given."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Collector:
    """What was exported to it. requests: each as it came; silent: it takes them without a word."""

    url: str = ""
    silent: bool = False
    requests: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)

    def _read(self) -> Iterator[Any]:
        for body in self.requests:
            yield from ExportTraceServiceRequest.FromString(body).resource_spans

    @property
    def spans(self) -> list[tuple[str, dict[str, str | int]]]:
        """The name and the attributes of each span."""
        return [
            (span.name, _values(span.attributes))
            for resource in self._read()
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def resources(self) -> list[dict[str, str | int]]:
        """What each request says of the process that it is from."""
        return [_values(resource.resource.attributes) for resource in self._read()]


def _values(attributes: Any) -> dict[str, str | int]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting(*, silent: bool = False) -> Iterator[Collector]:
    """It listens on a port of its own until the end of the block."""
    collector = Collector(silent=silent)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests.append(body)
            collector.paths.add(self.path)
            if collector.silent:
                collector.released.wait()
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
