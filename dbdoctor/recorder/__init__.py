"""Inside the application's own process: who checked out what, where in the code, for how long.

Standard library only, Python 3.9 or later, and nothing else of dbdoctor: it also runs in environments that have none.
"""
