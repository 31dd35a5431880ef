"""A real stateful firewall that forgets what has been idle: Linux's own connection tracking, in a namespace.

As root, three hops: the tests' own network (the client, and the server on its loopback), a router, and back. Whoever
connects to the firewall's address reaches 127.0.0.1 of the same network through a kernel that tracks connections:

    client 198.18.n.1 --- 198.18.n.2 router 198.18.n.5 --- 198.18.n.6, handed to 127.0.0.1

Nothing of the machine is changed but two interfaces, which the kernel removes when the router's namespace ends, and that
ends with the process that holds it. Without root (or `private`) the same is built inside a network of its own, and the
client must run there, too: `command`. There the server's port is a relay to the real one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from tests.servers import relay
from tests.servers.workspace import installed, is_root, workspace

Style = Literal["drop", "reset"]

# What a packet gets that belongs to no connection that the router remembers.
REFUSALS: dict[Style, str] = {
    "drop": "chain refuse { type filter hook prerouting priority filter; ct state invalid counter name refused drop; }",
    # With its translation forgotten too, such a packet is for the router itself.
    "reset": "chain refuse { type filter hook input priority filter;"
    " ct state invalid counter name refused reject with tcp reset; }",
}
RULES = """
table ip firewall {{
  counter refused {{ }}
  chain to_the_server {{ type nat hook prerouting priority dstnat; iifname "client" tcp dport {port} dnat to 127.0.0.1; }}
  chain from_the_router {{ type nat hook postrouting priority srcnat; oifname "server" masquerade; }}
  {refusal}
}}
"""
# `route_localnet`: packets for and from 127.0.0.1 may come over a wire. `tcp_loose=0`: what is forgotten stays so.
ROUTER = """
{ip} addr add {network}.2/30 dev client && {ip} addr add {network}.5/30 dev server &&
{ip} link set client up && {ip} link set server up &&
echo 1 > /proc/sys/net/ipv4/ip_forward &&
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet &&
{ip} route add 127.0.0.1/32 via {network}.6 dev server &&
{nft} -f {rules} &&
echo {idle_timeout} > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established &&
echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose
"""
ENDS = """
{ip} addr add {network}.1/30 dev {client} && {ip} addr add {network}.6/30 dev {server} &&
{ip} link set {client} up && {ip} link set {server} up &&
echo 1 > /proc/sys/net/ipv4/conf/{server}/route_localnet
"""
# 198.18.0.0/15 is for tests of network devices (RFC 2544); each firewall has a third number of its own.
NETWORKS = 256


class StatefulFirewall:
    """Between a client and the server on `server_port` of 127.0.0.1; a context manager.

    A connection without a packet for `idle_timeout` seconds is forgotten. With style "drop" its packets vanish from
    then on, in both directions; with "reset" whoever sends one gets a reset, and only he. Any packet counts, so do
    keepalive probes. `private`: in a network of its own, which is the only way without root.
    """

    def __init__(
        self, server_port: int, *, idle_timeout: int = 3, style: Style = "drop", private: bool | None = None
    ) -> None:
        self.port = server_port
        self.idle_timeout = idle_timeout
        self.style: Style = style
        # Whether a connection from the tests' own process goes through it; otherwise only from `command`.
        self.in_process = is_root() if private is None else not private
        assert not self.in_process or is_root(), "without root a firewall is private"
        self._ip, self._nft = installed("ip"), installed("nft")
        self._holders: list[subprocess.Popen[bytes]] = []
        self._outside: list[str] = []
        self._router: list[str] = []
        self._number: int | None = None

    @property
    def host(self) -> str:
        """The address to connect to, on `port`."""
        return f"{self._network}.2"

    def command(self, *words: str) -> list[str]:
        """The command that runs `words` where the firewall can be reached; without words, the prefix for one."""
        return [*self._outside, *words]

    @property
    def refused(self) -> int:
        """How many packets it has dropped or answered with a reset so far."""
        text = _run_here([*self._router, self._nft, "list", "counter", "ip", "firewall", "refused"])
        found = re.search(r"packets (\d+)", text)
        assert found, text
        return int(found[1])

    def start(self) -> Self:
        """Builds it; what was built is gone again when that fails."""
        try:
            if not self.in_process:
                self._make_network()
            holder = self._hold([*self._outside, "unshare", "--net"], "echo ready; exec cat")
            self._router = _enter(holder.pid)
            self._connect(holder.pid)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Takes it away at once, with the connections through it; no matter if it is gone."""
        if self._number is not None and self.in_process:
            # The kernel does it when the namespace ends, but later.
            for name in self._interfaces:
                subprocess.run([self._ip, "link", "del", name], check=False, stderr=subprocess.DEVNULL)
        self._number = None
        for holder in reversed(self._holders):
            assert holder.stdin is not None
            assert holder.stdout is not None
            holder.stdin.close()
            workspace().stop(holder)
            holder.stdout.close()
        self._holders.clear()

    def __enter__(self) -> Self:
        return self if self._holders else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Inside

    @property
    def _network(self) -> str:
        assert self._number is not None, "the firewall is not started"
        return f"198.18.{self._number}"

    @property
    def _interfaces(self) -> tuple[str, str]:
        return f"fw{self._number}c", f"fw{self._number}s"

    def _make_network(self) -> None:
        """A network of its own for client and server."""
        flags = ["--net"] if is_root() else ["--user", "--map-root-user", "--net"]
        holder = self._hold(["unshare", *flags], f"{self._ip} link set lo up && echo ready && exec cat")
        self._outside = _enter(holder.pid)
        self._hold([sys.executable, "-I", str(relay.__file__), str(self.port), *self._outside])

    def _hold(self, words: Sequence[str], script: str | None = None) -> subprocess.Popen[bytes]:
        """Starts a process that holds a namespace, or serves one, until its input ends; returns when it is ready."""
        process = subprocess.Popen(
            [*words, *([] if script is None else ["sh", "-c", script])],
            env=workspace().environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        workspace().watch(process.pid, Path(words[0]).name)
        self._holders.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", f"{words} did not start"
        return process

    def _connect(self, router: int) -> None:
        """Two wires between the router and the network of client and server."""
        for number in _numbers():
            self._number = number
            if self._add(self._interfaces[0], "client", router):
                break
        else:
            self._number = None
            raise AssertionError("no network for a firewall is free")
        client, server = self._interfaces
        assert self._add(server, "server", router), f"{server} exists"
        rules = workspace().directory("firewall", mode=0o755) / "rules"
        workspace().write(rules, RULES.format(port=self.port, refusal=REFUSALS[self.style]), mode=0o644)
        names = {
            "ip": self._ip,
            "nft": self._nft,
            "rules": rules,
            "network": self._network,
            "idle_timeout": self.idle_timeout,
            "client": client,
            "server": server,
        }
        _run_here([*self._router, "sh", "-c", ROUTER.format(**names)])
        _run_here([*self._outside, "sh", "-c", ENDS.format(**names)])

    def _add(self, name: str, peer: str, router: int) -> bool:
        """Makes a wire; false when another firewall has one of that name."""
        words = [self._ip, "link", "add", name, "type", "veth", "peer", "name", peer, "netns", str(router)]
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "File exists" in done.stderr, done.stderr
        return done.returncode == 0


def _numbers() -> list[int]:
    """The networks to try, those of processes that run at the same time in another order."""
    first = os.getpid() % NETWORKS
    return [(first + step) % NETWORKS for step in range(NETWORKS)]


def _enter(pid: int) -> list[str]:
    """The prefix that runs a command in the namespace of `pid`."""
    return ["nsenter", *([] if is_root() else ["--preserve-credentials", "--user"]), "--net", "--target", str(pid)]


def _run_here(words: Sequence[str]) -> str:
    """Runs a command to its end with our own rights; its output, or AssertionError with it."""
    done = subprocess.run(
        words,
        env=workspace().environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words} exited {done.returncode}: {done.stdout}"
    return done.stdout
