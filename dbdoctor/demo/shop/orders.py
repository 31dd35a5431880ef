"""Takes orders, each request with a session of its own, kept by the request's number."""

import itertools
from threading import Thread

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop import hours
from shop.database import make_engine

engine = make_engine("orders", pool_size=5, max_overflow=10, pool_timeout=2)
sessions = {}


def order(request, article):
    session = sessions[request] = Session(engine)
    price = session.scalar(text("SELECT price FROM articles WHERE id = :id"), {"id": article})
    if price is None:
        raise LookupError(f"no article {article}")
    session.commit()
    sessions.pop(request).close()


def main():
    def customers():
        for request in itertools.count():
            try:
                order(request, article=1 + request % 12)  # there are ten
            except Exception:
                pass  # the customer sees a page that says "sorry"
            hours.until_the_next_customer(0.25)

    Thread(target=customers, daemon=True).start()
