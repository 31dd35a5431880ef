"""Every setting of a config file, as one table of values: validation, the README and the tests are made from it.

The defaults of the thresholds are dbdoctor's own judgement, except where `meaning` names a source.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Kind(str, Enum):
    """What a setting's value looks like in TOML; the value is the phrase that an error uses."""

    TEXT = "a text"
    DURATION = 'a duration such as "5s" or a number of seconds'
    INTEGER = "a whole number"
    SHARE = "a number such as 0.8"
    NUMBER = "a number such as 200"
    BOOLEAN = "true or false"
    CHOICE = "one of its words"
    COMMAND = "a text or a list of texts"
    TABLE = "a table"


class Setting(NamedTuple):
    """One key: its name, kind, range (inclusive; seconds for durations), default, and meaning for the README.

    `secret` says that no error may quote its value. `choices` are the words of a CHOICE.
    """

    name: str
    kind: Kind
    meaning: str
    low: float | None = None
    high: float | None = None
    default: object = None
    choices: tuple[str, ...] = ()
    secret: bool = False


_YEAR = 366 * 86400.0

TOP: tuple[Setting, ...] = (
    Setting("default", Kind.TEXT, "The profile that is meant when no target is named."),
    Setting("login_timeout", Kind.DURATION, "The deadline over the whole probe of a target.", 0.1, 600.0, 5.0),
    Setting(
        "fail_on",
        Kind.CHOICE,
        "The least severity that makes the exit code 1.",
        default="error",
        choices=("error", "warning", "never"),
    ),
    Setting("format", Kind.CHOICE, "How the answer is written.", default="text", choices=("text", "json")),
    Setting("samples", Kind.INTEGER, "How many logins and round trips `check` measures.", 1, 100, 5),
    Setting("thresholds", Kind.TABLE, "Thresholds for every target that does not set its own."),
    Setting("targets", Kind.TABLE, "The profiles, each in a table `[targets.NAME]`."),
)

TARGET: tuple[Setting, ...] = (
    Setting("dsn", Kind.TEXT, "Where to connect, in any dialect that the command line takes.", secret=True),
    Setting("engine", Kind.TEXT, "Where to connect: the `module:attribute` of a live SQLAlchemy engine or factory."),
    Setting(
        "product",
        Kind.CHOICE,
        "The product, when the target is given in parts.",
        default="postgresql",
        choices=("postgresql", "mssql"),
    ),
    Setting("host", Kind.TEXT, "Host name, address, socket directory, or several hosts with commas between."),
    Setting("port", Kind.INTEGER, "The port of every host named in `host`.", 1, 65535),
    Setting("database", Kind.TEXT, "The database's name."),
    Setting("user", Kind.TEXT, "Whom to log in as."),
    Setting("password", Kind.TEXT, "The password; better `${VARIABLE}` or `password_command`.", secret=True),
    Setting(
        "password_command",
        Kind.COMMAND,
        "A command, run without a shell, whose first line of output is the password.",
        secret=True,
    ),
    Setting("passfile", Kind.TEXT, "A password file in the form of `.pgpass`, relative to the config file."),
    Setting("service", Kind.TEXT, "A service of `pg_service.conf` that says where to connect."),
    Setting("parameters", Kind.TABLE, 'Further settings of the driver by its own names: `sslmode = "verify-full"`.'),
    Setting("login_timeout", Kind.DURATION, "The deadline over the probe of this target.", 0.1, 600.0),
    Setting(
        "path_idle_timeout",
        Kind.DURATION,
        "After how long the path to the server (firewall, balancer, NAT) drops an idle connection.",
        1.0,
        _YEAR,
    ),
    Setting("pool_size", Kind.INTEGER, "The application's expected `pool_size`; 0 is no limit.", 0, 100_000),
    Setting("max_overflow", Kind.INTEGER, "The application's expected `max_overflow`; -1 is no limit.", -1, 100_000),
    Setting("pool_timeout", Kind.DURATION, "How long a checkout waits for a connection.", 0.0, _YEAR),
    Setting("pool_recycle", Kind.DURATION, "The age after which a connection is replaced; -1 is never.", -1.0, _YEAR),
    Setting("pool_pre_ping", Kind.BOOLEAN, "Whether a connection is tested at checkout."),
    Setting("pool_use_lifo", Kind.BOOLEAN, "Whether the connection checked in last is checked out first."),
    Setting("processes", Kind.INTEGER, "How many processes of one replica hold a pool each.", 1, 100_000),
    Setting("replicas", Kind.INTEGER, "How many replicas of the application run.", 1, 100_000),
    Setting("surge", Kind.INTEGER, "How many replicas more a rollout starts.", 0, 100_000),
    Setting("rate", Kind.NUMBER, "Checkouts a second of all its processes together, for `recommend`.", 1e-6, 1e7),
    Setting("use_time", Kind.DURATION, "The mean time from checkout to checkin, with `rate`.", 1e-6, 86_400.0),
    Setting("burst", Kind.NUMBER, "The busiest second's rate as a multiple of `rate`.", 1.0, 1000.0),
    Setting("trace", Kind.TEXT, "A file of its recorded checkouts, relative to the config file, for `recommend`."),
    Setting("pooler_clients", Kind.INTEGER, "How many clients the pooler in front of the server admits.", 1, 1_000_000),
    Setting(
        "pooler_pool_size", Kind.INTEGER, "How many server connections that pooler keeps for this user.", 1, 100_000
    ),
    Setting("thresholds", Kind.TABLE, "Thresholds for this target."),
)

THRESHOLDS: tuple[Setting, ...] = (
    Setting("slots_warning", Kind.SHARE, "Share of the server's slots in use that is a warning.", 0.0, 1.0, 0.8),
    Setting("slots_error", Kind.SHARE, "Share of the server's slots in use that is an error.", 0.0, 1.0, 0.9),
    Setting("replica_lag_warning", Kind.DURATION, "How far a standby may be behind.", 0.0, _YEAR, 30.0),
    Setting("clock_skew_warning", Kind.DURATION, "How far the server's clock may be off ours.", 0.0, _YEAR, 2.0),
    Setting(
        "certificate_expiry_warning",
        Kind.DURATION,
        "How long before a certificate expires a warning begins.",
        0.0,
        _YEAR,
        30 * 86400.0,
    ),
    Setting(
        "password_expiry_warning",
        Kind.DURATION,
        "How long before the role's password expires a warning begins.",
        0.0,
        _YEAR,
        14 * 86400.0,
    ),
    Setting("idle", Kind.DURATION, "How long a session may be idle before it counts as unused.", 0.0, _YEAR, 300.0),
    Setting(
        "idle_in_transaction",
        Kind.DURATION,
        "How long a session may be idle in transaction.",
        0.0,
        _YEAR,
        60.0,
    ),
)

POOL_KEYS = (
    "pool_size",
    "max_overflow",
    "pool_timeout",
    "pool_recycle",
    "pool_pre_ping",
    "pool_use_lifo",
    "processes",
    "replicas",
)
"""The keys of a target that make its PoolSettings."""


def threshold(configured: Mapping[str, float], name: str) -> float:
    """The configured threshold, or its default; shares are 0 to 1, durations seconds. KeyError for no threshold."""
    return configured[name] if name in configured else _THRESHOLD_DEFAULTS[name]


_THRESHOLD_DEFAULTS = {setting.name: setting.default for setting in THRESHOLDS if isinstance(setting.default, float)}
