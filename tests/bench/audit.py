"""What the audit trail and a /metrics that is read every second cost."""
import threading

from benchlib import MEASURED, ROUNDS, details, harness, median, row, wrk

ROW = "audit_metrics_overhead"
ROWS = [ROW]
PATH, BODY = "/v1/devices/bench%d", '{"name":"n%d"}'
DEVICES = 64
SHARE = 0.95  # of what it is without both


class Scraper:
    """Reads /metrics once a second, as Prometheus would do more seldom."""

    def __init__(self, gateway):
        self.gateway, self.ended = gateway, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(1):
            assert self.gateway.get("/metrics").status == 200

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def start(entries):
    gateway = harness.Gateway(f"audit.max_entries={entries}", wrapper=MEASURED).start()
    for i in range(DEVICES):
        assert gateway.post("/v1/devices", {"id": f"bench{i}", "address": "coap://127.0.0.1:9"}).status == 201
    return gateway


def load(gateway):
    return wrk(gateway.process, gateway.port, 32, PATH, devices=DEVICES, patch=BODY)


def measure_audit(wanted):
    if ROW not in wanted:
        return []
    bare, full = start(0), start(100000)
    without, both = [], []
    try:
        for _ in range(ROUNDS):
            without.append(load(bare))
            with Scraper(full):
                both.append(load(full))
    finally:
        bare.close()
        full.close()
    value, reference = median(both), median(without)
    return [row(ROW, value, "changes/s", "the same without audit trail and scraping", reference, SHARE,
                value >= SHARE * reference, **details(both), reference_details=details(without))]
