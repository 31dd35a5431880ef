"""T-SQL queries as DuckDB runs them: parsed by sqlglot, and what it leaves rewritten in its syntax tree."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.servers.tds import views
from tests.servers.tds.errors import SqlError

# "Unsupported query option": they are taken out on purpose.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

UNNAMED = "unnamed column "
# Functions with a meaning of their own here; sqlglot sees them under another name.
PREFIX = "tsql_"
# These give a sql_variant.
VARIANTS = {"serverproperty", "databasepropertyex", "connectionproperty"}
_DIALECT_TYPES = {
    exp.DType.DATETIME: "TIMESTAMP_MS",
    exp.DType.SMALLDATETIME: "TIMESTAMP_S",
    exp.DType.DATETIME2: "TIMESTAMP",
    exp.DType.BIT: "BOOLEAN",
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TINYINT: "UTINYINT",
    exp.DType.UTINYINT: "UTINYINT",
    exp.DType.MONEY: "DECIMAL(19,4)",
    exp.DType.FLOAT: "DOUBLE",
    exp.DType.UUID: "UUID",
}
_TEXTS = {*exp.DataType.TEXT_TYPES, exp.DType.NAME}
_BINARIES = {exp.DType.BINARY, exp.DType.VARBINARY, exp.DType.IMAGE, exp.DType.ROWVERSION}
UNITS = {
    "year": "yy yyyy",
    "quarter": "qq q",
    "month": "mm m",
    "dayofyear": "dy y",
    "day": "dd d",
    "week": "wk ww",
    "weekday": "dw w",
    "hour": "hh",
    "minute": "mi n",
    "second": "ss s",
    "millisecond": "ms",
    "microsecond": "mcs",
    "tzoffset": "tz",
}
_UNIT = {short: unit for unit, names in UNITS.items() for short in (unit, *names.split())}


@dataclass(frozen=True)
class Translated:
    """A query for DuckDB."""

    sql: str
    # Views of `sys`, lower case.
    views: frozenset[str]
    # Other tables, lower case.
    tables: frozenset[str]
    # "select", "insert", "update", "delete", or what else it is ("other" for DDL).
    kind: str
    # What identifies the rows that it locks; None is the whole table.
    predicate: str | None
    # Whether a SELECT asks for locks as an UPDATE would.
    locks: bool


Functions = Mapping[str, Callable[[list[exp.Expr]], exp.Expr]]


@functools.lru_cache(maxsize=512)
def _parsed(text: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(text, read="tsql")
    except SqlglotError as error:
        near = getattr(error, "errors", None) or [{}]
        raise SqlError(102, near[0].get("highlight") or "?") from error


def translate(text: str, functions: Functions) -> Translated:
    """One query; `functions` give what a call of `tsql_...` becomes, its arguments done already.

    SqlError 102 where it does not parse, 208 for a view that is not in `views`.
    """
    tree = _parsed(text).copy()
    hints = {part.name.upper() for hint in tree.find_all(exp.WithTableHint) for part in hint.expressions}
    predicate = tree.args.get("where")
    _apply_functions(tree)
    found_views, tables = _name_tables(tree)
    _rewrite(tree, functions)
    _name_columns(tree)
    kind = tree.key if tree.key in {"insert", "update", "delete", "merge"} else "other"
    if isinstance(tree, exp.Query):
        kind = "other" if tree.find(exp.Into) else "select"
    return Translated(
        sql=tree.sql("duckdb"),
        views=found_views,
        tables=tables,
        kind=kind,
        predicate=None if predicate is None or "TABLOCKX" in hints else predicate.sql(),
        locks=bool(hints & {"UPDLOCK", "XLOCK", "TABLOCKX"}),
    )


def _apply_functions(tree: exp.Expr) -> None:
    """Row-giving functions, in FROM or in APPLY, become selections from their tables."""
    for lateral in list(tree.find_all(exp.Lateral)):
        join, source = lateral.parent, lateral.this
        outer = not lateral.args.get("cross_apply")
        call = None if isinstance(source, exp.Subquery) else source.find(exp.Anonymous)
        if call is not None:
            alias = lateral.args.get("alias") or exp.TableAlias(this=exp.to_identifier(call.name))
            lateral.set("this", _selection(call))
            lateral.set("alias", alias)
        lateral.set("cross_apply", None)
        if isinstance(join, exp.Join):
            join.set("side", "LEFT" if outer else None)
            join.set("kind", None)
            join.set("on", exp.true())
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Anonymous):
            alias = table.alias or table.this.name
            table.replace(exp.alias_(_selection(table.this), alias, table=True))


def _selection(call: exp.Anonymous) -> exp.Subquery:
    name = call.name.lower()
    if name == "fn_listextendedproperty":
        return exp.Subquery(this=sqlglot.parse_one("SELECT NULL AS value WHERE 1 = 0", read="duckdb"))
    key = views.FUNCTIONS.get(name)
    if key is None:
        raise SqlError(208, call.name)
    argument = call.expressions[1 if name == "fn_my_permissions" else 0].copy()
    query = exp.select("*").from_(exp.table_(name, db="sys")).where(exp.column(key).eq(argument))
    return exp.Subquery(this=query)


def _name_tables(tree: exp.Expr) -> tuple[frozenset[str], frozenset[str]]:
    """Takes database and hints off the tables' names; which views of `sys` and which other tables there are."""
    withs = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found_views, tables = set(), set()
    for table in tree.find_all(exp.Table):
        table.set("hints", None)
        table.set("catalog", None)
        schema, name = table.db.lower(), table.name.lower()
        if schema == "sys":
            found_views.add(name)
        elif schema == "information_schema" or not name:
            continue
        elif schema or name not in withs:
            table.set("db", None)
            tables.add(name)
    for query in tree.find_all(exp.Query):
        query.set("options", None)
    for with_ in tree.find_all(exp.With):
        # T-SQL does not say so.
        with_.set("recursive", True)
    return frozenset(found_views), frozenset(tables)


