"""grpc.aio, whose own thread wakes the loop by a socket: calls of all four kinds, large and many."""

import grpc
from common import bytes_of, gather, run

LARGE = bytes_of(3 << 20)


async def upper(request, context):
    return request.upper()


async def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


async def join(requests, context):
    return b"".join([request async for request in requests])


async def echo(requests, context):
    async for request in requests:
        yield request


async def fail(request, context):
    await context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")


HANDLERS = {
    "Upper": grpc.unary_unary_rpc_method_handler(upper),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}


async def pieces():
    for number in range(100):
        yield b"%d " % number


async def use(channel, number):
    sent = b"client %d" % number
    assert await channel.unary_unary("/test.Test/Upper")(sent) == sent.upper()
    counted = [item async for item in channel.unary_stream("/test.Test/Count")(b"50")]
    assert counted == [b"%d" % item for item in range(50)]
    everything = [piece async for piece in pieces()]
    assert await channel.stream_unary("/test.Test/Join")(pieces()) == b"".join(everything)
    assert [item async for item in channel.stream_stream("/test.Test/Echo")(pieces())] == everything


async def refused(channel):
    call = channel.unary_unary("/test.Test/Fail")(b"")
    assert await call.code() == grpc.StatusCode.NOT_FOUND
    assert await call.details() == "nothing here"


async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Test", HANDLERS)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await gather(lambda number: use(channel, number))
        assert await channel.unary_unary("/test.Test/Upper")(LARGE) == LARGE.upper()
        await refused(channel)
    await server.stop(grace=1)


run(main)
