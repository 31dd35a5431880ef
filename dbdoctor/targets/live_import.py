"""Importing the user's module as if this process had never seen it, and leaving no trace of it behind."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dbdoctor.errors import ApplicationError, DbdoctorError
from dbdoctor.targets.live_errors import Reference, failed, missing_attribute, missing_module


@contextlib.contextmanager
def importing(named: Reference) -> Iterator[ModuleType]:
    """The user's module, freshly imported; while it is open, stdout goes to stderr. Raises ApplicationError."""
    with _stdout_to_stderr(), _own_path(named), _fresh_modules(named):
        yield _import(named)


def find_attribute(module: ModuleType, named: Reference) -> Any:
    """What the dotted attribute names. ApplicationError with the nearest name when it is not there."""
    found: Any = module
    for name in named.attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise missing_attribute(named, found, name) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  the user's code may raise anything
            raise failed(named, error, doing=f"could not read `{named}`") from None
    return found


def call_factory(found: Any, named: Reference) -> Any:
    """What a zero-argument factory returns; anything that is none as it is. ApplicationError when it fails or is unfit."""
    import inspect

    if not callable(found) or isinstance(found, type):
        return found
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found) or inspect.isasyncgenfunction(found):
        raise ApplicationError(
            f"`{named}` is a coroutine or a generator, not a plain function", help="name the engine, or a function"
        )
    try:
        inspect.signature(found).bind()
    except TypeError:
        raise ApplicationError(
            f"`{named}` cannot be called without arguments", help="name the engine, or a function without arguments"
        ) from None
    except ValueError:
        pass  # a builtin without a signature: the call will tell
    try:
        return found()
    except DbdoctorError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  the user's code may raise anything
        raise failed(named, error, doing=f"`{named}()` failed") from None


def _import(named: Reference) -> ModuleType:
    import importlib

    importlib.invalidate_caches()
    try:
        return importlib.import_module(named.module)
    except ModuleNotFoundError as error:
        if error.name is not None and (named.module == error.name or named.module.startswith(f"{error.name}.")):
            raise missing_module(named) from None
        raise failed(named, error, doing=f"could not import `{named.module}`") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001  the user's code may raise anything
        raise failed(named, error, doing=f"could not import `{named.module}`") from None


def _roots(named: Reference) -> list[Path]:
    """Where the module may lie: the directory, or its `src` when the module is there and not here."""
    top = named.module.partition(".")[0]
    source = named.directory / "src"
    return [source, named.directory] if _holds(source, top) and not _holds(named.directory, top) else [named.directory]


def _holds(directory: Path, top: str) -> bool:
    return (directory / f"{top}.py").is_file() or (directory / top).is_dir()


@contextlib.contextmanager
def _own_path(named: Reference) -> Iterator[None]:
    """The directory first on `sys.path`; no byte code written into it; none of our own arguments for it to read."""
    path, arguments, writes = list(sys.path), sys.argv, sys.dont_write_bytecode
    sys.path[:0] = [str(root) for root in _roots(named)]
    sys.argv, sys.dont_write_bytecode = [named.module], True
    try:
        yield
    finally:
        sys.path[:] = path
        sys.argv, sys.dont_write_bytecode = arguments, writes


@contextlib.contextmanager
def _fresh_modules(named: Reference) -> Iterator[None]:
    """No module of the same name as the user's from elsewhere before, and none of the user's after."""
    top = named.module.partition(".")[0]
    hidden = {}
    if any(_holds(root, top) for root in _roots(named)):
        hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == top}
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            module = sys.modules[name]
            if name.partition(".")[0] == top or named.owns(getattr(module, "__file__", None)):
                del sys.modules[name]
        sys.modules.update(hidden)


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """stdout is data: what the user's module prints, also from C or a child process, is turned to stderr."""
    with contextlib.ExitStack() as stack:
        try:
            sys.stdout.flush()
            saved = os.dup(1)
            os.dup2(2, 1)
        except (OSError, ValueError, AttributeError):
            saved = None  # one of them is closed: nothing can be printed there
        if saved is not None:
            stack.callback(_restore, saved)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _restore(saved: int) -> None:
    os.dup2(saved, 1)
    os.close(saved)
