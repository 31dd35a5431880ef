"""The embedded PostgreSQL behind the target `demo`.

Who does what: `embedded.py` runs in the command's own process and gives a Target; `supervisor.py` runs beside it and owns
everything that must not be left behind (directory, server, shared memory), so that not even `kill -9` of the command
leaves any of it. `workplace.py` (where, and as whom) and `cluster.py` (what is run) are the supervisor's.
"""
