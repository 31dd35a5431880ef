"""What a config file that is not trusted may not do: run something, or send the user's secrets to a server of its choice.

It may name any server, and write down a password of its own. It may not, until `--trust`:
  - run a `password_command`, import an `engine`, or name a library or file that a driver would load or write;
  - for a server that is not on this machine: fill in a `${VARIABLE}`, draw on a password of another file, of `PGPASSWORD`,
    of a `passfile` or `service` that it names, or of `.pgpass` by a `hostaddr` (which may lead anywhere, whatever the name).
`.pgpass` still answers for a host by its name: there the user wrote down which server may have the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from dbdoctor.errors import ConfigError
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.targets.config_check import PASSWORD_KEYS, WHERE_FORMS
from dbdoctor.targets.config_env import has_variable, variables
from dbdoctor.targets.config_files import ConfigFile, shown
from dbdoctor.targets.config_values import Config, Keys, Value

_SOURCE_IN_DSN = re.compile(r"(?:^|[?&\s])(?:passfile|service|servicefile)\s*=", re.IGNORECASE)
_SERVICE_ALONE = re.compile(r"\s*service\s*=\s*[\w.-]+\s*", re.ASCII)

# A driver setting that loads, writes or delegates: OpenSSL engines (`sslkey=engine:...`) and ODBC drivers are libraries.
_LOADS = {
    "sslkeylogfile": "write the session's keys to a file",
    "gssdelegation": "hand on your Kerberos credentials",
    "filedsn": "load a driver of its choice",
    "keystoreauthentication": "open a key store",
    "keystoreprincipalid": "open a key store",
    "keystoresecret": "open a key store",
}


def check_what_runs(config: Config, name: str, profile: Mapping[Keys, Value]) -> None:
    """ConfigError if the profile would run a command or import code for a file that is not trusted."""
    for key, does in (("password_command", "run a command"), ("engine", "import and run Python code")):
        value = profile.get((key,))
        if value is not None and not config.trusts(value.file):
            raise _refusal(config, name, value.file, f"{does} (`{key}`{_program(key, value.value)})")


def check_target(
    config: Config, name: str, profile: Mapping[Keys, Value], target: Target, environment: Mapping[str, str]
) -> None:
    """ConfigError if the profile, by a file that is not trusted, would load a library or send away a secret."""
    suspects = [value for value in profile.values() if not config.trusts(value.file)]
    if not suspects:
        return
    file = suspects[0].file
    loads = _loads(target)
    if loads is not None:
        raise _refusal(config, name, file, loads)
    if all(_is_local(endpoint) for endpoint in target.endpoints):
        return
    for offence in _offences(config, profile, target, environment):
        raise _refusal(config, name, file, f"{offence} to {target.endpoints[0].shown}")


def _offences(
    config: Config, profile: Mapping[Keys, Value], target: Target, environment: Mapping[str, str]
) -> Iterator[str]:
    suspects = {keys: value for keys, value in profile.items() if not config.trusts(value.file)}
    for value in suspects.values():
        if has_variable(value.value):
            yield f"send the variable {variables(value.value)[0]}"
    if any(keys[0] in (*WHERE_FORMS, "parameters") for keys in suspects):
        for keys, value in profile.items():
            if keys[0] in PASSWORD_KEYS and keys not in suspects:
                yield f"send the password of {shown(value.file.path)}"
    if target.password is not None and _wrote_it_itself(suspects, target.password.reveal()):
        return
    if target.password is not None and target.password.reveal() == environment.get("PGPASSWORD"):
        yield "send PGPASSWORD"
    if _names_a_password_source(suspects):
        yield "send a password of your files"
    if any(endpoint.address for endpoint in target.endpoints):
        yield "send a password of your password file"


def _names_a_password_source(suspects: Mapping[Keys, Value]) -> bool:
    """Whether it names a password file; or a service, which may hold a password, together with a server of its own."""
    if ("passfile",) in suspects:
        return True
    if ("service",) in suspects and {("host",), ("port",)} & set(suspects):
        return True
    dsn = suspects[("dsn",)].value if ("dsn",) in suspects else ""
    return bool(_SOURCE_IN_DSN.search(dsn)) and not _SERVICE_ALONE.fullmatch(dsn)


def _wrote_it_itself(suspects: Mapping[Keys, Value], password: str) -> bool:
    texts = [value.value for value in suspects.values() if isinstance(value.value, str)]
    return any(form in text for text in texts for form in (password, quote(password, safe=""), quote(password)))


def _loads(target: Target) -> str | None:
    for name, value in target.parameters.items():
        key = name.lower()
        if key in _LOADS:
            return f"{_LOADS[key]} (`{key}`)"
        if key == "sslkey" and ":" in value:
            return "load an OpenSSL engine (`sslkey`)"
        if key == "driver" and ("/" in value or "\\" in value):
            return "load a driver of its choice (`Driver`)"
    return None


def _is_local(endpoint: Endpoint) -> bool:
    place = endpoint.address or endpoint.host or "localhost"
    return endpoint.is_socket or place in ("localhost", "::1", "127.0.0.1", ".", "(local)")


def _program(key: str, value: object) -> str:
    """The program or module that would run: what a user needs to see, and the one word in which no secret stands."""
    words = value if isinstance(value, list) else str(value).split()
    word = str(words[0]) if words else ""
    plain = word.isprintable() and not has_variable(word) and "=" not in word
    return f": {word[:80]}" if plain and (key == "engine" or len(words) > 0) else ""


def _refusal(config: Config, name: str, file: ConfigFile, does: str) -> ConfigError:
    reason = config.distrusted.get(file.path, "is not trusted")
    return ConfigError(
        f"`{name}` in {shown(file.path)} would {does}, and the file is not trusted",
        cause=f"{shown(file.path)} {reason}",
        help=f"look at the file, then trust this version of it with `dbdoctor check --trust {name}`, or name it with `--config`",
    )
