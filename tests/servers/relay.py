"""A port in one network that is a port of another: run as a script, standard library only.

    relay.py PORT PREFIX...

listens on 127.0.0.1:PORT where commands with PREFIX run (a network namespace), and connects to 127.0.0.1:PORT here. A
socket stays in the network that it was made in, whoever holds it: a helper makes the listening one over there, and hands
it over. It says "ready" when it listens, and ends at the end of its standard input.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys


def listener(port: int, prefix: list[str]) -> socket.socket:
    """A socket that listens in the other network."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(
            [*prefix, sys.executable, "-I", __file__, str(port)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (descriptor,) = socket.recv_fds(ours, 1, 1)[1]
    return socket.socket(fileno=descriptor)


def hand_over(port: int) -> None:
    """Makes the socket, as the helper."""
    with socket.socket(fileno=0) as channel, socket.create_server(("127.0.0.1", port)) as made:
        socket.send_fds(channel, [b"."], [made.fileno()])


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction: bytes, an orderly end, and a reset."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


async def serve(listening: socket.socket, port: int) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pass_on(reader, server_writer), pass_on(server_reader, writer))
            server_writer.close()
        writer.close()

    server = await asyncio.start_server(accepted, sock=listening)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main(port: int, prefix: list[str]) -> None:
    if not prefix:
        hand_over(port)
        return
    asyncio.run(serve(listener(port, prefix), port))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
