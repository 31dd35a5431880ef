# ruff: noqa: UP004, UP031, UP036 - read by every Python that runs under `dbdoctor run`, Python 2 included
# mypy: allow-untyped-defs, allow-untyped-calls
"""Starts the recorder in a process that imports SQLAlchemy; found by every Python under `dbdoctor run`, through PYTHONPATH.

Until SQLAlchemy is imported it costs next to nothing: no import but of what every interpreter has imported already.
The program sees as little of it as can be: it takes its directory off sys.path again, and runs the sitecustomize that
it hides in its own place. Nothing it does raises into the program.
"""

import os
import sys

VARIABLE = "DBDOCTOR_RECORDER"
PACKAGE = "sqlalchemy"
OLDEST = (3, 9)


def leave_path():
    """Our directory out of this process's sys.path; in PYTHONPATH it stays, for the processes that this one starts."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != own]
    sys.path_importer_cache.pop(own, None)


def directory_of(text):
    """Where the recordings go. The value begins with {"out":"DIRECTORY"; json itself would cost each process milliseconds."""
    if "\\" not in text:
        return text.split('"', 4)[3]
    import json  # a directory whose name needs escapes

    return json.loads(text)["out"]


def note(text, name, line=None):
    """A mark for `dbdoctor run`, which tells at the end why nothing was recorded; without a line only the first makes it."""
    try:
        place = os.path.join(directory_of(text), "." + name)
        if line is None and os.path.exists(place):
            return
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, ((line or "") + "\n").encode("utf-8", "replace"))
        finally:
            os.close(descriptor)
    except Exception:
        pass


def fail(text, reason):
    """Say once a process that it is not recorded."""
    note(text, "failed", reason)
    try:
        sys.stderr.write("dbdoctor: process %d is not recorded: %s\n" % (os.getpid(), reason))
        sys.stderr.flush()
    except Exception:
        pass


class OwnPackage(object):
    """The last to be asked, in an environment without dbdoctor: finds that one package, where `dbdoctor run` has it.

    The first where a directory of that name, as of recordings, would pass for a package.
    """

    def __init__(self, directory):
        self.directory = directory

    def find_spec(self, name, path=None, target=None):
        """As import asks."""
        del path, target
        if name != "dbdoctor":
            return None
        from importlib.util import spec_from_file_location

        place = os.path.join(self.directory, name)
        return spec_from_file_location(name, os.path.join(place, "__init__.py"), submodule_search_locations=[place])


def start(text):
    """Start the recorder, with the settings of `dbdoctor run`."""
    if sys.version_info < OLDEST:
        fail(text, "Python %d.%d is older than 3.9, from which on the recorder works" % sys.version_info[:2])
        return
    try:
        import json
        from importlib.util import find_spec

        given = json.loads(text)
        found = find_spec("dbdoctor")
        is_mere_directory = found is not None and found.origin is None
        sys.meta_path.insert(0 if is_mere_directory else len(sys.meta_path), OwnPackage(given["package"]))
        from dbdoctor.recorder.recorder import Settings
        from dbdoctor.recorder.start import start as start_recorder

        start_recorder(Settings(given["out"], given["leak_after"], given["sample"], given["most_bytes"]))
        note(text, "started", str(os.getpid()))
    except Exception as error:
        fail(text, "%s: %s" % (type(error).__name__, error))


class Waiting(object):
    """The first to be asked, until SQLAlchemy was imported: has `start` called when that package was executed."""

    def __init__(self, text):
        self.text = text
        self.asking = set()

    def find_spec(self, name, path=None, target=None):
        """As import asks; answers for SQLAlchemy alone, with what the others answer."""
        if name != PACKAGE:
            return None
        from _thread import get_ident

        # Another of our kind asks everybody, too, and so would ask us again.
        thread = get_ident()
        if thread in self.asking:
            return None
        self.asking.add(thread)
        try:
            spec = self.ask_others(name, path, target)
        finally:
            self.asking.discard(thread)
        if spec is not None and spec.loader is not None:
            self.wrap(spec.loader)
        return spec

    def ask_others(self, name, path, target):
        """What would have been found without us."""
        for finder in list(sys.meta_path):
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def wrap(self, loader):
        """Have the loader tell us when it is done; it stays the object that it is, for whoever looks at it."""
        method = "exec_module" if hasattr(loader, "exec_module") else "load_module"
        try:
            if method in vars(loader):
                return
            execute = getattr(loader, method)

            def execute_and_start(what):
                name = what if method == "load_module" else what.__name__
                if name == PACKAGE:
                    vars(loader).pop(method, None)
                result = execute(what)
                if name == PACKAGE:
                    self.done()
                return result

            setattr(loader, method, execute_and_start)
        except Exception as error:
            fail(self.text, "SQLAlchemy is loaded by %s (%s)" % (type(loader).__name__, type(error).__name__))
            self.leave()

    def done(self):
        """SQLAlchemy is there."""
        if self.leave():
            start(self.text)

    def leave(self):
        """Not to be asked again; gives whether we were still there."""
        try:
            sys.meta_path.remove(self)
        except ValueError:
            return False
        return True


def begin():
    """All that happens at the start of an interpreter."""
    text = os.environ.get(VARIABLE)
    if not text:
        return
    note(text, "python")
    if PACKAGE in sys.modules:  # by a .pth file
        start(text)
    elif sys.version_info < (3, 4):
        note(text, "failed", "Python %d.%d is older than 3.9, from which on the recorder works" % sys.version_info[:2])
    else:
        sys.meta_path.insert(0, Waiting(text))


leave_path()
try:
    begin()
except Exception as error:
    fail(os.environ.get(VARIABLE, ""), "%s: %s" % (type(error).__name__, error))
# The one that this one hides takes its place; when there is none, the ImportError says so, as without us.
sys.modules.pop(__name__, None)
__import__("sitecustomize")
