"""Protected requests beside plain ones, and many devices beside few."""
import concurrent.futures
import json
import os
import random
import time

import harness
from benchlib import (LOADING, MEASURED, ROUNDS, details, median, processor_us, resident_mib, row, wrk)

DEVICES = 64
FEW, MANY = 10, 10000
CONNECTIONS = 32
INBOUND_FEW, INBOUND_RATE, INBOUND_SECONDS = 100, 1000, 15
FIRST_PORT = 10000
PATH = "/v1/devices/bench-%d/resources/tc"
PAIR_ROWS = ["oscore_passthrough"]
MANY_ROWS = ["devices_10000", "rss_per_device", "inbound_10000"]
KEPT = ["limits.devices=20000"]


def make_agent(*options, count):
    """Thousands of ports in a row are hardly free on an address that others use too, so it gets one of its own."""
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    return harness.Agent("--listen", host, *options, host=host, port=FIRST_PORT, count=count, wrapper=LOADING, journal=False)


class Fleet:
    """A gateway and its devices, which agents of one process simulate."""

    def __init__(self, count, protected, report_ms=None, extra=()):
        self.count = count
        self.gateway = harness.Gateway(*KEPT, wrapper=MEASURED, plain=not protected)
        self.agent = None
        self.next = 0
        try:
            self.gateway.start()
            options = []
            if protected:
                options += ["--oscore", self.enrol()]
            if report_ms or extra:
                options += ["--gateway", f"127.0.0.1:{self.gateway.coap_port}", *extra]
            if report_ms:
                options += ["--report", f"{report_ms}ms"]
            self.agent = make_agent(*options, count=count)
            self.agent.start()
            self.each(self.move if protected else self.add)
        except BaseException:
            self.close()
            raise

    def each(self, call):
        """Calls it with each device's number, from several threads, since a commit holds more than one change."""
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(call, range(self.count)))
        for answer in answers:
            assert answer.status in (200, 201), answer
        return answers

    def add(self, i):
        address = self.agent.address(i) if self.agent else "coap://127.0.0.1:9"
        return self.gateway.post("/v1/devices", {"id": f"bench-{i}", "address": address, "agent": "v2"})

    def move(self, i):
        return self.gateway.request("PATCH", f"/v1/devices/bench-{i}", {"address": self.agent.address(i)})

    def enrol(self):
        """Credentials for devices whose ports are not known yet, in a file that the agent reads."""
        self.each(self.add)
        answers = self.each(lambda i: self.gateway.post(f"/v1/devices/bench-{i}/credentials", {}))
        path = os.path.join(self.gateway.directory, "credentials")
        with open(path, "w", encoding="utf-8") as file:
            json.dump([answer.json for answer in answers], file)
        return path

    def warm_up(self):
        """A gateway as it is after a start, not after thousands of enrolments in a row, whose leavings lie all over its
        memory; and each device at least once: then its credential is active and its numbers are reserved."""
        asked = 0
        self.gateway.stop()
        self.gateway.start()
        while asked <= self.count:
            asked += self.load()["requests"]

    def load(self):
        """Goes on with the device where the last load ended."""
        figures = wrk(self.gateway.process, self.gateway.port, CONNECTIONS, PATH, self.count, self.next)
        self.next = (self.next + figures["requests"]) % self.count
        return figures

    def received(self):
        return float(next(line.split()[1] for line in self.gateway.get("/metrics").body.decode().splitlines()
                          if line.startswith("tcgw_coap_requests_total{resource=\"reported\"} ")))

    def inbound_us(self):
        """Processor time of the gateway for each report that it took."""
        used, before = processor_us(self.gateway.process), self.received()
        time.sleep(INBOUND_SECONDS)
        count = self.received() - before
        used = processor_us(self.gateway.process) - used
        assert count > INBOUND_SECONDS * INBOUND_RATE * 0.9, f"only {count} reports in {INBOUND_SECONDS} s"
        return {"processor_us": used / count, "count": count}

    def close(self):
        self.gateway.close()
        if self.agent:
            self.agent.close()


def compare(fleets):
    """Rounds of load on each fleet in turn."""
    rounds = [[] for _ in fleets]
    for fleet in fleets:
        fleet.warm_up()
    for _ in range(ROUNDS):
        for fleet, figures in zip(fleets, rounds):
            figures.append(fleet.load())
    return rounds


def measure_pair(_wanted):
    fleets = []
    try:
        fleets += [Fleet(DEVICES, protected) for protected in (False, True)]
        plain, protected = compare(fleets)
    finally:
        for fleet in fleets:
            fleet.close()
    value, reference = median(protected), median(plain)
    return [row("oscore_passthrough", value, "requests/s", "the same requests to devices without OSCORE", reference, 0.85,
                value >= 0.85 * reference, load=protected[0]["load"], **details(protected),
                reference_details=details(plain))]


def measure_load(few, many):
    few_rounds, many_rounds = compare([few, many])
    value, reference = median(many_rounds), median(few_rounds)
    return row("devices_10000", value, "requests/s", f"the same over {FEW} devices", reference, 0.95,
               value >= 0.95 * reference, load=many_rounds[0]["load"], **details(many_rounds),
               reference_details=details(few_rounds))


def measure_memory(few, many):
    kib = [resident_mib(fleet.gateway.process.pid) * 1024 for fleet in (few, many)]
    value = (kib[1] - kib[0]) / (MANY - FEW)
    return row("rss_per_device", value, "KiB", f"limit; {kib[1] / 1024:.1f} MiB with {MANY} devices after traffic", 4.0, 1.0,
               value <= 4.0)


def measure_inbound():
    """One fleet after the other: both at the same rate, so that only the number of devices differs."""
    figures = []
    for count in (INBOUND_FEW, MANY):
        fleet = Fleet(count, True, report_ms=1000 * count // INBOUND_RATE)
        try:
            harness.wait_for(lambda: fleet.received() > count, 60, what=f"a report of each of {count} devices")
            rounds = [fleet.inbound_us() for _ in range(3)]
        finally:
            fleet.close()
        figures.append(median(rounds, "processor_us"))
    return row("inbound_10000", figures[1], "us/message", f"{INBOUND_FEW} devices at the same {INBOUND_RATE} messages/s",
               figures[0], 1.5, figures[1] <= 1.5 * figures[0])


def measure_many(wanted):
    rows, fleets = [], []
    if set(wanted) & set(MANY_ROWS[:2]):
        try:
            fleets += [Fleet(count, True) for count in (FEW, MANY)]
            rows.append(measure_load(*fleets))
            rows.append(measure_memory(*fleets))
        finally:
            for fleet in fleets:
                fleet.close()
    if MANY_ROWS[2] in wanted:
        rows.append(measure_inbound())
    return rows
