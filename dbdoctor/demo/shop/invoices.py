"""Writes an invoice now and then."""

from threading import Thread

from sqlalchemy import text

from shop import hours
from shop.database import make_engine


class Invoice:
    def __init__(self, number):
        self.number = number
        self.engine = make_engine("invoices")

    def write(self):
        with self.engine.connect() as connection:
            return connection.scalar(text("SELECT sum(price) FROM articles"))


written = []


def main():
    def clerk():
        while True:
            invoice = Invoice(len(written))
            invoice.write()
            written.append(invoice)
            hours.until_the_next_customer(0.6)

    Thread(target=clerk, daemon=True).start()
