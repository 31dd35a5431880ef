"""Which trials of an order cannot be made on this server, and why; known before anything is tried."""

from __future__ import annotations

import ipaddress

from dbdoctor.faults.fault import Surroundings
from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product
from dbdoctor.model.trial import Record
from dbdoctor.trials.orders import StageOrder, Where

_INSISTS = frozenset({"require", "verify-ca", "verify-full"})


def untestable(order: StageOrder, facts: ServerFacts) -> dict[int, Record]:
    """The records, by the trial's number, of those that need not be begun."""
    faults = all_faults()
    around = surroundings(order, facts)
    found = ((trial, faults[trial.fault].unable(around)) for trial in order.trials)
    return {trial.number: Record(trial.fault, trial.pool.name, trial.idle, broken=why) for trial, why in found if why}


def surroundings(order: StageOrder, facts: ServerFacts) -> Surroundings:
    """What a fault is told about the target."""
    modes = {str(order.connect.get(name, "")) for name in ("sslmode", "gssencmode")}
    return Surroundings(
        product=Product(order.product),
        version=facts.version_number,
        pooler=facts.pooler.name if facts.pooler else None,
        encrypted=facts.tls is not None,
        insists_on_tls=bool(modes & _INSISTS),
        near=_is_near(order.where),
    )


def _is_near(where: Where) -> bool:
    return isinstance(where.address, str) or ipaddress.ip_address(where.address[0].partition("%")[0]).is_loopback
