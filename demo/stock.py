#!/usr/bin/python3
"""The stock: items and carts, kept in Redis. Some items fail and reports are slow, so that there is something to find."""

import hashlib
import json
import time

import redis
import service
from service import Failure, Handler, Ledger

# Reports take between these, evenly spread by their day.
SLOWEST_S, FASTEST_S = 0.120, 0.040
# A cart that is not a hash, so that Redis answers WRONGTYPE.
BROKEN_CART = 99

EDGE = "stock.py → redis-server"


class CountedRedis(redis.Redis):
    """Counts each command by its name and the first word of its error, if it has one."""

    ledger = None

    def execute_command(self, *args, **options):
        try:
            answer = super().execute_command(*args, **options)
        except redis.ResponseError as error:
            self.ledger.count(EDGE, str(error).split(" ", maxsplit=1)[0], args[0])
            raise
        self.ledger.count(EDGE, "OK", args[0])
        return answer


class Stock(Handler):
    """HTTP in front, Redis behind."""

    ledger = Ledger()
    edge = "shop.py → stock.py"
    redis = None


def left(stock, number):
    """How many of an item are left; every item whose number ends in 13 cannot be found in its shelf."""
    if number.endswith("13"):
        raise Failure(500, "the shelf has fallen over")
    count = stock.redis.get(f"stock:{number}")
    if count is None:
        count = 100
        stock.redis.set(f"stock:{number}", count)
    return {"left": int(count)}


def cart(stock, number):
    """Items of a cart; one cart's key is of the wrong type."""
    try:
        return {name.decode(): int(count) for name, count in stock.redis.hgetall(f"cart:{number}").items()}
    except redis.ResponseError as error:
        raise Failure(500, str(error)) from error


def add(stock, number):
    """Puts one more of an item into a cart."""
    name = json.loads(stock.body)["item"]
    try:
        return {"count": stock.redis.hincrby(f"cart:{number}", name, 1)}
    except redis.ResponseError as error:
        raise Failure(500, str(error)) from error


def checkout(stock, number):
    """Empties a cart in a transaction: four commands in one write."""
    pipeline = stock.redis.pipeline(transaction=True)
    pipeline.incr("orders")
    pipeline.delete(f"cart:{number}")
    order, _ = pipeline.execute()
    for command in ("MULTI", "INCRBY", "DEL", "EXEC"):
        stock.ledger.count(EDGE, "OK", command)
    return {"order": order}


def report(_stock, day):
    """Thinks for a while that depends on the day alone."""
    share = hashlib.sha256(day.encode()).digest()[0] / 255
    time.sleep(FASTEST_S + share * (SLOWEST_S - FASTEST_S))
    return {"day": day, "orders": 7}


Stock.routes = [
    ("GET", r"/stock/(\d+)", left),
    ("GET", r"/cart/(\d+)", cart),
    ("POST", r"/cart/(\d+)/items", add),
    ("POST", r"/cart/(\d+)/checkout", checkout),
    ("GET", r"/report/([0-9-]+)", report),
]


def main():
    parser = service.arguments(__doc__)
    parser.add_argument("--redis", type=int, required=True, help="port of Redis")
    options = parser.parse_args()
    CountedRedis.ledger = Stock.ledger
    Stock.redis = CountedRedis(host="127.0.0.1", port=options.redis)
    Stock.redis.set(f"cart:{BROKEN_CART}", "not a hash")
    service.serve(Stock, options)


if __name__ == "__main__":
    main()
