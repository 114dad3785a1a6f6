#!/usr/bin/python3
"""The shop: what visitors see. Knows items, carts and prices only through the services behind it."""

import json

import service
from service import Failure, Handler, Ledger

KNOWN_ITEMS = 9000


class Shop(Handler):
    """HTTP in front, HTTP behind."""

    ledger = Ledger()
    edge = "nginx → shop.py"
    stock = None
    prices = None

    def ask(self, other, method, path, body=None):
        """An answer of a service behind; its failures are ours, as a gateway's."""
        headers = {"X-Request-ID": self.headers.get("X-Request-ID", "")}
        status, _, content = other.request(method, path, body, headers)
        if status >= 500:
            raise Failure(502, f"{other.name} answered {status}")
        return json.loads(content)


def item(shop, number):
    """An item with what is left of it and its price, if it has one; numbers beyond the catalogue do not exist."""
    if int(number) >= KNOWN_ITEMS:
        raise Failure(404, "no such item")
    left = shop.ask(shop.stock, "GET", f"/stock/{number}")["left"]
    return {"item": int(number), "left": left, "cents": shop.ask(shop.prices, "GET", f"/price/{number}").get("cents")}


def search(_shop):
    """Answers from memory: a request that causes no other."""
    return {"found": [1, 2, 3]}


def cart(shop, number):
    """What lies in a cart."""
    return shop.ask(shop.stock, "GET", f"/cart/{number}")


def add(shop, number):
    """Puts an item into a cart; 400 without one."""
    if not shop.body:
        raise Failure(400, "say which item")
    return shop.ask(shop.stock, "POST", f"/cart/{number}/items", shop.body)


def checkout(shop, number):
    """Two calls behind one request."""
    content = shop.ask(shop.stock, "GET", f"/cart/{number}")
    done = shop.ask(shop.stock, "POST", f"/cart/{number}/checkout")
    return {"cart": content, "done": done}


def report(shop, day):
    """Slow, because stock is."""
    return shop.ask(shop.stock, "GET", f"/report/{day}")


Shop.routes = [
    ("GET", r"/item/(\d+)", item),
    ("GET", r"/search", search),
    ("GET", r"/cart/(\d+)", cart),
    ("POST", r"/cart/(\d+)/items", add),
    ("POST", r"/cart/(\d+)/checkout", checkout),
    ("GET", r"/report/([0-9-]+)", report),
]


def main():
    parser = service.arguments(__doc__)
    parser.add_argument("--stock", type=int, required=True, help="port of the stock service")
    parser.add_argument("--prices", type=int, required=True, help="port of the prices service")
    options = parser.parse_args()
    Shop.stock = service.Client(options.stock, "shop.py → stock.py", Shop.ledger)
    Shop.prices = service.Client(options.prices, "shop.py → prices", Shop.ledger)
    service.serve(Shop, options)


if __name__ == "__main__":
    main()
