#!/usr/bin/python3
"""Visitors: asks the shop at an even pace over a few kept connections. The same seed gives the same requests."""

import argparse
import http.client
import itertools
import json
import random
import signal
import threading
import time

import service

EDGE = "load.py → nginx"
# Weight, and what it asks for.
MIX = [
    (40, lambda rng: ("GET", f"/item/{rng.randrange(500)}", None)),
    (4, lambda rng: ("GET", f"/item/{rng.randrange(9000, 9999)}", None)),
    (2, lambda rng: ("GET", f"/item/{rng.randrange(5)}13", None)),
    (12, lambda rng: ("GET", f"/search?q={rng.choice(['lamp', 'net', 'pump'])}", None)),
    (15, lambda rng: ("GET", f"/cart/{rng.randrange(99)}", None)),
    (1, lambda rng: ("GET", "/cart/99", None)),
    (10, lambda rng: ("POST", f"/cart/{rng.randrange(99)}/items", json.dumps({"item": f"i{rng.randrange(20)}"}))),
    (1, lambda rng: ("POST", f"/cart/{rng.randrange(99)}/items", None)),
    (5, lambda rng: ("POST", f"/cart/{rng.randrange(99)}/checkout", None)),
    (5, lambda rng: ("GET", f"/report/2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}", None)),
    (5, lambda rng: ("GET", "/", None)),
]
WEIGHTS = [weight for weight, _ in MIX]


def request_number(seed, number):
    """The request with this number: method, path, body."""
    rng = random.Random(seed * 1_000_003 + number)
    _, make = rng.choices(MIX, WEIGHTS)[0]
    return make(rng)


class Load:
    """The schedule, shared by all connections: request n is due n/rate seconds after the start."""

    def __init__(self, options):
        self.options = options
        self.ledger = service.Ledger()
        self.latencies = {}
        self.failures = 0
        self.stopping = threading.Event()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def next(self):
        """Number of the next request when it is due; `None` when there are no more."""
        with self._lock:
            number = next(self._numbers)
        if self.options.requests and number >= self.options.requests:
            return None
        wait = self._start + number / self.options.rate - time.monotonic()
        return None if self.stopping.wait(max(wait, 0)) else number

    def visitor(self):
        """One connection, opened again after a failure."""
        connection = None
        while (number := self.next()) is not None:
            method, path, body = request_number(self.options.seed, number)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.options.port, timeout=30)
                    connection.connect()
                start = time.perf_counter()
                connection.request(method, path, body=body)
                response = connection.getresponse()
                response.read()
                self.note(path, response.status, time.perf_counter() - start)
            except (OSError, http.client.HTTPException):
                connection = self.failed(connection)
        if connection:
            connection.close()

    def note(self, path, status, seconds):
        endpoint = service.endpoint_of(path)
        self.ledger.count(EDGE, status, endpoint)
        if self.options.requests:
            with self._lock:
                self.latencies.setdefault(endpoint, []).append(round(seconds * 1e6))

    def failed(self, connection):
        with self._lock:
            self.failures += 1
        if connection:
            connection.close()
        self.stopping.wait(0.2)

    def run(self):
        visitors = [threading.Thread(target=self.visitor) for _ in range(self.options.connections)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()

    def write(self):
        if self.options.ledger:
            self.ledger.write(self.options.ledger)
        if self.options.latencies:
            with open(self.options.latencies, "w", encoding="utf-8") as file:
                json.dump({"failures": self.failures, "latencies_us": self.latencies}, file)


def main():
    service.end_with_parent()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port of nginx")
    parser.add_argument("--rate", type=float, default=20, help="requests per second")
    parser.add_argument("--requests", type=int, default=0, help="end after so many; 0 goes on until a signal")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger", help="file for the counts, written at the end")
    parser.add_argument("--latencies", help="file for failures and response times in microseconds by endpoint")
    load = Load(parser.parse_args())
    stop = lambda *_: load.stopping.set()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    load.run()
    load.write()


if __name__ == "__main__":
    main()
