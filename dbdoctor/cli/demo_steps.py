"""The steps of the tour: which command, and one sentence on what to notice."""

from __future__ import annotations

from typing import NamedTuple


class Pace(NamedTuple):
    """How long the tour watches, and what its firewall does, in seconds."""

    warm_up: float
    watch: str
    firewall: float
    up_to: str
    simulate: bool


FULL = Pace(3.0, "6s", 2.0, "4s", simulate=True)
FAST = Pace(2.0, "5s", 1.0, "2s", simulate=False)


class Step(NamedTuple):
    """A command's arguments as they are typed after `dbdoctor`, its title, and what to notice in what it says."""

    title: str
    command: str
    notice: str


def diagnosis(pace: Pace) -> tuple[Step, ...]:
    """What is wrong, and where in the code."""
    return (
        Step(
            "Can one connect, and how much room is left?",
            "check",
            "the way in is fine and each stage of it is timed; `sessions` says how near the server is to refusing the next.",
        ),
        Step(
            "Who holds sessions that nobody uses?",
            f"leaks --for {pace.watch} --idle-in-transaction 3s --trace recordings",
            "three groups leak, each in its own way, and `taken at` names the guilty lines: orders.py forgets a session on "
            "its error path, invoices.py makes an engine for each invoice, payments.py waits for the bank inside of a "
            "transaction and blocks the next payment. The catalogue, which is busier than all of them, is left in peace.",
        ),
        Step(
            "Which line of code holds connections, for how long?",
            "trace recordings",
            "the shop runs under `dbdoctor run -- python -m shop`, without a change to its code: every checkout is counted "
            "by the line that asked for it. The one of mail.py hangs: the next steps say why.",
        ),
    )


def path(pace: Pace) -> tuple[Step, ...]:
    """What the firewall before the mail service does."""
    measure = Step(
        "What does the path to the server do to an idle connection?",
        f"measure-timeout through-firewall --up-to {pace.up_to}",
        "a firewall forgets connections after so many seconds and tells nobody; that is why the newsletter hangs.",
    )
    if not pace.simulate:
        return (measure,)
    return (
        measure,
        Step(
            "Which pool survives that?",
            "simulate-timeout through-firewall --drop silent-drop --pool default,pre-ping,recycle-below --idle 1s "
            f"--idle-timeout {pace.firewall:g}s --cap 3s --yes",
            "pool_pre_ping, which everybody recommends, hangs like the rest: its test is lost as well. Recycling below the "
            "timeout survives.",
        ),
    )


def recommendation(pace: Pace) -> tuple[Step, ...]:
    """Which settings to paste."""
    return (
        Step(
            "Which pool settings suit this shop?",
            f"recommend through-firewall --trace recordings-mended --idle-timeout {pace.firewall:g}s",
            "every setting has its reason and its figures, from the shop's own checkouts as they were recorded.",
        ),
    )


def proof(pace: Pace) -> tuple[Step, ...]:
    """That it helped."""
    helped = Step(
        "Did it help?",
        f"leaks --for {pace.watch} --idle-in-transaction 3s --trace recordings-after",
        "no leak, no blocked payment, and the server is far from full.",
    )
    if not pace.simulate:
        return (helped,)
    return (
        helped,
        Step(
            "And the newsletter?",
            "trace recordings-after",
            "everything that was taken came back.",
        ),
    )
