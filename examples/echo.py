"""Echo: sends back what comes, and reads no faster than the client takes it back.

    python examples/echo.py [--host HOST] [--port PORT | --unix PATH]
"""

import argparse

import cyreactor


class Echo(cyreactor.Protocol):
    """One connection."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)  # never waits: what the client does not take yet is kept here

    def pause_writing(self):
        """64 KiB are kept: nothing more is read, the kernel's buffers fill, and the client has to wait."""
        self.transport.pause_reading()

    def resume_writing(self):
        """Most of it is gone."""
        self.transport.resume_reading()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--unix", metavar="PATH", help="listen on this Unix socket instead")
    options = parser.parse_args()

    def ready(server):
        where = options.unix
        if where is None:
            host, port, *_ = server.sockets[0].getsockname()
            where = f"{host}:{port}"
        print(f"serving on {where}, {cyreactor.backend} core", flush=True)

    try:
        if options.unix is not None:
            cyreactor.serve(Echo, path=options.unix, ready=ready)
        else:
            cyreactor.serve(Echo, options.host, options.port, ready=ready)
    except (OSError, OverflowError, ValueError) as exc:  # in use, no such port, no such path
        parser.exit(1, f"echo: {exc}\n")


if __name__ == "__main__":
    main()