def _rewrite(tree: exp.Expr, functions: Functions) -> None:
    # The innermost first, so that a function's arguments are done.
    for node in reversed(list(tree.bfs())):
        new = _rewritten(node, functions)
        if new is not node:
            node.replace(new)


def _rewritten(node: exp.Expr, functions: Functions) -> exp.Expr:
    match node:
        case exp.National():
            return exp.Literal.string(node.name)
        case exp.DataType():
            return _data_type(node)
        case exp.Cast() | exp.TryCast():
            return _cut(node)
        case exp.Convert() if not node.args.get("style"):
            kind = exp.TryCast if node.args.get("safe") else exp.Cast
            return _cut(kind(this=node.expression, to=node.this))
        case exp.Div():
            return exp.Anonymous(this="tsql_divide", expressions=[node.this, node.expression])
        case exp.Add() if _is_text(node.this) or _is_text(node.expression):
            return exp.DPipe(this=node.this, expression=node.expression)
        case exp.Count() if not node.args.get("big_int"):
            return exp.cast(node.copy(), "int") if not isinstance(node.parent, exp.Window) else node
        case exp.CurrentTimestamp():
            return functions["getdate"]([])
        case exp.Anonymous() if node.name.lower().startswith(PREFIX):
            return _called(node, functions)
        case exp.PrimaryKey() | exp.UniqueColumnConstraint():
            for ordered in list(node.find_all(exp.Ordered)):
                ordered.replace(ordered.this)
        case exp.GeneratedAsIdentityColumnConstraint() | exp.AutoIncrementColumnConstraint():
            return _sequence(node)
        case exp.Returning():
            for column in node.find_all(exp.Column):
                column.set("table", None)
    return node


