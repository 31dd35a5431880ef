"""Networks that fail: refused, unreachable, black holes, names of our own, a resolver that says nothing.

Nothing here sends anything out of the machine, and nothing changes it: what needs another /etc/hosts, resolver or route
happens in namespaces of the child process, which `private_names` and `private_network` give as a command's prefix.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from tests.servers.workspace import free_port, installed, is_root, workspace

# The kernel itself refuses a TCP connection to a multicast address: ENETUNREACH, and no packet is sent.
UNREACHABLE = "224.0.0.1"
UNREACHABLE_IPV6 = "ff02::1"
# Reserved for documentation (RFC 5737); inside `private_network` there is a route that says "unreachable": EHOSTUNREACH.
NO_ROUTE_TO_HOST = "198.51.100.7"
# The same range's neighbour; inside `private_network` packets to it vanish.
SILENT_HOST = "192.0.2.7"

Resolver = Literal["none", "refusing", "silent"]


@contextlib.contextmanager
def refused_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port on which nobody listens, and on which nobody else can while we have it: bound, but not listening."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as holder:
        holder.bind((host, 0))
        yield int(holder.getsockname()[1])


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that swallows SYNs: its queue of accepted connections is full, and nobody takes any. No root needed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as held, socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(3):
            filler = held.enter_context(socket.socket(family))
            filler.setblocking(False)
            assert filler.connect_ex((host, port)) in {0, errno.EINPROGRESS}
        yield port


def free_port_on_both(first: str = "127.0.0.1", second: str = "127.0.0.2") -> int:
    """A port that is free on both addresses, for a name that has both."""
    while True:
        port = free_port(first)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6 if ":" in second else socket.AF_INET) as probe:
            probe.bind((second, port))
            return port


def _bind_script(hosts: Mapping[str, Sequence[str]], nameserver: str | None) -> str:
    """Shell that puts our files over the machine's, in a mount namespace of its own."""
    place = workspace().directory("names", mode=0o755)
    known = {"localhost": ("127.0.0.1", "::1"), **hosts}
    lines = [f"{address} {name}" for name, addresses in known.items() for address in addresses]
    files = {
        "/etc/hosts": "\n".join(lines) + "\n",
        "/etc/nsswitch.conf": f"passwd: files\ngroup: files\nservices: files\nhosts: files{' dns' if nameserver else ''}\n",
        "/etc/resolv.conf": f"nameserver {nameserver or '127.0.0.1'}\n",
    }
    binds = []
    for number, (target, text) in enumerate(files.items()):
        source = workspace().write(place / str(number), text, mode=0o644)
        real = Path(target).resolve()
        assert real.exists(), f"{real} is not there to be covered"
        binds.append(f"mount --bind {source} {real}")
    return " && ".join(binds)


def _prefix(script: str, *, network: bool) -> list[str]:
    flags = ["--mount", *(["--net"] if network else []), *([] if is_root() else ["--user", "--map-root-user"])]
    return ["unshare", *flags, "sh", "-c", f'{script} && exec "$@"', "sh"]


@contextlib.contextmanager
def private_names(hosts: Mapping[str, Sequence[str]] | None = None, resolver: Resolver = "none") -> Iterator[list[str]]:
    """A prefix for a command that then knows just these names, each with its addresses.

    The resolver sorts them (RFC 6724): ::1 comes before 127.0.0.1, and that before 127.0.0.2.
    Other names: with resolver "none" there is none and they are not found at once; "refusing" has a name server where
    nobody listens (a temporary failure, at once); "silent" one that never answers. All loopback servers stay in reach,
    except that "silent" without root happens in a network of its own (port 53 is root's).
    """
    if resolver == "silent" and not is_root():
        with private_network(hosts, resolver="silent") as prefix:
            yield prefix
        return
    with contextlib.ExitStack() as stack:
        address = None if resolver == "none" else stack.enter_context(_name_server(answers=resolver == "refusing"))
        yield _prefix(_bind_script(hosts or {}, address), network=False)


@contextlib.contextmanager
def _name_server(*, answers: bool) -> Iterator[str]:
    """An address of loopback on whose port 53 a datagram is refused, or taken in and never answered."""
    for last in range(60, 250):
        address = f"127.0.53.{last}"
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind((address, 53 if is_root() else 0))
            except OSError:
                continue
            if answers:
                udp.close()
            elif is_root():
                tcp.bind((address, 53))
                tcp.listen()
            yield address
            return
    raise AssertionError("no address for a name server is free")


@contextlib.contextmanager
def private_network(
    hosts: Mapping[str, Sequence[str]] | None = None, resolver: Resolver = "none"
) -> Iterator[list[str]]:
    """A prefix for a command that is then alone in a network of its own: loopback with nobody on it, no way out.

    NO_ROUTE_TO_HOST is unreachable there, SILENT_HOST takes packets and answers none, and so does a "silent" resolver;
    any other address has no route at all (ENETUNREACH).
    """
    assert resolver != "refusing", "use private_names"
    program = installed("ip")
    network = [
        "ip link set lo up",
        # What leaves void0 reaches void1, where nobody takes it.
        "ip link add void0 type veth peer name void1",
        "ip addr add 192.0.2.1/24 dev void0",
        "ip link set void0 up arp off",
        "ip link set void1 up arp off",
        "ip route add unreachable 198.51.100.0/24",
    ]
    names = _bind_script(hosts or {}, SILENT_HOST if resolver == "silent" else None)
    yield _prefix(" && ".join([*(f"{program}{line[2:]}" for line in network), names]), network=True)


def has_ipv6() -> bool:
    """Whether this machine has ::1 (containers often have not)."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False
