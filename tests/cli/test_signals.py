import os
import signal
import threading

import pytest

from dbdoctor.cli.signals import TerminatedError, stop_on_terminate


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as caught, stop_on_terminate():
        os.kill(os.getpid(), number)
        pytest.fail("not reached")
    assert isinstance(caught.value, TerminatedError)
    assert caught.value.number == number
    assert signal.getsignal(number) is before


def test_later_signals_do_not_interrupt_cleaning_up():
    cleaned = False
    with pytest.raises(TerminatedError), stop_on_terminate():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned = True
    assert cleaned


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_terminate():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_it_does_nothing():
    entered = threading.Event()

    def work() -> None:
        with stop_on_terminate():
            entered.set()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert entered.is_set()
