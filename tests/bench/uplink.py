"""The relay of telemetry to a local broker, beside bare libmosquitto."""
import os
import random
import shutil
import subprocess
import tempfile
import time

import harness
from benchlib import BENCH, LOADING, MEASURED, ROUNDS, median, processor_us, row, run

RELAY_ROWS = ["relay_mqtt"]
FIRST_PORT = 10000
DEVICES = 64
WINDOW = 100  # the default of max_inflight


class Broker:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="tcgw-bench-broker-")
        self.port = harness.free_port()
        config = os.path.join(self.directory, "conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\n"
                       "log_dest none\nset_tcp_nodelay true\n")
        self.command = [*LOADING, shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin"), "-c", config]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.directory)


def sink(gateway):
    return gateway.get("/v1/sinks/bench").json


def drain(gateway, broker):
    """What was gathered while the broker was away: messages a second from its return to the last acknowledgement."""
    behind = sink(gateway)
    broker.start()
    time.sleep(0.3)
    used = processor_us(gateway.process)
    begin = time.monotonic()
    gateway.post("/v1/sinks/bench/retry")
    after = harness.wait_for(lambda: (lambda now: now if now["behind"] == 0 else None)(sink(gateway)), 120,
                             what="the relay to be done")
    took = time.monotonic() - begin
    count = after["totals"]["acknowledged"] - behind["totals"]["acknowledged"]
    return {"rate": count / took, "count": count, "processor_us": (processor_us(gateway.process) - used) / count,
            "size": (after["totals"]["bytes"] - behind["totals"]["bytes"]) // max(count, 1)}


def fill(gateway, host):
    run([*LOADING, os.path.join(BENCH, "raw_post"), str(gateway.coap_port), host, str(FIRST_PORT), str(DEVICES), "2"])


def measure_relay(_wanted):
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    broker, rounds = Broker(), [[], []]
    gateway = harness.Gateway("telemetry.max_rate=0", "sink.bench.type=mqtt", "sink.bench.host=127.0.0.1",
                              f"sink.bench.port={broker.port}", "sink.bench.kinds=telemetry",
                              "sink.bench.backoff_max=1h", wrapper=MEASURED)
    try:
        gateway.start()
        for i in range(DEVICES):
            assert gateway.post("/v1/devices", {"id": f"bench-{i}",
                                                "address": f"coap://{host}:{FIRST_PORT + i}"}).status == 201
        for _ in range(min(ROUNDS, 5)):
            fill(gateway, host)
            figures = drain(gateway, broker)
            rounds[1].append(figures)
            rounds[0].append({"rate": float(run([*MEASURED, os.path.join(BENCH, "raw_mqtt"), str(broker.port),
                                                 str(figures["count"]), str(figures["size"]), str(WINDOW)]))})
            broker.stop()
    finally:
        gateway.close()
        broker.close()
    reference, value = median(rounds[0]), median(rounds[1])
    return [row("relay_mqtt", value, "records/s", f"bare libmosquitto, {rounds[1][0]['size']} bytes, QoS 1, window "
                f"{WINDOW}", reference, 0.5, value >= 0.5 * reference,
                processor_per_message_us=round(median(rounds[1], "processor_us"), 2))]
