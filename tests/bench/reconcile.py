"""What the gateway spends on 10,000 devices that are as desired."""
import time

from benchlib import harness, processor_us, row
from secured import MANY, Fleet

ROWS = ["reconcile_idle_10000"]
SECONDS = 60
MINUTES = 10  # reconcile.interval, as it is unless the configuration says otherwise
LIMIT = 0.5   # per cent of a processor


def converge(gateway, artifact):
    answer = gateway.put("/v1/services/bench", {"devices": {"all": True},
                                                "containers": [{"uid": "app", "artifact": artifact}]})
    assert answer.status in (200, 201), answer

    def is_converged():
        status = gateway.get("/v1/services/bench").json["status"]
        assert status["failed"] == status["refused"] == 0, status
        return status["converged"] == MANY
    harness.wait_for(is_converged, 600, 1, f"{MANY} devices to be as desired")


def share(gateway, interval, settle):
    """Percentage of a processor, and questions a second, when each device is asked as often."""
    gateway.stop()
    gateway.settings += [f"reconcile.interval={interval}", "presence.online=30m"]  # they say nothing by themselves
    gateway.start()
    time.sleep(settle)
    sent, used = gateway.metrics()['tcgw_coap_messages_total{direction="sent"}'], processor_us(gateway.process)
    time.sleep(SECONDS)
    used = processor_us(gateway.process) - used
    sent = gateway.metrics()['tcgw_coap_messages_total{direction="sent"}'] - sent
    return used / 1e4 / SECONDS, sent / SECONDS


def measure_idle(_wanted):
    """The questions of ten minutes are put within one, since the first ones after a start also find out who is there,
    and what they cost is divided by ten."""
    fleet = Fleet(MANY, False)
    try:
        converge(fleet.gateway, fleet.gateway.push_example("counter", limits={"loop_period_ms": 600000}))
        asking, rate = share(fleet.gateway, "1m", 70)
        silent, _ = share(fleet.gateway, "0s", 30)
    finally:
        fleet.close()
    value = silent + max(asking - silent, 0) / MINUTES
    return [row("reconcile_idle_10000", value, "% processor", "limit", LIMIT, 1.0, value <= LIMIT, devices=MANY,
                silent_share=round(silent, 3), asking_share=round(asking, 3), asked_per_second=round(rate, 1))]
