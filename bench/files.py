"""Files over HTTP side by side: ``python bench/files.py [--seconds S] [--rounds N]``.

``python -m cyreactor serve`` on both cores, ``python -m http.server`` (HTTP/1.0, as it is run), the same
with ``--protocol HTTP/1.1``, and nginx where it is installed, all on one CPU; wrk asks them in turn from
another, round after round. A cell is the median of the rounds: requests a second in thousands, and
server CPU per request in µs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import pin

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


class Server:
    def __init__(self, stack, command, cpu):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command(self.port), preexec_fn=pin(cpu), **quiet)
        stack.callback(self.stop)
        self.rates, self.cpu = [], []
        self.wait()

    def wait(self):
        while self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.process.args} did not start")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def round(self, connections, seconds, cpu):
        url = f"http://127.0.0.1:{self.port}/file.bin"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url]
        before = cpu_seconds(self.process.pid)
        done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pin(cpu))
        requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
        if "Non-2xx" in done.stdout or not requests:
            raise RuntimeError(done.stdout)
        self.rates.append(float(re.search(r"Requests/sec: *([\d.]+)", done.stdout)[1]))
        self.cpu.append((cpu_seconds(self.process.pid) - before) / requests * 1e6)


def cpu_seconds(pid):
    """Time on a CPU so far, of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(row, folder, options):
    size, connections = ROWS[row]
    path = folder / "site" / "file.bin"
    path.write_bytes(os.urandom(size))
    os.utime(path, (1e9, 1e9))
    server_cpu, client_cpu = sorted(os.sched_getaffinity(0))[:2]
    with contextlib.ExitStack() as stack:
        servers = {
            label: Server(stack, command, server_cpu) for label, command in commands(folder).items()
        }
        for _ in range(options.rounds):
            for server in servers.values():
                server.round(connections, options.seconds, client_cpu)
    return servers


def cell(server):
    return f"{statistics.median(server.rates) / 1e3:.2f} k · {statistics.median(server.cpu):.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="of one measurement (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default: 3)")
    parser.add_argument("--only", default="", help="rows whose label contains this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "site").mkdir()
        labels = commands(folder)
        print(f"| | {' | '.join(labels)} |\n|---{'|---:' * len(labels)}|")
        for row in ROWS:
            if options.only in row:
                servers = measure(row, folder, options)
                print(f"| {row} | {' | '.join(map(cell, servers.values()))} |", flush=True)


if __name__ == "__main__":
    main()
