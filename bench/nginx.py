"""A loopback nginx that serves one folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services import free_port, until


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[int]:
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; sendfile on; keepalive_requests 100000; types {{ image/jpeg jpg; video/mp4 mp4; }}\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    server = subprocess.Popen([binary, "-c", str(settings), "-p", str(folder)])
    try:
        until(lambda: (folder / "nginx.pid").exists(), 10)
        yield port
    finally:
        server.terminate()
        server.wait()
