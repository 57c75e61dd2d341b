"""Runs LocalStack on this machine, reachable on 127.0.0.1 only.

host.py GATEWAY DYNAMODB IDLE_SECONDS COMMAND...

GATEWAY and DYNAMODB are the ADDRESS:PORT of LocalStack and, for who wants to go
past it, of its DynamoDB Local. That listens on every address and cannot be told
otherwise. So the two sockets that others may reach are opened first, then this
process moves into a network of its own that has nothing but a loopback, starts
COMMAND there with GATEWAY_LISTEN and DYNAMODB_LOCAL_PORT set, and carries bytes
between the two. Where the kernel allows no such network it says so and goes on
without.

Ends with COMMAND, on SIGTERM, and after IDLE_SECONDS without a connection
(0 = never).
"""

import asyncio
import ctypes
import fcntl
import functools
import os
import signal
import socket
import struct
import sys
import time

INSIDE = 4566, 4567
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def own_network():
    """Moves this process into an empty network; answers whether it could."""
    try:
        try:
            unshare(CLONE_NEWNET)
        except PermissionError:
            uid, gid = os.getuid(), os.getgid()
            unshare(CLONE_NEWUSER | CLONE_NEWNET)
            for name, line in ("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1"):
                with open(f"/proc/self/{name}", "w") as f:
                    f.write(line)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            request = struct.pack("16sH14x", b"lo", 0)
            flags = struct.unpack("16sH14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
        return True
    except (OSError, AttributeError) as e:
        print(f"localstack: no network of its own ({e}): DynamoDB Local listens on all addresses", file=sys.stderr, flush=True)
        return False


class Relay:
    def __init__(self):
        self.open, self.used = 0, time.monotonic()

    async def serve(self, port, reader, writer):
        self.open += 1
        try:
            inside = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            inside = None
        if inside:
            await asyncio.gather(self.copy(reader, inside[1]), self.copy(inside[0], writer))
        for w in (writer, inside[1]) if inside else (writer,):
            w.close()
        self.open -= 1
        self.used = time.monotonic()

    @staticmethod
    async def copy(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            writer.close()

    async def idle(self, seconds):
        while not seconds or self.open or time.monotonic() - self.used < seconds:
            await asyncio.sleep(5)


async def run(listeners, idle, command):
    relay = Relay()
    servers = [await asyncio.start_server(functools.partial(relay.serve, port), sock=s) for s, port in listeners]
    child = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    stop = asyncio.Event()
    for s in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        asyncio.get_running_loop().add_signal_handler(s, stop.set)
    ends = [asyncio.ensure_future(f) for f in (child.wait(), stop.wait(), relay.idle(idle))]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.close()
    for s, patience in (signal.SIGTERM, 10), (signal.SIGKILL, 5):  # its Java child is of its session
        try:
            os.killpg(child.pid, s)
            await asyncio.wait_for(asyncio.shield(ends[0]), patience)
        except (ProcessLookupError, asyncio.TimeoutError):
            pass
    return child.returncode or 0


def listen(address):
    host, _, port = address.rpartition(":")
    return socket.create_server((host, int(port)), backlog=512)


def main():
    outside, idle, command = sys.argv[1:3], int(sys.argv[3]), sys.argv[4:]
    listeners = [listen(address) for address in outside]
    inside = INSIDE
    if not own_network():
        free = [listen("127.0.0.1:0") for _ in outside]
        inside = [s.getsockname()[1] for s in free]
        for s in free:
            s.close()
    os.environ["GATEWAY_LISTEN"] = f"127.0.0.1:{inside[0]}"
    os.environ["DYNAMODB_LOCAL_PORT"] = str(inside[1])
    sys.exit(asyncio.run(run(list(zip(listeners, inside)), idle, command)))


main()
