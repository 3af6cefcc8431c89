"""For unit tests of your own protocols: nothing sleeps, and nothing depends on the kernel's mood.

Feed a protocol bytes, cut where you like, and look at what it wrote:

>>> import cyreactor
>>> from cyreactor import testing
>>> class Shout(cyreactor.LineProtocol):
...     def message_received(self, line):
...         self.send_message(line.upper())
>>> testing.feed(Shout(), b"one\\r\\ntwo\\n", cuts=[2, 4]).sent
b'ONE\\nTWO\\n'

The transport that ``feed`` returns is the peer's end, and the kernel's. With little room it makes the
protocol wait, as a slow peer does:

>>> slow = testing.MemoryTransport(Shout(), room=3, high=4)
>>> calls = testing.record(slow.get_protocol())
>>> slow.feed(b"hello\\n")
>>> slow.sent, slow.get_write_buffer_size()
(b'HEL', 3)
>>> slow.feed(b"you\\n")
>>> slow.drain()
>>> slow.sent
b'HELLO\\nYOU\\n'
>>> [call.name for call in calls]
['message_received', 'message_received', 'pause_writing', 'resume_writing']

Two protocols talk to each other over ``connect``; ``run`` goes on until both have nothing more to say:

>>> client = testing.Recorder()
>>> link = testing.connect(client, Shout(), cuts=1)
>>> client.transport.write(b"hello\\n")
>>> link.run()
>>> client.received
b'HELLO\\n'
>>> client.transport.close()
>>> link.run()
>>> client.calls[-1]
Call(name='connection_lost', args=(None,))

On a ``TestReactor`` time is the test's. Timers run in order, each at its own time:

>>> with testing.TestReactor() as reactor:
...     timer = reactor.call_later(60, print, "a minute is over")
...     reactor.advance(59)
...     reactor.advance(1)
a minute is over

A protocol that asks for the running loop gets it with ``feed(…, loop=reactor)``; coroutines run on it
with ``reactor.run_until_complete``, and their ``asyncio.sleep`` takes no time.
"""

from .clock import TestReactor
from .link import Link, connect
from .memory import MemoryTransport, feed
from .recorder import Call, Recorder, record

__all__ = ["Call", "Link", "MemoryTransport", "Recorder", "TestReactor", "connect", "feed", "record"]
