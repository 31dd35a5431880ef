"""T-SQL's functions: what they become in DuckDB, with the session's, the server's and the clock's values filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from tests.servers.tds import profiles, views
from tests.servers.tds.errors import SqlError
from tests.servers.tds.rows import Facts, object_id
from tests.servers.tds.sessions import Session
from tests.servers.tds.translate import unit

# Run once in each DuckDB database.
MACROS = (
    "CREATE MACRO tsql_narrow(n) AS CASE WHEN abs(n) > 2147483647 THEN error('TSQL 535') ELSE CAST(n AS INTEGER) END",
    "CREATE MACRO tsql_divide(a, b) AS CASE WHEN b = 0 THEN error('TSQL 8134') ELSE a / b END",
    "CREATE MACRO tsql_add(part, n, x) AS CASE part "
    + " ".join(
        f"WHEN '{part}' THEN CAST(x AS TIMESTAMP) + to_{part}s(CAST(n AS BIGINT))"
        for part in ("year", "month", "day", "week", "hour", "minute", "second", "millisecond", "microsecond")
    )
    + " WHEN 'quarter' THEN CAST(x AS TIMESTAMP) + to_months(CAST(n AS BIGINT) * 3) END",
    "CREATE MACRO datalength(x) AS octet_length(encode(CAST(x AS VARCHAR))) * 2",
    "CREATE MACRO tsql_quotename(x) AS '[' || replace(x, ']', ']]') || ']'",
    "CREATE MACRO tsql_newid() AS uuid()",
)


@dataclass(frozen=True)
class Seen:
    """Who runs the query, in which request's circumstances."""

    session: Session
    facts: Facts
    rights: frozenset[str]
    # What a handler of TRY ... CATCH asks for.
    caught: SqlError | None = None
    # Whether a table of that name is there.
    has_table: Callable[[str], bool] = lambda _name: False


def names() -> frozenset[str]:
    """The functions that are ours, so that sqlglot must not take them for its own."""
    return frozenset(_CONSTANT) | frozenset(_BUILT) | {"quotename", "newid"}


def functions(seen: Seen) -> dict[str, Callable[[list[exp.Expr]], exp.Expr]]:
    """What each call becomes."""
    constant = {name: _constant(make, seen) for name, make in _CONSTANT.items()}
    return constant | _BUILT


def _constant(make: Callable[..., object], seen: Seen) -> Callable[[list[exp.Expr]], exp.Expr]:
    def build(arguments: list[exp.Expr]) -> exp.Expr:
        value = make(seen, *(_value(argument) for argument in arguments))
        return value if isinstance(value, exp.Expr) else _literal(value)

    return build


def _value(argument: exp.Expr) -> object:
    """An argument that is known already: a literal or NULL; else the expression itself."""
    inner = argument
    while isinstance(inner, exp.Cast | exp.Paren | exp.National):
        if isinstance(inner, exp.National):
            return inner.name
        inner = inner.this
    if isinstance(inner, exp.Null):
        return None
    if isinstance(inner, exp.Literal):
        return inner.name if inner.is_string else int(float(inner.name))
    return argument


def _literal(value: object) -> exp.Expr:
    if isinstance(value, str):
        return exp.cast(exp.Literal.string(value), "text")
    return exp.convert(value)


def _moment(text: str, type_: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), exp.DataType.build(type_, dialect="duckdb"))


# --- the clock


def _getdate(seen: Seen) -> exp.Expr:
    return _moment(seen.facts.clock.local().isoformat(" "), "TIMESTAMP_MS")


def _getutcdate(seen: Seen) -> exp.Expr:
    return _moment(seen.facts.clock.utc().isoformat(" "), "TIMESTAMP_MS")


def _sysdatetime(seen: Seen) -> exp.Expr:
    return _moment(seen.facts.clock.local().isoformat(" "), "TIMESTAMP")


def _sysutcdatetime(seen: Seen) -> exp.Expr:
    return _moment(seen.facts.clock.utc().isoformat(" "), "TIMESTAMP")


def _sysdatetimeoffset(seen: Seen) -> exp.Expr:
    return _moment(seen.facts.clock.aware().isoformat(" "), "TIMESTAMPTZ")


# --- the server


def properties(facts: Facts) -> dict[str, object]:
    """SERVERPROPERTY's values, by name in lower case."""
    profile = facts.profile
    own: dict[str, object] = {
        "ProductVersion": profile.version,
        "ProductMajorVersion": profile.version.partition(".")[0],
        "ProductLevel": profile.level,
        "ProductUpdateLevel": None,
        "Edition": profile.edition,
        "EngineEdition": profile.engine_edition,
        "ServerName": facts.server_name,
        "MachineName": facts.server_name,
        "InstanceName": None,
        "Collation": "SQL_Latin1_General_CP1_CI_AS",
        "IsClustered": 0,
        "IsHadrEnabled": 0,
        "IsSingleUser": 0,
        "IsIntegratedSecurityOnly": 0,
        "ProcessID": 1,
        **profile.extra_properties,
    }
    return {name.lower(): value for name, value in own.items()}


def _serverproperty(seen: Seen, name: object) -> object:
    return properties(seen.facts).get(str(name).lower())


def _has_perms_by_name(seen: Seen, securable: object, kind: object, permission: object, *_: object) -> object:
    right = str(permission).upper()
    if not seen.facts.profile.knows_right(right):
        return None
    held = seen.rights
    if right == profiles.VIEW_SERVER_PERFORMANCE_STATE:
        held |= {right} if profiles.VIEW_SERVER_STATE in held else frozenset()
    return int(right in held or (right == "VIEW ANY DATABASE"))


