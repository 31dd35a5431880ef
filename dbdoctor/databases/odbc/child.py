"""The process that talks to the ODBC driver: JSON lines in, JSON lines out. It is run, not imported.

A driver may hang for ever, and a server's answer may crash it, so neither happens in dbdoctor's own process. It starts
with no `site` and imports next to nothing (21 ms); argv[1] is the directory of pyodbc. It ends when its
stdin does, even while the driver is busy: pyodbc gives the interpreter free during its calls.
"""

from __future__ import annotations

import _thread
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Answer one order after the other."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a driver prints must not come between our lines
    lines: list[bytes] = []
    ready = _thread.allocate_lock()
    ready.acquire()
    try:
        sys.path.insert(0, sys.argv[1])
        import pyodbc
    except ImportError as error:
        tell(out, {"missing": str(error)})
        return
    pyodbc.pooling = False
    tell(out, {"ready": pyodbc.version})
    _thread.start_new_thread(read_orders, (lines, ready))
    connection: Any = None
    while True:
        ready.acquire()
        order = json.loads(lines.pop(0))
        try:
            if "open" in order:
                connection = None  # a session that is open ends first: there is never more than one
                connection, answer = log_in(pyodbc, order)
            elif "load" in order:
                answer = load(order["load"])
            else:
                answer = ask(connection, order)
        except pyodbc.Error as error:
            answer = {"error": [str(part) for part in error.args[:2]]}
        except Exception as error:  # noqa: BLE001 (pyodbc raises others for what it cannot decode)
            answer = {"error": ["HY000", f"{type(error).__name__}: {error}"]}
        tell(out, answer)


def read_orders(lines: list[bytes], ready: Any) -> None:
    """Pass on each line of stdin; end the process when there is no more."""
    left = b""
    waiting = 0
    while True:
        part = os.read(0, 65536)
        if not part:
            os._exit(0)
        left += part
        *whole, left = left.split(b"\n")
        lines.extend(whole)
        waiting += len(whole)
        # One order is under way at a time: the next is sent when the last was answered.
        while waiting:
            waiting -= 1
            ready.release()


def log_in(pyodbc: Any, order: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Connect; what is told of the session."""
    before = sockets()
    connection = pyodbc.connect(order["open"], timeout=order["timeout"], autocommit=True)
    told = {}
    for name, number in (("version", pyodbc.SQL_DRIVER_VER), ("file", pyodbc.SQL_DRIVER_NAME)):
        try:
            told[name] = connection.getinfo(number)
        except pyodbc.Error:
            told[name] = ""
    new = [address for number, address in sockets().items() if number not in before]
    return connection, {"opened": {**told, "local": new[0] if len(new) == 1 else None}}


def load(path: str) -> dict[str, Any]:
    """Whether the driver in this file can be loaded, in the dynamic loader's words; and which driver manager is in use."""
    import ctypes

    problem = ""
    if path:
        try:
            ctypes.CDLL(path)
        except OSError as error:
            problem = str(error) or "cannot be loaded"
    try:
        with open("/proc/self/maps") as opened:  # noqa: PTH123 (pathlib costs more than all of this)
            files = [line.split(None, 5)[5].strip() for line in opened if "libodbc." in line]
    except OSError:
        files = []
    return {"loaded": not problem, "problem": problem, "manager": files[0] if files else ""}


def ask(connection: Any, order: dict[str, Any]) -> dict[str, Any]:
    """Run one text; the rows of its last result set. What cannot be decoded is asked for again, as the driver's UTF-8."""
    if connection is None:
        raise ValueError("not logged in")
    connection.timeout = order["timeout"]
    try:
        return {"rows": rows_of(connection, order["query"])}
    except UnicodeDecodeError:
        decode_anything(connection)
        return {"rows": rows_of(connection, order["query"])}


def decode_anything(connection: Any) -> None:
    """From now on, texts are fetched as UTF-8 and decoded by a codec that never fails."""
    import codecs

    real = codecs.getdecoder("utf-8")

    def decode(data: Any, _errors: str = "") -> tuple[str, int]:
        return real(bytes(data), "replace")

    def find(name: str) -> codecs.CodecInfo | None:
        return codecs.CodecInfo(codecs.getencoder("utf-8"), decode, name=name) if name == "dbdoctor" else None

    codecs.register(find)
    for kind in (1, -8):  # SQL_CHAR, SQL_WCHAR
        connection.setdecoding(kind, encoding="dbdoctor")


def rows_of(connection: Any, text: str) -> list[list[Any]]:
    """Run a text; the rows of its last result set."""
    cursor = connection.cursor()
    cursor.execute(text)
    rows: list[list[Any]] = []
    while True:
        if cursor.description:
            rows = [[plain(value) for value in row] for row in cursor.fetchall()]
        if not cursor.nextset():
            return rows


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers, text, None, bool; times as ISO text, bytes as `0x...`."""
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return f"0x{value.hex()}"
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "as_integer_ratio"):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def sockets() -> dict[int, Any]:
    """The local address of each socket of this process that is connected over IP, by its file descriptor."""
    import _socket

    found = {}
    for place in ("/proc/self/fd", "/dev/fd"):
        try:
            numbers = [int(name) for name in os.listdir(place)]  # noqa: PTH208 (pathlib costs more than all of this)
            break
        except OSError:
            numbers = []
    for number in numbers:
        try:
            opened = _socket.socket(fileno=number)
        except OSError:
            continue
        try:
            if opened.family in (_socket.AF_INET, _socket.AF_INET6) and opened.getpeername():
                found[number] = opened.getsockname()[:2]
        except OSError:
            pass
        finally:
            opened.detach()
    return found


def tell(out: int, answer: object) -> None:
    """Write one line."""
    data = json.dumps(answer).encode() + b"\n"
    while data:
        data = data[os.write(out, data) :]


if __name__ == "__main__":
    main()
