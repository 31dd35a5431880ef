"""The command line of somebody's process, fit to be shown: no secret in it, and short.

Nobody can tell every password from a word, so whatever might be one is masked, and rather a host too many with it: what
names a process is its program and script, which stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from dbdoctor.model.secret import MASK, redact

# A word in the name of an option, a variable, a key of a connection string or of JSON, whose value is secret.
_WORD = (
    r"(?:pass|pwd|psw|secret|token|credential|api[-_]?key|access[-_]?key|account[-_]?key|private[-_]?key|signature|bearer"
    r"|auth|cookie)"
)
# A colon also stands between a module and its application: `auth_service.main:app` is no secret.
_KEY = re.compile(rf"[\w.-]*{_WORD}[\w.\s-]*[\"']?\s*=|{_WORD}(?:word|phrase|wd|orization|s|)[\"']?\s*:", re.IGNORECASE)
_OPTION = re.compile(
    rf"--?[\w.-]*{_WORD}[\w.-]*:?|(?:password|passwd|passphrase|pwd|secret|token|bearer|authorization):?", re.IGNORECASE
)
# `scheme://user:password@`, where the password may hold `@` and `/` unencoded; and `user:password@` or `user/password@`.
_USERINFO = re.compile(r"(://[^:/@\s]*:).*(?=@)", re.DOTALL)
_BARE_USERINFO = re.compile(r"([^\s:/@=]+[:/]).+(?=@)", re.DOTALL)
_NO_TEXT = re.compile(r"[^\s\"'{}]*")
# Long, with no separator that a path, a host or a module has, letters and digits mixed: a key of some service.
_KEY_MATERIAL = re.compile(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{20,}={0,2}|eyJ[\w-]{8,}\.[\w.-]+")
# Options of one letter whose value may be a password: mysql -p, sqlcmd -P, redis-cli -a; curl -u takes user:password.
_SHORT = ("-p", "-P", "-a")
_USER = ("-u", "-U", "--user", "--proxy-user", "--username")
# Programs that take a program text as an argument, in which a password can stand in any form: interpreters, until their
# script is named, and clients of databases, anywhere.
_INTERPRETER = re.compile(
    r"(?:python|pypy|perl|ruby|node|bun|deno|php|lua|sh|bash|dash|ash|zsh|ksh|fish|busybox)[\d.]*(?:\.exe)?"
)
_CLIENT = re.compile(r"(?:psql|sqlcmd|mysql|mariadb|isql|bcp)(?:\.exe)?")
_TEXT_OPTION = re.compile(r"-[A-Za-z]{0,3}[ceErQq]|--(?:eval|exec|execute|command|print|query)")
_TEXT_ATTACHED = re.compile(r"(?s)(-[ceErQq]|--(?:eval|exec|execute|command|print|query)=).+")
_MOST = 200


def shown_command(arguments: Sequence[str], most: int = _MOST) -> str | None:
    """The command line in at most `most` characters, secrets masked; None for a process that has none.

    The program is shown without its directory. A program text (`python -c ...`) is left out.
    """
    words = list(arguments)
    while words and not words[-1].strip():  # a process that writes its own title leaves the rest blank
        words.pop()
    if not words:
        return None
    if len(words) == 1:
        words = words[0].split()
    text = " ".join(" ".join(_Reader().read([_base(words[0]), *words[1:]])).split())
    text = redact(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _base(path: str) -> str:
    return re.split(r"[/\\]", path)[-1] or path


class _Reader:
    """Goes through the words; what a word means can depend on those before it."""

    def __init__(self) -> None:
        self._next = ""
        self._takes_text = ""

    def read(self, words: Sequence[str]) -> Iterator[str]:
        """Each word as it may be shown."""
        for word in words:
            if self._next:
                yield self._value(word)
            else:
                yield self._plain(word)

    def _value(self, word: str) -> str:
        """A word that belongs to the option before it."""
        if word in {"=", ":"}:
            return word
        kind, self._next = self._next, ""
        if kind == "text":
            return "…"
        if kind == "user":
            return f"{word.partition(':')[0]}:{MASK}" if ":" in word else self._plain(word)
        return MASK

    def _plain(self, word: str) -> str:
        if self._takes_text and _TEXT_OPTION.fullmatch(word):
            self._next = "text"
            return word
        if self._takes_text and (attached := _TEXT_ATTACHED.fullmatch(word)):
            return attached[1] + "…"
        self._notice_program(word)
        if word in _USER:
            self._next = "user"
        elif word in _SHORT or _OPTION.fullmatch(word):
            self._next = "secret"
        else:
            return _without_secret(word)
        return word

    def _notice_program(self, word: str) -> None:
        name = _base(word)
        if _CLIENT.fullmatch(name):
            self._takes_text = "client"
        elif _INTERPRETER.fullmatch(name):
            self._takes_text = "interpreter"
        elif self._takes_text == "interpreter" and (not word.startswith("-") or word == "-m"):
            self._takes_text = ""


def _without_secret(word: str) -> str:
    """One word: everything after the name of a secret is masked, and every password of a URL."""
    word = _decoded(word)
    if word[:2] in _SHORT and not word.startswith("--"):
        return word[:2] + MASK
    word = _USERINFO.sub(rf"\1{MASK}", word)
    if "://" not in word and _NO_TEXT.fullmatch(word) and (":" in word or not word.startswith(("/", "./", "../"))):
        word = _BARE_USERINFO.sub(rf"\1{MASK}", word)
    if key := _KEY.search(word):
        return word[: key.end()] + MASK
    return _KEY_MATERIAL.sub(MASK, word)


def _decoded(word: str) -> str:
    """Percent-encoding undone where the name of a secret hides in it (`odbc_connect=...PWD%3D...`)."""
    plain = word
    for _ in range(3):
        if "%" not in plain:
            break
        plain = unquote(plain)
        if _KEY.search(plain):
            return plain
    return word
