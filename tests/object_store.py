"""An S3 server on loopback (moto's), and a proxy before it that fails on a script."""

from __future__ import annotations

import http.client
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret-5e3", "AWS_DEFAULT_REGION": "us-east-1"}
OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Fault:
    """What becomes of the next `times` requests of `method` whose path and query `match`.

    what: a status (`503`, `403 InvalidAccessKeyId`); `cut-request`: the connection ends in the middle of the body,
    which the server never sees; `cut-answer`: it ends in the middle of the answer; `lost`: the server does it, but the
    answer does not arrive.
    """

    method: str
    what: str
    times: int = 1
    match: str = ""

    def takes(self, method: str, path: str) -> bool:
        if self.times < 1 or method != self.method or not re.search(self.match, path):
            return False
        self.times -= 1
        return True


@dataclass
class Bucket:
    """One bucket behind the proxy. `requests`: (method, path) of what was asked, faults included."""

    name: str
    endpoint: str
    server: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"s3://{self.name}/study"

    def settings(self, folder: str = "study") -> list[str]:
        """The --set of a command whose new shards go there."""
        return [f"storage.shards=s3://{self.name}/{folder}", *self.reading()]

    def reading(self) -> list[str]:
        """The --set of a command that only reads what lies there."""
        return [f"storage.endpoint_url={self.endpoint}", "storage.pause_s=0.01", "storage.attempts=4"]

    def client(self):
        import boto3

        return boto3.client("s3", endpoint_url=self.server, region_name="us-east-1")

    def objects(self) -> dict[str, bytes]:
        """Key -> bytes, past the proxy."""
        client = self.client()
        listed = client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [each["Key"] for page in listed for each in page.get("Contents", [])]
        return {key: client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

    def shards(self) -> set[str]:
        """Keys of all files of shards."""
        return {key for key in self.objects() if not key.endswith("/omnisrc-study")}

    def count(self, method: str, match: str = "") -> int:
        return sum(each == method and re.search(match, path) is not None for each, path in self.requests)


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StoreServer

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        bucket = self.server.buckets.get(self.path.split("/")[1].split("?")[0])
        fault = None
        if bucket is not None:
            with self.server.lock:
                bucket.requests.append((self.command, self.path))
                fault = next((each for each in bucket.faults if each.takes(self.command, self.path)), None)
        length = int(self.headers.get("Content-Length") or 0)
        if fault is not None and fault.what == "cut-request":
            self.rfile.read(length // 2)
            return self._end()
        body = self.rfile.read(length)
        if fault is not None and fault.what[0].isdigit():
            return self._refuse(*fault.what.split())
        self._answer(*self._ask(body), how=fault.what if fault else "")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        try:
            connection.request(self.command, self.path, body or None, dict(self.headers.items()))
            answer = connection.getresponse()
            self.told_length = answer.getheader("Content-Length")
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, how: str) -> None:
        if how == "lost":
            return self._end()
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", (self.told_length or "0") if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if how == "cut-answer" else body)
        if how == "cut-answer":
            self._end()

    def _refuse(self, status: str, code: str = "") -> None:
        code = code or {"503": "SlowDown", "500": "InternalError"}.get(status, "Refused")
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>on a script</Message></Error>".encode()
        self.send_response(int(status))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _end(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(2)


class StoreServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Proxy)
        self.behind = behind
        self.lock = threading.Lock()
        self.buckets: dict[str, Bucket] = {}

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


@contextmanager
def object_store() -> Iterator[StoreServer]:
    """The server with the proxy before it."""
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    proxy = StoreServer(port)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
        moto.stop()


def new_bucket(proxy: StoreServer) -> Bucket:
    name = f"shards-{secrets.token_hex(6)}"
    bucket = Bucket(name, f"http://127.0.0.1:{proxy.server_port}", f"http://127.0.0.1:{proxy.behind}")
    bucket.client().create_bucket(Bucket=name)
    proxy.buckets[name] = bucket
    return bucket
