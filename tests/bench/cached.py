"""Cached reads while the disk is slow: a gateway whose every flush takes 300 ms beside one whose does not. Both store
changes all the time, as fast as the disk takes them, at most ten a second."""
import os
import threading
import time

from benchlib import LOADING, MEASURED, ROUNDS, details, harness, median, row, wrk

CACHED_ROWS = ["cached_read_slow_disk_p99"]
SLOW_MS = 300
DEVICES = 50
CONNECTIONS = 8
PATH = "/v1/devices/bench-%d/resources/tc/c"


class Cached:
    def __init__(self, agent, delay_ms):
        shim = os.path.join(harness.BUILD, "tests", "bench", "slow_sync.so")
        self.gateway = harness.Gateway(wrapper=MEASURED, env={"LD_PRELOAD": shim, "SLOW_SYNC_MS": str(delay_ms)})
        self.gateway.start()
        for i in range(DEVICES):
            self.gateway.add_device(f"bench-{i}", agent, i, agent="v2", observe=["/tc/c"])
        harness.wait_for(lambda: self.gateway.metrics()['tcgw_observations{state="observing"}'] == DEVICES,
                         60, what="observations, which keep the cache fresh")
        self.changes, self.slowest = 0, 0.0

    def keep_storing(self, stopped):
        while not stopped.is_set():
            began = time.monotonic()
            answer = self.gateway.request("PATCH", "/v1/devices/bench-0", {"name": f"name {self.changes}"},
                                          headers={"Content-Type": "application/merge-patch+json"})
            assert answer.status == 200, answer
            self.changes += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            time.sleep(0.1)

    def load(self):
        stopped = threading.Event()
        thread = threading.Thread(target=self.keep_storing, args=[stopped])
        thread.start()
        try:
            before = self.gateway.metrics()
            figures = wrk(self.gateway.process, self.gateway.port, CONNECTIONS, PATH, DEVICES)
            after = self.gateway.metrics()
        finally:
            stopped.set()
            thread.join()
        hits = after['tcgw_cache_reads_total{status="hit"}'] - before['tcgw_cache_reads_total{status="hit"}']
        assert hits >= figures["requests"], f"{hits} hits in {figures['requests']} requests"
        return figures

    def close(self):
        self.gateway.close()


def measure_cached(_wanted):
    agents = [harness.Agent(count=DEVICES, wrapper=LOADING) for _ in range(2)]
    gateways, rounds = [], [[], []]
    try:
        for agent, delay_ms in zip(agents, (0, SLOW_MS)):
            agent.start()
            gateways.append(Cached(agent, delay_ms))
        for _ in range(ROUNDS):
            for gateway, figures in zip(gateways, rounds):
                figures.append(gateway.load())
        assert gateways[1].slowest >= SLOW_MS / 1000, "the flushes were not slow"
    finally:
        for gateway in gateways:
            gateway.close()
        for agent in agents:
            agent.close()
    reference, value = median(rounds[0], "p99_us"), median(rounds[1], "p99_us")
    return [row("cached_read_slow_disk_p99", value, "us", f"the same without {SLOW_MS} ms per flush", reference, 2.0,
                value <= 2 * reference, rate=round(median(rounds[1]), 1), reference_rate=round(median(rounds[0]), 1),
                slowest_change_s=round(gateways[1].slowest, 2), **details(rounds[1]),
                reference_details=details(rounds[0]))]
