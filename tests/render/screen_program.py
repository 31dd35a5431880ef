"""Draws a screen on its terminal as `leaks --watch` does, driven by the words on its command line."""

from __future__ import annotations

import os
import signal
import sys
import time

from dbdoctor.render.leaks_screen import Screen
from dbdoctor.render.style import Style
from tests.render.reports import EVENTS, many, report


def main(word: str) -> None:
    """One way of using, or leaving, the screen."""
    made = report()
    with Screen(Style.of(sys.stdout), target=made.target) as screen:
        screen.update(made, EVENTS)
        if word == "raise":
            raise ValueError("a fault while the screen is up")
        if word == "terminate":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
            os.kill(os.getpid(), signal.SIGTERM)
        if word == "lost":
            screen.update(made, EVENTS[1:2])
            screen.update(made, EVENTS[2:])
        if word == "cost":
            print_cost(screen)
        while word == "wait":
            time.sleep(0.02)
    print(f"after the screen: {word} {cost:.1f}")


cost = 0.0


def print_cost(screen: Screen) -> None:
    """Milliseconds of an update with 200 groups, the least of 20: others use this machine too."""
    global cost  # noqa: PLW0603 - it is printed when the screen is gone
    made = many(200)
    took = []
    for _ in range(20):
        started = time.process_time()
        screen.update(made)
        took.append(time.process_time() - started)
    cost = min(took) * 1000


if __name__ == "__main__":
    main(sys.argv[1])
