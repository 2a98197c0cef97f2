"""Plain requests beside bare libmicrohttpd and bare libcoap."""
import os
import subprocess
import time

import harness
from benchlib import (BENCH, LOADING, MEASURED, ROUNDS, SECONDS, details, median, resident_mib, row, run, wrk)

DEVICES = 64  # with message ids for 64 * 65,536 exchanges in 247 seconds
PATH = "/v1/devices/bench-%d/containers/job"
IDLE_DEVICES = 100
IDLE_ROW = f"idle_rss_{IDLE_DEVICES}_devices"
CONNECTIONS = (1, 32)
ROWS = [f"{kind}_c{n}" for n in CONNECTIONS for kind in ("rest_read", "passthrough")] + [IDLE_ROW]


def raw_coap(agent, in_flight):
    command = [*MEASURED, os.path.join(BENCH, "raw_coap"), str(agent.port), str(DEVICES), str(in_flight), str(SECONDS), "job"]
    rate = float(run(command))
    if not rate:
        raise AssertionError(f"no answer in: {' '.join(command)}")
    return rate


def start_raw_mhd(size):
    port = harness.free_port()
    process = subprocess.Popen([*MEASURED, os.path.join(BENCH, "raw_mhd"), str(port), str(size)])
    def answers():
        try:
            connection = harness.http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            return len(connection.getresponse().read()) == size
        except OSError:
            return False
    harness.wait_for(answers, what="raw_mhd")
    return process, port


def measure(gateway, agent, connections):
    """Rounds of: bare HTTP, REST read, bare CoAP, pass-through."""
    read_path = "/v1/devices/bench-0/containers/job"
    size = len(gateway.get(read_path).body)
    process, port = start_raw_mhd(size)
    rounds = {"http": [], "read": [], "coap": [], "through": []}
    try:
        for _ in range(ROUNDS):
            rounds["http"].append(wrk(process, port, connections))
            rounds["read"].append(wrk(gateway.process, gateway.port, connections, read_path))
            rounds["coap"].append({"rate": raw_coap(agent, connections)})
            rounds["through"].append(wrk(gateway.process, gateway.port, connections, PATH, DEVICES, fresh=True))
    finally:
        process.terminate()
        process.wait()
    http, coap = median(rounds["http"]), median(rounds["coap"])
    read, through = median(rounds["read"]), median(rounds["through"])
    one_core = 1 / (1 / http + 1 / coap)
    return [
        row(f"rest_read_c{connections}", read, "requests/s", f"bare libmicrohttpd handler, {size} bytes", http, 0.8,
            read >= 0.8 * http, load=rounds["read"][0]["load"], **details(rounds["read"]),
            reference_details=details(rounds["http"])),
        row(f"passthrough_c{connections}", through, "requests/s",
            f"one core doing one bare HTTP ({http:.0f}/s) and one bare CoAP ({coap:.0f}/s) exchange", one_core, 0.5,
            through >= 0.5 * one_core, load=rounds["through"][0]["load"], **details(rounds["through"])),
    ]


def measure_memory(gateway, agent):
    for i in range(DEVICES, IDLE_DEVICES):
        gateway.add_device(f"bench-{i}", agent, i % DEVICES, agent="v1")
    gateway.stop()
    gateway.start()
    time.sleep(2)
    value = resident_mib(gateway.process.pid)
    return row(IDLE_ROW, value, "MiB", "limit", 20.0, 1.0, value < 20.0)


def measure_spine(wanted):
    gateway = harness.Gateway(wrapper=MEASURED)
    agent = harness.Agent("--agent", "v1", count=DEVICES, wrapper=LOADING)
    try:
        gateway.start()
        agent.start()
        artifact = gateway.push_example("counter", limits={"loop_period_ms": 60000})
        for i in range(DEVICES):
            gateway.add_device(f"bench-{i}", agent, i, agent="v1")
            answer = gateway.deploy(f"bench-{i}", "job", artifact, wait=20)
            if answer.status != 200:
                raise AssertionError(f"deployment failed: {answer}")
        rows = []
        for connections in CONNECTIONS:
            if any(name.endswith(f"_c{connections}") for name in wanted):
                rows += measure(gateway, agent, connections)
        if IDLE_ROW in wanted:
            rows.append(measure_memory(gateway, agent))
    finally:
        gateway.close()
        agent.close()
    return rows
