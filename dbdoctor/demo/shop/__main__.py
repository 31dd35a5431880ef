"""Runs the shop: `python -m shop` all of its services, each in a process, until the end of standard input.

What standard input says until then goes to each of them: see `hours`.
"""

import importlib
import os
import subprocess
import sys
from contextlib import suppress

from shop import hours

SERVICES = ("catalogue", "orders", "invoices", "payments", "mail")


def serve(service):
    importlib.import_module(f"shop.{service}").main()


def run_all():
    processes = [
        subprocess.Popen([sys.executable, "-m", "shop", service], stdin=subprocess.PIPE) for service in SERVICES
    ]
    for line in sys.stdin.buffer:
        for process in processes:
            with suppress(OSError):
                process.stdin.write(line)
                process.stdin.flush()
    for process in processes:
        with suppress(OSError):
            process.stdin.close()
    for process in processes:
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:  # it hangs in the database
            process.kill()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(sys.argv[1])
        hours.keep()
        os._exit(0)
    run_all()
