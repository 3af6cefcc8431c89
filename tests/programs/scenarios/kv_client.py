"""redis-py on the example of a Redis at ``KV_PORT``, in both versions of the protocol."""

import asyncio
import os

from common import bytes_of, gather, run
from redis import asyncio as redis

LARGE = bytes_of(1 << 20)


async def strings(client):
    assert await client.set("a", b"1", ex=100)
    assert await client.get("a") == b"1"
    assert 0 < await client.ttl("a") <= 100
    assert await client.set("a", b"2", nx=True) is None
    assert await client.set("a", b"2", xx=True, get=True) == b"1"
    assert await client.mset({"b": 1, "c": 2})
    assert await client.mget("a", "b", "none") == [b"2", b"1", None]
    assert sorted(await client.keys("[ab]")) == [b"a", b"b"]
    assert await client.delete("a", "b", "none") == 2
    assert await client.type("c") == b"string"
    assert list((await client.config_get("save")).values()) in ([""], [b""])
    assert "redis_version" in await client.info()
    outcome = await asyncio.gather(client.execute_command("NONE"), return_exceptions=True)
    assert "unknown command" in str(outcome[0])


async def pipelines(client):
    async def count(number):
        async with client.pipeline(transaction=False) as pipeline:
            for _ in range(100):
                pipeline.incr(f"counter {number}")
            assert await pipeline.execute() == list(range(1, 101))

    await gather(count, 10)


async def large_values(client):
    async def put_and_get(number):
        await client.set(f"large {number}", LARGE)
        assert await client.get(f"large {number}") == LARGE

    await gather(put_and_get, 4)


async def main():
    for protocol in (2, 3):
        async with redis.Redis(port=int(os.environ["KV_PORT"]), protocol=protocol) as client:
            assert await client.ping()
            await client.flushall()
            await strings(client)
            await pipelines(client)
            await large_values(client)
            await client.flushall()
            assert await client.dbsize() == 0


run(main)