def _called(node: exp.Anonymous, functions: Functions) -> exp.Expr:
    name = node.name.lower().removeprefix(PREFIX)
    if isinstance(node.parent, exp.ColumnConstraint | exp.DefaultColumnConstraint):
        return sqlglot.parse_one("CAST(now() AS TIMESTAMP)", read="duckdb")
    if name not in functions:
        return node
    made = functions[name]([argument.copy() for argument in node.expressions])
    above = node.parent.parent if isinstance(node.parent, exp.Alias) else node.parent
    if name not in VARIANTS or not isinstance(above, exp.Select):
        return made
    # JSON stands for sql_variant: what is handed out unconverted goes out as such.
    return exp.Anonymous(this="to_json", expressions=[made])


def unit(argument: exp.Expr) -> str:
    """The date part that an argument names."""
    found = _UNIT.get(argument.name.lower())
    if found is None:
        raise SqlError(155, message=f"'{argument.name}' is not a recognized datediff option.", severity=15)
    return found


def _data_type(node: exp.DataType) -> exp.Expr:
    kind = node.this
    if kind in _TEXTS:
        size = node.expressions[0].name.lower() if node.expressions else ""
        new = exp.DataType.build("TEXT")
        new.set("size", size)
        return new
    if kind in _BINARIES:
        return exp.DataType.build("BLOB", dialect="duckdb")
    if kind in _DIALECT_TYPES:
        return exp.DataType.build(_DIALECT_TYPES[kind], dialect="duckdb", udt=False)
    if kind in {exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMP, exp.DType.TIME, exp.DType.TIMESTAMPLTZ}:
        node.set("expressions", [])
    return node


def _cut(node: exp.Expr) -> exp.Expr:
    """CAST to a text of limited length cuts."""
    size = node.args["to"].args.get("size") or ""
    inner = node.this
    if (
        node.args["to"].this in _TEXTS
        and isinstance(inner, exp.Cast)
        and inner.args["to"].this == exp.DType.TIMESTAMPTZ
    ):
        # With the server's offset, which DuckDB would turn into its own.
        moment, offset = inner.this.name[:-6], inner.this.name[-6:]
        node.set("this", exp.Literal.string(f"{moment}0 {offset}"))
    if isinstance(node.args["to"], exp.DataType):
        node.args["to"].set("size", None)
    if size.isdigit():
        return exp.Anonymous(this="left", expressions=[node.copy(), exp.Literal.number(size)])
    return node


def _is_text(node: exp.Expr) -> bool:
    if isinstance(node, exp.Paren):
        return _is_text(node.this)
    if isinstance(node, exp.Cast | exp.TryCast):
        return node.args["to"].this in _TEXTS
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in {"left", "db_name", "tsql_datename"}
    if isinstance(node, exp.Literal):
        return bool(node.is_string)
    return isinstance(node, exp.National | exp.DPipe | exp.Lower | exp.Upper | exp.Concat | exp.Substring | exp.Trim)


def _sequence(node: exp.Expr) -> exp.Expr:
    column = node.find_ancestor(exp.ColumnDef)
    table = node.find_ancestor(exp.Schema)
    name = f"identity_{table.this.name if table else ''}_{column.name if column else ''}".lower()
    call = exp.Anonymous(this="nextval", expressions=[exp.Literal.string(name)])
    return exp.DefaultColumnConstraint(this=call)


def sequences(translated: Translated) -> list[str]:
    """The sequences that a CREATE TABLE needs."""
    tree = sqlglot.parse_one(translated.sql, read="duckdb")
    return [
        call.expressions[0].name if isinstance(call, exp.Anonymous) else call.this.name
        for call in tree.find_all(exp.Anonymous, exp.NextValueFor)
        if "nextval" in call.sql("duckdb").lower()
    ]


def _name_columns(tree: exp.Expr) -> None:
    """Columns that T-SQL leaves without a name get one that is taken off again."""
    query = tree
    while isinstance(query, exp.SetOperation):
        query = query.this
    if not isinstance(query, exp.Select):
        return
    for number, item in enumerate(query.expressions):
        if not isinstance(item, exp.Alias | exp.Column | exp.Star) and not item.is_star:
            item.replace(exp.alias_(item.copy(), f"{UNNAMED}{number}", quoted=True))