def _is_srvrolemember(seen: Seen, role: object, *_: object) -> object:
    admin = {profiles.VIEW_SERVER_STATE, profiles.ALTER_ANY_CONNECTION} <= seen.rights
    return int(str(role).lower() == "public" or admin or str(role) in seen.rights)


def _object_id(seen: Seen, name: object, *_: object) -> object:
    parts = [part.strip("[]").lower() for part in str(name).split(".")]
    if "sys" in parts[:-1]:
        return object_id(parts[-1]) if parts[-1] in seen.facts.profile.views else None
    return 1000 + sum(parts[-1].encode()) if seen.has_table(parts[-1].lstrip("#")) else None


def _col_length(seen: Seen, table: object, column: object) -> object:
    name = str(table).rpartition(".")[2].strip("[]").lower()
    if name not in seen.facts.profile.views:
        return None
    there = {each.name for each in views.columns(name, seen.facts.profile.major)}
    return 8 if str(column).lower() in there else None


def _db_name(seen: Seen, number: object = 0, *_: object) -> object:
    if isinstance(number, exp.Expr):
        places = [f"WHEN {place} THEN '{name}'" for place, name in enumerate(seen.facts.databases, 1)]
        return exp.maybe_parse(f"CASE {number.sql('duckdb')} {' '.join(places)} END", dialect="duckdb")
    if number == 0:
        return seen.session.database
    known = dict(enumerate(seen.facts.databases, 1))
    return known.get(number) if isinstance(number, int) else None


def _db_id(seen: Seen, name: object = None) -> object:
    return seen.session.database_id if name is None else seen.facts.database_id(str(name))


def _databasepropertyex(seen: Seen, database: object, name: object) -> object:
    values = {"updateability": "READ_WRITE", "status": "ONLINE", "edition": "Standard", "useraccess": "MULTI_USER"}
    limits = seen.facts.profile.limits
    values |= {"serviceobjective": str(limits["slo_name"])} if limits else {}
    return values.get(str(name).lower())


def _connectionproperty(seen: Seen, name: object) -> object:
    values = {"net_transport": "TCP", "client_net_address": seen.session.address, "auth_scheme": "SQL"}
    return values.get(str(name).lower())


def _user(seen: Seen, *_: object) -> object:
    return seen.session.login.user


def _database_user(seen: Seen, *_: object) -> object:
    """The administrator is `dbo` in every database, whoever else has a user of the same name."""
    return "dbo" if seen.session.login.user == "sa" else seen.session.login.user


_CONSTANT: dict[str, Callable[..., object]] = {
    "getdate": _getdate,
    "getutcdate": _getutcdate,
    "sysdatetime": _sysdatetime,
    "sysutcdatetime": _sysutcdatetime,
    "sysdatetimeoffset": _sysdatetimeoffset,
    "serverproperty": _serverproperty,
    "has_perms_by_name": _has_perms_by_name,
    "is_srvrolemember": _is_srvrolemember,
    "is_rolemember": _is_srvrolemember,
    "object_id": _object_id,
    "col_length": _col_length,
    "db_name": _db_name,
    "db_id": _db_id,
    "databasepropertyex": _databasepropertyex,
    "connectionproperty": _connectionproperty,
    "suser_sname": _user,
    "suser_name": _user,
    "original_login": _user,
    "user_name": _database_user,
    "schema_name": lambda seen, *_: "dbo",
    "host_name": lambda seen: seen.session.login.host,
    "app_name": lambda seen: seen.session.login.program,
    "xact_state": lambda seen: 1 if seen.session.nesting else 0,
    "scope_identity": lambda seen: None,
    "error_number": lambda seen: seen.caught.number if seen.caught else None,
    "error_message": lambda seen: seen.caught.message if seen.caught else None,
    "error_severity": lambda seen: seen.caught.severity if seen.caught else None,
    "error_state": lambda seen: seen.caught.state if seen.caught else None,
}


# --- arithmetic of dates


def _dashed(moment: exp.Expr) -> exp.Expr:
    """A day as T-SQL likes to write it, `20260131`, as DuckDB reads it."""
    text = moment.name
    if isinstance(moment, exp.Literal) and moment.is_string and len(text) == 8 and text.isdigit():
        return exp.Literal.string(f"{text[:4]}-{text[4:6]}-{text[6:]}")
    return moment


def _difference(arguments: list[exp.Expr]) -> exp.Expr:
    part = unit(arguments[0])
    start, end = (exp.cast(_dashed(each), "timestamp") for each in arguments[1:3])
    return exp.Anonymous(this="date_diff", expressions=[exp.Literal.string(part), start, end])


def _datediff(arguments: list[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="tsql_narrow", expressions=[_difference(arguments)])


def _dateadd(arguments: list[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(
        this="tsql_add", expressions=[exp.Literal.string(unit(arguments[0])), arguments[1], _dashed(arguments[2])]
    )


def _datepart(arguments: list[exp.Expr]) -> exp.Expr:
    part = unit(arguments[0])
    if part == "tzoffset":
        text = arguments[1].find(exp.Literal)
        sign, hours, minutes = (text.name[-6], text.name[-5:-3], text.name[-2:]) if text else ("+", "0", "0")
        return exp.convert((int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1))
    moment = exp.cast(arguments[1], "timestamp")
    number = exp.cast(exp.Anonymous(this="date_part", expressions=[exp.Literal.string(part), moment]), "int")
    # DuckDB counts the seconds in.
    within = {"millisecond": 1000, "microsecond": 1_000_000}.get(part)
    return exp.Mod(this=exp.Paren(this=number), expression=exp.convert(within)) if within else number


_BUILT: dict[str, Callable[[list[exp.Expr]], exp.Expr]] = {
    "datediff": _datediff,
    "datediff_big": _difference,
    "dateadd": _dateadd,
    "datepart": _datepart,
}
