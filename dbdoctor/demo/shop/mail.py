"""Sends the newsletter, from the other side of a firewall that forgets idle connections."""

import os
import time
from threading import Thread

from sqlalchemy import text

from shop.database import make_engine

engine = make_engine("mail", dsn=os.environ["SHOP_DATABASE_URL_THROUGH_FIREWALL"])


def send_newsletter():
    with engine.connect() as connection:
        return connection.execute(text("SELECT name FROM customers")).all()


def main():
    def every_now_and_then():
        while True:
            try:
                send_newsletter()
            except Exception as error:
                print(
                    f"shop: mail: {type(error).__name__}: {str(error.__cause__ or error).splitlines()[0]}", flush=True
                )
            time.sleep(5)

    Thread(target=every_now_and_then, daemon=True).start()
