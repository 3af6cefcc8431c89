"""Files over HTTP side by side: ``python bench/files.py [--seconds S] [--rounds N]``.

``python -m cyreactor serve`` on both cores, ``python -m http.server`` (HTTP/1.0, as it is run), the same
with ``--protocol HTTP/1.1``, and nginx where it is installed; wrk asks.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import pin
from rounds import Server, all_threads, cpus, heading, options, row

# The label of a row: the size of the file, and connections.
ROWS = {
    "1 KiB, 10 connections": (1024, 10),
    "1 KiB, 200 connections": (1024, 200),
    "64 KiB, 10 connections": (64 * 1024, 10),
    "1 MiB, 10 connections": (1024 * 1024, 10),
}

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types; access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port}; root {folder}/site; }}
}}
"""


def commands(folder):
    """The servers to compare: a label, and what starts it on a port."""
    site = folder / "site"
    python = [sys.executable, "-m"]
    found = {
        core: lambda port, core=core: [
            *python, "cyreactor", "serve", site, "--port", str(port), "--backend", core,
        ]
        for core in ("compiled", "pure")
    }  # fmt: skip
    stock = [*python, "http.server", "--bind", "127.0.0.1", "--directory", site]
    found["http.server"] = lambda port: [*stock, str(port)]
    found["http.server, 1.1"] = lambda port: [*stock, "--protocol", "HTTP/1.1", str(port)]
    if shutil.which("nginx"):
        found["nginx"] = lambda port: ["nginx", "-c", configured(folder, port), "-p", folder]
    return found


def configured(folder, port):
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, port=port))
    return path


@contextlib.contextmanager
def serving(command, cpu):
    """Run a server on a port of its own; yields its process and the port, once it listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command(port), preexec_fn=pin(cpu), **quiet)
    try:
        wait_for(process, port)
        yield process, port
    finally:
        process.kill()
        process.wait()


def wait_for(process, port):
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} did not start")


def requests(output):
    """What wrk prints."""
    count = int(re.search(r"(\d+) requests in", output)[1])
    if "Non-2xx" in output or not count:
        raise RuntimeError(output)
    return count, float(re.search(r"Requests/sec: *([\d.]+)", output)[1])


def measure(shape, folder, chosen):
    """The servers after all rounds."""
    size, connections = shape
    path = folder / "site" / "file.bin"
    path.write_bytes(os.urandom(size))
    os.utime(path, (1e9, 1e9))
    server_cpu, client_cpu = cpus()
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{chosen.seconds}s"]
    with contextlib.ExitStack() as stack:
        servers = [
            Server(*stack.enter_context(serving(command, server_cpu)), all_threads)
            for command in commands(folder).values()
        ]
        for _ in range(chosen.rounds):
            for server in servers:
                server.round([*wrk, f"http://127.0.0.1:{server.port}/file.bin"], client_cpu, requests)
    return servers


def main():
    chosen = options(__doc__, rounds=3, type=int, default=2).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "site").mkdir()
        print(heading(commands(folder)))
        for label, shape in ROWS.items():
            if chosen.only in label:
                print(row(label, measure(shape, folder, chosen)), flush=True)


if __name__ == "__main__":
    main()
