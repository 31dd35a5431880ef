"""SQL Server's answers about itself, read into the product-neutral value; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbdoctor.databases.sqlserver_edition import AZURE_DATABASE, Edition
from dbdoctor.databases.sqlserver_rights import Rights, is_absence
from dbdoctor.databases.sqlserver_text import EPOCH, RefusedError, Row, number
from dbdoctor.model.server import Missing, ServerFacts, Slots

MOST_CONNECTIONS = 32_767
"""What `user connections` = 0 means."""

GATEWAY_IDLE = 1800.0
"""After so many seconds Azure's gateway drops an idle connection under the Proxy policy, keepalives or not."""

OTHERS = "the sessions of other logins"
SESSIONS = "the sessions of the server"

# Sessions that each tier allows, where it is not told: https://learn.microsoft.com/azure/azure-sql/database/
# (resource-limits-dtu-single-databases), as of 2025-11.
_TIERS = {
    "BASIC": 300, "S0": 600, "S1": 900, "S2": 1200, "S3": 2400, "S4": 4800, "S6": 9600, "S7": 19_200,
    **dict.fromkeys(("S9", "S12", "P1", "P2", "P4", "P6", "P11", "P15"), 30_000),
}  # fmt: skip


@dataclass
class Answers:
    """What the questions were answered; None is "refused", and `refused` has the server's words then."""

    edition: Edition
    ourselves: Sequence[Any]
    sent: float
    received: float
    rights: Sequence[Any] = ()
    tls: str | None = None
    database: Sequence[Any] = (None,) * 5
    connection: Row | None = None
    uptime: Row | None = None
    tempdb: Row | None = None
    settings: list[Row] | None = None
    limits: Row | None = None
    used: list[Row] | None = None
    refused: dict[str, RefusedError] = field(default_factory=dict)


def read_facts(answers: Answers) -> ServerFacts:
    """What the server said of itself."""
    edition = answers.edition
    spid, utc, local, login, _user, database = answers.ourselves
    now = None if utc is None else EPOCH + utc / 1000
    rights = rights_of(answers)
    return ServerFacts(
        product=edition.product,
        version=edition.version,
        version_number=edition.major * 10_000,
        uptime=_uptime(answers, local),
        is_standby=_is_standby(answers),
        tls=_tls(answers),
        slots=_slots(answers, rights),
        settings={"azure_gateway_idle_timeout": GATEWAY_IDLE} if edition.is_azure_database else {},
        user=login,
        database=database,
        server_time=now,
        clock_skew=None if now is None else now - (answers.sent + answers.received) / 2,
        clock_uncertainty=None if now is None else max(0.0, answers.received - answers.sent) / 2,
        hidden_sessions=0 if rights.sees_all else None,
        restricted=not rights.sees_all and not has_no_sessions(answers),
        missing=tuple(_missing(answers, rights)),
        extra=_extra(answers, rights, number(spid), _offset(utc, local)),
    )


def rights_of(answers: Answers) -> Rights:
    """What we may see."""
    _spid, _utc, _local, login, user, _database = answers.ourselves
    return Rights.read(answers.edition, answers.rights, tier(answers), login, user)


def has_no_sessions(answers: Answers) -> bool:
    """Whether the server has no view of its sessions at all, so that no right would show them."""
    refused = answers.refused.get(SESSIONS)
    return refused is not None and is_absence(refused)


def tier(answers: Answers) -> str | None:
    """The service objective of a database in Azure (`S3`, `Basic`), as far as it is told."""
    if not answers.edition.is_azure_database:
        return None
    told = answers.limits[0] if answers.limits else None
    return str(told or answers.database[1] or "") or None


def offset_of(utc: int, local: int) -> int:
    """Milliseconds that local time is ahead of UTC, to the minute: the two clocks were not read at the same moment."""
    return round((local - utc) / 60_000) * 60_000


def _offset(utc: int | None, local: int | None) -> float | None:
    return None if utc is None or local is None else offset_of(utc, local) / 1000


def _uptime(answers: Answers, local: int | None) -> float | None:
    ticks = number(answers.uptime[0]) if answers.uptime else None
    if ticks is not None:
        return max(0.0, ticks / 1000)
    made = number(answers.tempdb[0]) if answers.tempdb else None
    return None if made is None or local is None else max(0.0, (local - made) / 1000)


def _is_standby(answers: Answers) -> bool | None:
    """A database may be read-only for its own sake: it is a secondary only where there are some."""
    said = answers.database[0]
    if said is None:
        return None
    if str(said).upper() != "READ_ONLY":
        return False
    return True if answers.edition.has_replicas or number(answers.database[4]) == 1 else None


def _tls(answers: Answers) -> str | None:
    """The view's word on the whole session; without it what our own end knows."""
    if answers.connection is None:
        return answers.tls
    return (answers.tls or "TLS") if str(answers.connection[0]).upper() == "TRUE" else None


def _limit(answers: Answers) -> int | None:
    """How many sessions are admitted."""
    if answers.edition.is_azure_database:
        told = number(answers.limits[3]) if answers.limits else None
        return told or _TIERS.get((tier(answers) or "").upper())
    for name, value in answers.settings or ():
        if name == "user connections":
            return number(value) or MOST_CONNECTIONS
    return number(answers.database[3])


def _slots(answers: Answers, rights: Rights) -> Slots | None:
    """None where the number in use cannot be known; 0 in use where nobody counted."""
    limit = _limit(answers)
    if limit is None or not rights.sees_all or SESSIONS in answers.refused:
        return None
    used: dict[tuple[str, str], int] = {}
    for login, program, _status, sessions in answers.used or ():
        key = (str(login or ""), str(program or ""))
        used[key] = used.get(key, 0) + sessions
    most = sorted(((*key, sessions) for key, sessions in used.items()), key=lambda one: (-one[2], one))[:10]
    return Slots(limit, 0, sum(used.values()), tuple(most))


def _missing(answers: Answers, rights: Rights) -> Iterator[Missing]:
    if not rights.sees_all and not has_no_sessions(answers):
        yield Missing(OTHERS, *rights.why())
    for what, error in answers.refused.items():
        yield rights.missing(what, error)
    if _limit(answers) is None and not answers.edition.is_box:
        yield Missing("how many sessions are admitted", f"{answers.edition.product} does not say")


def _extra(answers: Answers, rights: Rights, spid: int | None, offset: float | None) -> dict[str, Any]:
    edition, connection = answers.edition, answers.connection
    states: dict[str, int] = {}
    for _login, _program, status, sessions in answers.used or ():
        state = "active" if str(status).lower() == "running" else "idle"
        states[state] = states.get(state, 0) + sessions
    limits = answers.limits or [None] * 5
    workers = limits[4] if answers.limits else answers.uptime and answers.uptime[1]
    return {
        "engine_edition": edition.engine,
        "edition": edition.name,
        "build": edition.build,
        "tier": tier(answers),
        "dtu_limit": limits[1],
        "cpu_limit": limits[2],
        "max_workers": workers,
        "own_session": spid,
        "utc_offset": offset,
        "states": states,
        "sees_all": rights.sees_all,
        "slots_counted_by": "user sessions in sys.dm_exec_sessions",
        "database_user": answers.ourselves[4],
        "client_address": connection[1] if connection else answers.database[2],
        "client_port": connection[2] if connection else None,
        "auth_scheme": connection[3] if connection else None,
        "server_tls": None if connection is None else str(connection[0]).upper() == "TRUE",
        "idle_dropped_by": "Azure's gateway, under the Proxy policy" if edition.engine == AZURE_DATABASE else None,
        "version_text": edition.banner,
    }
