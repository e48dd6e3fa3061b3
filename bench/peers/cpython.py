"""CPython's process pools, measured like the project. Prints one line of JSON.

usage: cpython.py call N | submit N | imap N CHUNKSIZE
"""

import json
import multiprocessing
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor

WORKERS = 2


def noop(n):
    return n


def warm(pool):
    """Both workers are there before anything is measured."""
    list(pool.map(noop, range(1000)))


def call(n):
    """No-op calls one at a time: the quantiles of n of them."""
    with ProcessPoolExecutor(WORKERS) as pool:
        warm(pool)
        took = []
        for i in range(n):
            begin = time.perf_counter()
            pool.submit(noop, i).result()
            took.append(time.perf_counter() - begin)
    took.sort()
    return {"p50": took[n // 2], "p90": took[n * 9 // 10], "p99": took[n * 99 // 100]}


def submit(n):
    """No-op calls submitted one by one, awaited in order."""
    with ProcessPoolExecutor(WORKERS) as pool:
        warm(pool)
        begin = time.perf_counter()
        calls = [pool.submit(noop, i) for i in range(n)]
        for c in calls:
            c.result()
        return {"rate": n / (time.perf_counter() - begin)}


def imap(n, chunksize):
    """imap_unordered over numbers, in chunks."""
    with multiprocessing.Pool(WORKERS) as pool:
        warm(pool)
        begin = time.perf_counter()
        for _ in pool.imap_unordered(noop, range(n), chunksize):
            pass
        return {"rate": n / (time.perf_counter() - begin)}


def version():
    return {"version": platform.python_implementation() + " " + platform.python_version()}


if __name__ == "__main__":
    measure = {"call": call, "submit": submit, "imap": imap, "version": version}[sys.argv[1]]
    print(json.dumps(measure(*map(int, sys.argv[2:]))))
