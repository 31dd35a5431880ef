"""What is wrong in the shop's code, and how it is put right: a piece of text in a file for another."""

from __future__ import annotations

from typing import NamedTuple


class Fix(NamedTuple):
    """In the shop's file `name`: the lines to go, the lines to come, and what that mends."""

    name: str
    old: str
    new: str
    mends: str


FIXES = (
    Fix(
        "orders.py",
        """\
        raise LookupError(f"no article {article}")
    session.commit()
    sessions.pop(request).close()
""",
        """\
        sessions.pop(request).close()
        raise LookupError(f"no article {article}")
    session.commit()
    sessions.pop(request).close()
""",
        "the error path gives its session back",
    ),
    Fix(
        "invoices.py",
        """\
class Invoice:
    def __init__(self, number):
        self.number = number
        self.engine = make_engine("invoices")

    def write(self):
        with self.engine.connect() as connection:
""",
        """\
engine = make_engine("invoices")


class Invoice:
    def __init__(self, number):
        self.number = number

    def write(self):
        with engine.connect() as connection:
""",
        "one engine for all invoices",
    ),
    Fix(
        "payments.py",
        """\
    with Session(engine) as session:
        session.execute(text("UPDATE customers SET paid = paid + 1 WHERE id = :id"), {"id": customer})
        bank_answers()
        session.commit()
""",
        """\
    bank_answers()
    with Session(engine) as session:
        session.execute(text("UPDATE customers SET paid = paid + 1 WHERE id = :id"), {"id": customer})
        session.commit()
""",
        "no transaction is open while the bank thinks",
    ),
)
