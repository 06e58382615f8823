"""A program that reaches the failpoint `ingest.read` as often as its argument says, and prints each time that it survived."""

import sys

from worker.telemetry import failpoints


def main() -> None:
    for number in range(int(sys.argv[1])):
        failpoints.failpoint("ingest.read")
        print(number, flush=True)
