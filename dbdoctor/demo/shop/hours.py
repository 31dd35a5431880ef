"""The shop's opening hours, as standard input says: a line `close`, a line `open`. While it is closed, time stands still."""

import os
import sys
import time
from threading import Event

SLOWNESS = float(os.environ.get("SHOP_SLOWNESS", "1"))
_open = Event()
_open.set()


def pass_by(seconds):
    """Wait for so many seconds of opening hours."""
    while seconds > 0:
        _open.wait()
        time.sleep(min(0.1, seconds))
        seconds -= 0.1


def until_the_next_customer(seconds):
    pass_by(seconds * SLOWNESS)


def keep():
    """Open and close, until the end of standard input."""
    for line in sys.stdin:
        if line == "close\n":
            _open.clear()
        else:
            _open.set()
