"""aiosmtpd, which drives its loop in a thread, and blocking clients that switch to TLS."""

import gc
import smtplib
import socket
from concurrent.futures import ThreadPoolExecutor

from aiosmtpd.controller import Controller
from common import bytes_of, client_tls, done, new_loop, server_tls

LINES = [bytes_of(400, b"%d" % number).hex() for number in range(1000)]


class Inbox:
    def __init__(self):
        self.messages = {}

    async def handle_DATA(self, server, session, envelope):
        self.messages[envelope.mail_from] = envelope.content
        return "250 taken"


def send(controller, number):
    with smtplib.SMTP(controller.hostname, controller.port, "client", timeout=20) as client:
        client.starttls(context=client_tls())
        client.sendmail(f"{number}@here", ["there@there"], "\r\n".join([f"number {number}", *LINES]))
        part(client)


def part(client):
    """As TLS wants it: aiosmtpd leaves the exception of a reset connection to the garbage collector."""
    client.docmd("quit")
    client.sock.unwrap()
    client.close()


def main(debug):
    inbox = Inbox()
    loop = new_loop()
    loop.set_debug(debug)
    loop.slow_callback_duration = 60
    controller = Controller(inbox, "127.0.0.1", free_port(), loop, tls_context=server_tls())
    controller.start()
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda number: send(controller, number), range(24)))
    controller.stop()
    assert loop.is_closed() or not loop.is_running()
    loop.close()
    for number in range(24):
        content = inbox.messages[f"{number}@here"].decode().rstrip()
        assert content == "\r\n".join([f"number {number}", *LINES])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


for debug in (False, True):
    main(debug)
    gc.collect()
done()
