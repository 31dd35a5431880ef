"""One run of `serve`: from the port that is opened to the last session that is closed."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

from dbdoctor.cli import options
from dbdoctor.cli.serve_options import Listen
from dbdoctor.errors import ExitCode, UsageError
from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.secret import redact
from dbdoctor.render.clean import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbdoctor.serve.fleet import Fleet
    from dbdoctor.serve.web import Web
    from dbdoctor.targets.select import Selection

# A session in the middle of a look is waited for so long (seconds); then the system closes what is left.
_TO_LOG_OUT = 3.0
# A thread that is to answer a scrape waits for each of those that judge just then, so long at most (seconds; Python's
# own is five times that).
_SWITCH = 0.001


def run_fleet(
    selection: Selection, place: Listen, *, interval: float, login_every: float, login_timeout: float | None
) -> int:
    """Serve until Ctrl-C or SIGTERM; gives the exit code. Durations in seconds."""
    _need_client()
    from dbdoctor.cli.signals import end_on_signal
    from dbdoctor.cli.start import choose_login_timeout, start_targets
    from dbdoctor.serve.fleet import Fleet
    from dbdoctor.serve.target_watch import Pacing

    ended = threading.Event()
    sys.setswitchinterval(_SWITCH)
    with contextlib.ExitStack() as stack:
        targets = start_targets(selection, stack)
        for note in dict.fromkeys([*selection.notes, *(note for target in targets for note in target.notes)]):
            _say(f"note: {note}")
        pacing = Pacing(interval, login_every, choose_login_timeout(login_timeout, selection))
        fleet = Fleet(targets, pacing, judge=_judge, say=_say, on_fault=options.show_traceback)
        web = stack.enter_context(_listening(fleet, place))
        stack.callback(fleet.stop, _TO_LOG_OUT)
        stack.enter_context(end_on_signal(ended.set))
        fleet.start()
        web.start()
        count = f"{len(targets)} target{'' if len(targets) == 1 else 's'}"
        shown = place._replace(port=web.port).shown
        _say(f"serving http://{shown}/metrics: {count}, looked at every {format_duration(interval)}, until Ctrl-C")
        ended.wait()
    return ExitCode.OK


@contextlib.contextmanager
def _listening(fleet: Fleet, place: Listen) -> Iterator[Web]:
    from dbdoctor.serve.web import Web

    try:
        web = Web(fleet, place.host, place.port)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {place.shown}",
            cause=error.strerror,
            help="name another address with `--listen HOST:PORT`; port 0 is any free one",
        ) from None
    try:
        yield web
    finally:
        web.stop()


def _judge(examination: Examination) -> Examination:
    from dbdoctor.cli.judge import judge, with_own_fault

    try:
        return judge(examination)
    except Exception as error:  # noqa: BLE001 - a rule's fault must not take the target's figures away
        options.show_traceback(error)
        return with_own_fault(examination, error)


def _need_client() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise UsageError(
            "`dbdoctor serve` needs the package prometheus-client, which is not installed",
            help="`pip install 'dbdoctor[serve]'`",
        ) from None


def _say(text: str) -> None:
    """A line on stderr, in one piece whichever thread says it."""
    sys.stderr.write(clean(redact(text), 500) + "\n")
    sys.stderr.flush()
