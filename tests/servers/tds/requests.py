"""What a client asks for after its login: batches, remote calls and the transaction manager's requests, as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.servers.tds.parameters import Parameter, Reader, read_parameter

PROCEDURES = {
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}
BEGIN, COMMIT, ROLL_BACK, SAVE = 5, 7, 8, 9
BATCH_SEPARATORS = {0x80, 0xFE, 0xFF}


@dataclass(frozen=True)
class Call:
    """One remote call; `name` without schema and brackets, in lower case."""

    name: str
    parameters: tuple[Parameter, ...]
    is_last: bool


@dataclass(frozen=True)
class TransactionRequest:
    """BEGIN, COMMIT, ROLL_BACK or SAVE; `begins_next` asks for a new transaction at once."""

    kind: int
    begins_next: bool


def parse_batch(body: bytes) -> str:
    """The text of an SQLBatch."""
    reader = Reader(body)
    reader.skip_headers()
    return reader.rest().decode("utf-16-le", "replace")


def parse_calls(body: bytes) -> Iterator[Call]:
    """The calls of an RPC message."""
    reader = Reader(body)
    reader.skip_headers()
    while reader.peek() is not None:
        length = reader.number("H")
        name = PROCEDURES.get(reader.number("H"), "") if length == 0xFFFF else reader.text(length)
        reader.take(2)
        parameters = []
        while (ahead := reader.peek()) is not None and ahead not in BATCH_SEPARATORS:
            parameters.append(read_parameter(reader))
        if ahead is not None:
            reader.take(1)
        plain = name.lower().rpartition(".")[2].strip("[]")
        yield Call(plain, tuple(parameters), reader.peek() is None)


def parse_transaction(body: bytes) -> TransactionRequest:
    """A transaction manager's request."""
    reader = Reader(body)
    reader.skip_headers()
    kind = reader.number("H")
    if kind not in {COMMIT, ROLL_BACK}:
        return TransactionRequest(kind, False)
    reader.take(reader.number("B"))
    return TransactionRequest(kind, reader.peek() is not None and bool(reader.number("B") & 1))
