"""An ASGI application without a framework: echoes bodies and WebSocket messages, and sends a large body."""

import asyncio

from common import bytes_of

LARGE = bytes_of(4 << 20)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo_messages(receive, send)
    elif scope["path"] == "/large":
        await answer(send, LARGE)
    else:
        await answer(send, await body(receive))


async def lifespan(receive, send):
    for event in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{event}"
        await send({"type": f"lifespan.{event}.complete"})


async def body(receive):
    pieces = b""
    while True:
        message = await receive()
        pieces += message.get("body", b"")
        if not message.get("more_body"):
            return pieces


async def answer(send, content, piece=1 << 16):
    length = str(len(content)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    for start in range(0, len(content), piece):
        await send({"type": "http.response.body", "body": content[start : start + piece], "more_body": True})
        await asyncio.sleep(0)  # or a client that left would be told of only when all is written
    await send({"type": "http.response.body", "body": b""})


async def echo_messages(receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})
