"""What the gateway spends on 10,000 devices that are as desired."""
import time

from benchlib import harness, processor_us, row
from secured import MANY, Fleet

ROWS = ["reconcile_idle_10000"]
SECONDS = int(__import__("os").environ.get("S", "60"))
LIMIT = 0.5  # per cent of a processor


def converge(gateway, artifact):
    answer = gateway.request("PUT", "/v1/services/bench", {"devices": {"all": True},
                                                           "containers": [{"uid": "app", "artifact": artifact}]})
    assert answer.status in (200, 201), answer

    def is_converged():
        status = gateway.get("/v1/services/bench").json["status"]
        assert status["failed"] == status["refused"] == 0, status
        return status["converged"] == MANY
    harness.wait_for(is_converged, 600, 1, f"{MANY} devices to be as desired")


def sent(gateway):
    return next(float(line.split()[1]) for line in gateway.get("/metrics").body.decode().splitlines()
                if line.startswith("tcgw_coap_messages_total{direction=\"sent\"}"))


def measure_idle(_wanted):
    fleet = Fleet(MANY, False)
    try:
        gateway = fleet.gateway
        converge(gateway, gateway.push_example("counter", limits={"loop_period_ms": 600000}))
        gateway.stop()
        gateway.start()
        time.sleep(SECONDS)  # in which it looks at all of them once; each device is asked every ten minutes
        asked, used = sent(gateway), processor_us(gateway.process)
        time.sleep(SECONDS)
        share = (processor_us(gateway.process) - used) / 1e4 / SECONDS
        asked = sent(gateway) - asked
    finally:
        fleet.close()
    return [row("reconcile_idle_10000", share, "% processor", "limit", LIMIT, 1.0, share <= LIMIT, devices=MANY,
                asked_per_second=round(asked / SECONDS, 1))]
