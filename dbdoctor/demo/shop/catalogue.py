"""Shows articles to customers. Nothing is wrong here."""

import random
import time
from threading import Thread

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.database import make_engine

engine = make_engine("catalogue")


def show_article(number):
    with Session(engine) as session:
        return session.execute(text("SELECT name, price FROM articles WHERE id = :id"), {"id": number}).first()


def customer():
    while True:
        show_article(random.randint(1, 10))
        time.sleep(random.expovariate(25))


def main():
    for _ in range(3):
        Thread(target=customer, daemon=True).start()
