"""redis-py on a server at ``REDIS_PORT``: pipelines, large values, publishing, waits that are given up."""

import asyncio
import os

from common import bytes_of, gather, run
from redis import asyncio as redis

LARGE = bytes_of(4 << 20)


async def pipelines(client):
    async def count(number):
        async with client.pipeline(transaction=number % 2 == 0) as pipeline:
            for _ in range(100):
                pipeline.incr(f"counter {number}")
            assert await pipeline.execute() == list(range(1, 101))

    await gather(count)


async def large_values(client):
    async def put_and_get(number):
        await client.set(f"large {number}", LARGE)
        assert await client.get(f"large {number}") == LARGE

    await gather(put_and_get, 4)


async def publish(client):
    """Every subscriber gets all messages in order."""

    async def subscribe():
        async with client.pubsub() as channel:
            await channel.subscribe("news")
            assert (await channel.get_message(timeout=5))["type"] == "subscribe"
            subscribed.release()
            return [(await channel.get_message(timeout=5))["data"] for _ in range(100)]

    subscribed = asyncio.Semaphore(0)
    subscribers = [asyncio.create_task(subscribe()) for _ in range(10)]
    for _ in subscribers:
        await subscribed.acquire()
    for number in range(100):
        assert await client.publish("news", number) == 10
    expected = [b"%d" % number for number in range(100)]
    assert await asyncio.gather(*subscribers) == [expected] * 10


async def give_up(client):
    """A wait that is cancelled costs its connection and nothing else."""

    waits = [asyncio.create_task(client.blpop(f"never {number}")) for number in range(20)]
    while (await client.info("clients"))["blocked_clients"] < 20:
        await asyncio.sleep(0.01)
    for wait in waits:
        wait.cancel()
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    waiting = asyncio.create_task(client.blpop("queue", timeout=5))
    await asyncio.sleep(0.01)
    await client.rpush("queue", b"item")
    assert list(await waiting) == [b"queue", b"item"]


async def main():
    async with redis.Redis(port=int(os.environ["REDIS_PORT"])) as client:
        await client.flushall()
        await pipelines(client)
        await large_values(client)
        await publish(client)
        await give_up(client)


run(main)
