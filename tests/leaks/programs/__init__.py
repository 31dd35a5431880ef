"""Programs that use a database, each a process of its own: `python -m tests.leaks.programs NAME`.

Written from what applications do, not from what `leaks` looks for. The DSN of the server comes by `PROGRAM_DSN`; a
program names itself to the server unless `PROGRAM_NAMELESS` is set; it writes `ready` when it is in its behaviour, and
ends on SIGTERM or at the end of its stdin. With `PROGRAM_AWAITS_GO`, those whose behaviour has a course (a load that
rises, a deploy) begin it at the line `go`; otherwise at once. `place.py` makes the database they need.
"""
