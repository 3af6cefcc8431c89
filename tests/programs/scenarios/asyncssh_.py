"""asyncssh: commands, files by SFTP and forwarded ports, between a server and clients on one loop."""

import asyncio
import tempfile
from pathlib import Path

import asyncssh
from common import bytes_of, gather, run

CONTENT = bytes_of(2 << 20)


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return password == f"secret of {username}"

    def connection_requested(self, *addresses):
        return True  # of forwarded ports


async def command(process):
    """Answers standard input in capitals."""
    process.stdout.write((await process.stdin.read()).upper())
    process.exit(3)


def connect(port, name="somebody"):
    return asyncssh.connect(
        "127.0.0.1",
        port,
        known_hosts=None,
        username=name,
        password=f"secret of {name}",
        client_keys=None,
        config=None,
    )


async def session(port, number):
    async with connect(port, f"client{number}") as connection:
        result = await connection.run("shout", input=f"hello {number}")
        assert (result.stdout, result.exit_status) == (f"HELLO {number}", 3)


async def files(port, folder):
    Path(folder, "there.bin").write_bytes(CONTENT)
    async with connect(port) as connection, connection.start_sftp_client() as sftp:
        await sftp.get("there.bin", str(Path(folder, "here.bin")))
        assert Path(folder, "here.bin").read_bytes() == CONTENT
        await sftp.put(str(Path(folder, "here.bin")), "back.bin")
        assert Path(folder, "back.bin").read_bytes() == CONTENT


async def forwarded(port):
    async def echo(reader, writer):
        writer.write(await reader.read())
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as target, connect(port) as connection:
        there = target.sockets[0].getsockname()[1]
        listener = await connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", there)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.get_port())
        writer.write(CONTENT)
        writer.write_eof()
        assert await reader.read() == CONTENT
        writer.close()
        await writer.wait_closed()
        listener.close()
        await listener.wait_closed()


async def wrong_password(port):
    try:
        await asyncssh.connect(
            "127.0.0.1", port, known_hosts=None, password="no", client_keys=None, config=None
        )
    except asyncssh.PermissionDenied:
        return
    raise AssertionError


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    with tempfile.TemporaryDirectory() as folder:

        def sftp(channel):
            return asyncssh.SFTPServer(channel, chroot=folder)

        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[key],
            process_factory=command,
            sftp_factory=sftp,
            config=None,
        )
        async with server:
            port = server.get_port()
            await gather(lambda number: session(port, number), 20)
            await files(port, folder)
            await forwarded(port)
            await wrong_password(port)


run(main)
