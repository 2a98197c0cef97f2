"""Containers on their way to devices over slow links, beside what a block per round trip gives."""
import concurrent.futures
import os
import socket
import statistics
import time

from benchlib import LOADING, MEASURED, harness, processor_us, row

SINGLE_ROWS = ["transfer_20ms", "transfer_200ms"]
MANY_ROWS = ["transfer_100_devices"]
BLOCK = 1024
SIZE = int(os.environ.get("BENCH_TRANSFER_KIB", "480")) * 1024
DEVICES = int(os.environ.get("BENCH_TRANSFER_DEVICES", "100"))
BUDGET = 1 << 20  # bytes a second of the link that has one
AROUND = 96  # bytes of headers that count for each block (src/coap/push.c)


class Bench:
    """A gateway, and devices behind a link with that round-trip time."""

    def __init__(self, round_trip_ms, count=1):
        self.agent = harness.Agent("--agent", "v2", "--delay", str(round_trip_ms // 2), "--package-max=1048576",
                                   count=count, wrapper=LOADING, journal=False)
        self.gateway = harness.Gateway("transfer.parallel=0", wrapper=MEASURED)
        self.artifacts = 0

    def __enter__(self):
        self.agent.start()
        self.gateway.start()
        for i in range(self.agent.count):
            self.gateway.add_device(f"bench-{i}", self.agent, i, agent="v2")
        return self

    def __exit__(self, *_):
        self.gateway.close()
        self.agent.close()

    def round_trip(self, count):
        """Seconds for a ping (RFC 7252 section 4.3) and its answer, of so many one after the other: the emulated time,
        and what the machine adds."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(10)
            peer.connect(("127.0.0.1", self.agent.port))
            began = time.monotonic()
            for i in range(count):
                peer.send(bytes([0x40, 0, 0, i]))
                peer.recv(64)
            return (time.monotonic() - began) / count

    def artifact(self, size):
        """One that no device has."""
        self.artifacts += 1
        return self.gateway.push(harness.example_bytes("counter.rbpf"), harness.example_description("counter"),
                                 data=self.artifacts.to_bytes(4, "big") * (size // 4))

    def begin(self, device, artifact):
        answer = self.gateway.put(f"/v1/devices/{device}/containers/job", {"artifact": artifact, "state": "running"})
        assert answer.status == 202, answer
        return answer.json["id"]

    def ended(self, operation):
        answer = self.gateway.get(f"/v1/operations/{operation}", headers={"Prefer": "wait=300"}, timeout=320)
        assert answer.json["state"] == "succeeded", answer

    def transfer(self, devices, size):
        """Seconds from the requests until all of them run it."""
        artifact = self.artifact(size)
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for operation in list(pool.map(lambda device: self.begin(device, artifact), devices)):
                self.ended(operation)
        return time.monotonic() - began

    def ask_while_loading(self, size):
        """How long interactive requests take during a transfer (s), and what it then takes itself."""
        began, times = time.monotonic(), []
        operation = self.begin("bench-0", self.artifact(size))
        harness.wait_for(lambda: self.gateway.get("/v1/transfers").json["count"], 30, what="the transfer to begin")
        while self.gateway.get("/v1/transfers").json["count"]:
            times.append(self.ask())
            time.sleep(0.3)
        self.ended(operation)
        return times, time.monotonic() - began

    def ask(self):
        began = time.monotonic()
        answer = self.gateway.get("/v1/devices/bench-0/resources/tc", headers={"Cache-Control": "no-cache"})
        assert answer.status == 200, answer
        return time.monotonic() - began


def measure_one(name, round_trip_ms, size, rounds):
    trips, seconds = [], []
    with Bench(round_trip_ms) as bench:
        bench.transfer(["bench-0"], 4 * BLOCK)
        for _ in range(rounds):
            trips.append(bench.round_trip(size // BLOCK // 4))
            seconds.append(bench.transfer(["bench-0"], size))
        idle = statistics.median(bench.ask() for _ in range(5))
        asked, disturbed = bench.ask_while_loading(size // 2)
    rate, most = size / statistics.median(seconds), BLOCK / statistics.median(trips)
    return row(name, rate / 1024, "KiB/s", f"a block of {BLOCK} bytes per round trip of {1000 * BLOCK / most:.2f} ms",
               most / 1024, 0.95, rate >= 0.95 * most, bytes=size, seconds=round(statistics.median(seconds), 3),
               request_ms=round(idle * 1000, 2), request_in_transfer_ms=round(statistics.median(asked) * 1000, 2),
               longest_request_in_transfer_ms=round(max(asked) * 1000, 2),
               rate_with_requests_kib_s=round(size // 2 / disturbed / 1024, 2), requests=len(asked))


def measure_single(wanted):
    rows = []
    if "transfer_20ms" in wanted:
        rows.append(measure_one("transfer_20ms", 20, SIZE, 3))
    if "transfer_200ms" in wanted:
        rows.append(measure_one("transfer_200ms", 200, SIZE // 2, 1))
    return rows


def measure_many(_wanted):
    """Where the link has no budget all devices together shall have what one has alone, times their number; where it
    has one, that."""
    with Bench(20, DEVICES) as bench:
        devices = [f"bench-{i}" for i in range(DEVICES)]
        bench.transfer(devices, 4 * BLOCK)
        alone = SIZE / bench.transfer(devices[:1], SIZE)
        used = processor_us(bench.gateway.process)
        together = SIZE * DEVICES / bench.transfer(devices, SIZE)
        used = processor_us(bench.gateway.process) - used
        assert bench.gateway.put("/v1/links/default", {"parallel": 0, "rate": BUDGET}).status == 200
        budgeted = SIZE // 4 * DEVICES / bench.transfer(devices, SIZE // 4)
    most, allowed = alone * DEVICES, BUDGET * BLOCK / (BLOCK + AROUND)
    share = budgeted / min(allowed, most)
    return [row("transfer_100_devices", together / 1024, "KiB/s", f"{DEVICES} times what one device alone has",
                most / 1024, 0.9, together >= 0.9 * most and share >= 0.9, devices=DEVICES, bytes=SIZE,
                block_processor_us=round(used / (SIZE // BLOCK * DEVICES), 1), budget_kib_s=BUDGET // 1024,
                within_budget_kib_s=round(budgeted / 1024, 1), share_of_budget=round(share, 3))]
