"""Telemetry over CoAP, acknowledged when it is durable, beside bare exchanges."""
import os
import random
import socket
import subprocess

from benchlib import BENCH, LOADING, MEASURED, ROUNDS, SECONDS, harness, median, processor_us, row, run

SINGLE_ROWS = ["telemetry_single"]
FIRST_PORT = 10000
DEVICES = 256  # of the gateway, whose commits take what has come meanwhile
BARE_DEVICES = 64  # of libcoap, which slows down with more


class Bare:
    """A libcoap server that answers and does nothing."""

    def __init__(self):
        self.port = harness.free_port(socket.SOCK_DGRAM)
        self.process = subprocess.Popen([*MEASURED, os.path.join(BENCH, "raw_coap_server"), str(self.port)],
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def close(self):
        self.process.kill()
        self.process.wait()


class Telemetry:
    def __init__(self, host):
        self.gateway = harness.Gateway("telemetry.max_rate=0", wrapper=MEASURED)
        try:
            self.gateway.start()
            self.process, self.port = self.gateway.process, self.gateway.coap_port
            for i in range(DEVICES):
                answer = self.gateway.post("/v1/devices", {"id": f"bench-{i}", "agent": "v2",
                                                           "address": f"coap://{host}:{FIRST_PORT + i}"})
                assert answer.status == 201, answer
        except BaseException:
            self.close()
            raise

    def stored(self):
        return self.gateway.metrics()["tcgw_telemetry_records_total"]

    def close(self):
        self.gateway.close()


def load(server, host, devices, records=1):
    used = processor_us(server.process)
    rate, count, repeated = run([*LOADING, os.path.join(BENCH, "raw_post"), str(server.port), host, str(FIRST_PORT),
                                 str(devices), str(SECONDS), str(records)]).split()
    used = processor_us(server.process) - used
    return {"rate": float(rate), "count": int(count), "repeated": int(repeated), "processor_us": used / int(count)}


def measure_single(_wanted):
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    servers, rounds = [], [[], []]
    try:
        servers = [Bare()]
        servers.append(Telemetry(host))
        for _ in range(ROUNDS):
            for server, devices, figures in zip(servers, (BARE_DEVICES, DEVICES), rounds):
                figures.append(load(server, host, devices))
        stored, sent = servers[1].stored(), sum(figures["count"] for figures in rounds[1])
        assert sent <= stored <= sent + ROUNDS * DEVICES, f"{stored} records are stored, {sent} were acknowledged"
    finally:
        for server in servers:
            server.close()
    reference, value = median(rounds[0]), median(rounds[1])
    return [row("telemetry_single", value, "messages/s", f"bare libcoap server, {BARE_DEVICES} devices", reference, 0.5,
                value >= 0.5 * reference, processor_per_message_us=round(median(rounds[1], "processor_us"), 2),
                reference_processor_per_message_us=round(median(rounds[0], "processor_us"), 2))]
