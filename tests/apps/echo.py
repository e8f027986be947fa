# SPDX-License-Identifier: MIT
"""An asyncio echo server, and clients that check what comes back.

usage: echo.py serve | stream PORT | trips PORT
"""
import asyncio
import random
import sys


async def echo(reader, writer):
    try:
        while data := await reader.read(random.randint(1, 100000)):
            writer.write(data)
            await writer.drain()
    except ConnectionResetError:
        pass
    writer.close()


async def serve():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def stream_one(port, size):
    """Writes and reads at the same time, in pieces of random size."""
    data = random.randbytes(size)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def write():
        pos = 0
        while pos < size:
            n = random.randint(1, 200000)
            writer.write(data[pos:pos + n])
            pos += n
            await writer.drain()
        writer.write_eof()

    writing = asyncio.create_task(write())
    got = await reader.read(-1)
    await writing
    writer.close()
    await writer.wait_closed()
    if got != data:
        at = next((i for i, (a, b) in enumerate(zip(got, data)) if a != b), min(len(got), len(data)))
        raise SystemExit(f"{len(got)} of {size} bytes came back, different from {at} on")


async def trips_one(port, n):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(n):
        data = random.randbytes(random.randint(1, 200))
        writer.write(data)
        got = await reader.readexactly(len(data))
        if got != data:
            raise SystemExit(f"trip {i}: not what was sent")
    writer.close()
    await writer.wait_closed()


async def main():
    match sys.argv[1:]:
        case ["serve"]:
            await serve()
        case ["stream", port]:
            await asyncio.gather(*(stream_one(int(port), 50000000) for _ in range(8)))
        case ["trips", port]:
            await asyncio.gather(*(trips_one(int(port), 2000) for _ in range(5)))
        case _:
            raise SystemExit(__doc__)


asyncio.run(main())
