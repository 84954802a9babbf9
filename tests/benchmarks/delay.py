"""A proxy that keeps every byte for a while, either way: python delay.py TO SECONDS FROM."""

from __future__ import annotations

import asyncio
import sys


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        while data := await reader.read(1 << 16):
            loop.call_later(seconds, writer.write, data)
    finally:
        loop.call_later(seconds, writer.close)


async def main(to: int, seconds: float, port: int) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pour(reader, back, seconds), pour(there, writer, seconds))

    async with await asyncio.start_server(meet, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
