"""asyncpg on a server at ``POSTGRES_PORT``: a pool, copies, notifications, cancelled queries, TLS."""

import asyncio
import io
import os

import asyncpg
from common import bytes_of, client_tls, gather, run

ADDRESS = {"host": "localhost", "port": int(os.environ["POSTGRES_PORT"]), "user": "postgres"}
ROWS = [(number, bytes_of(100, b"%d" % number)) for number in range(20_000)]


async def transactions(pool):
    """Concurrent transactions, of which every second one is rolled back."""
    await pool.execute("DROP TABLE IF EXISTS account; CREATE TABLE account (id int, amount int)")

    async def transact(number):
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("INSERT INTO account VALUES ($1, $2)", number, number * 2)
            await (transaction.rollback() if number % 2 else transaction.commit())

    await gather(transact)
    rows = await pool.fetch("SELECT id, amount FROM account ORDER BY id")
    assert [tuple(row) for row in rows] == [(number, number * 2) for number in range(0, 40, 2)]


async def copies(pool):
    """Some megabytes in and out again, by COPY and through a cursor."""
    await pool.execute("DROP TABLE IF EXISTS noise; CREATE TABLE noise (id int, data bytea)")
    await pool.copy_records_to_table("noise", records=ROWS)
    assert [tuple(row) for row in await pool.fetch("SELECT * FROM noise ORDER BY id")] == ROWS
    out = io.BytesIO()
    await pool.copy_from_query("SELECT data FROM noise ORDER BY id", output=out)
    assert out.getvalue().splitlines()[-1] == rb"\\x" + ROWS[-1][1].hex().encode()
    async with pool.acquire() as connection, connection.transaction():
        cursor = connection.cursor("SELECT id FROM noise ORDER BY id", prefetch=500)
        assert [row["id"] async for row in cursor] == [number for number, _ in ROWS]


async def notifications(pool):
    heard = asyncio.Queue()
    async with pool.acquire() as listener:

        def hear(connection, process, channel, payload):
            heard.put_nowait(payload)

        await listener.add_listener("news", hear)
        for number in range(50):
            await pool.execute("SELECT pg_notify('news', $1)", str(number))
        assert [await heard.get() for _ in range(50)] == [str(number) for number in range(50)]
        await listener.remove_listener("news", hear)


async def give_up(pool):
    """A query that is cancelled leaves its connection usable; one on the server's side too."""

    async def wait(number):
        async with pool.acquire() as connection:
            try:
                await connection.execute("SELECT pg_sleep(30)", timeout=0.1)
            except TimeoutError:
                assert await connection.fetchval("SELECT $1::int", number) == number
            else:
                raise AssertionError

    await gather(wait, 10)


async def main():
    async with asyncpg.create_pool(**ADDRESS, ssl=False, min_size=5, max_size=20) as pool:
        for part in (transactions, copies, notifications, give_up):
            await part(pool)
    async with asyncpg.create_pool(**ADDRESS, ssl=client_tls(), min_size=2, max_size=5) as pool:
        assert await pool.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        for part in (transactions, copies, give_up):
            await part(pool)


run(main)
