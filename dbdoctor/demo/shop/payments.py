"""Takes the customers' money. The bank takes its time to answer."""

from threading import Thread

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop import hours
from shop.database import make_engine

engine = make_engine("payments")


def bank_answers():
    hours.pass_by(20)


def pay(customer):
    with Session(engine) as session:
        session.execute(text("UPDATE customers SET paid = paid + 1 WHERE id = :id"), {"id": customer})
        bank_answers()
        session.commit()


def main():
    def payments():
        while True:
            pay(customer=1)
            hours.pass_by(0.2)

    for _ in range(2):  # two windows of the same customer
        Thread(target=payments, daemon=True).start()
