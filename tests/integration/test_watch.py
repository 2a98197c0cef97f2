#!/usr/bin/env python3
"""What operators see: health, metrics, log levels, traces and captures; and a disk or a clock that misbehaves."""
import base64
import os
import re
import shutil
import signal
import struct
import subprocess
import unittest

import harness
from harness import wait_for

SAMPLE = re.compile(r'^(tcgw_[a-z0-9_]+)(?:\{((?:[a-z_]+="[^"]*",?)*)\})? (-?[0-9.e+-]+|\+Inf)$')


def parse_metrics(text):
    """The families of a page: {name: (type, {(sample name, labels): value})}."""
    families, name = {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in families:
                raise AssertionError(f"{name} stands in two places")
            families[name] = (kind, {})
        elif not line.startswith("#"):
            sample = SAMPLE.match(line)
            if not sample or not sample[1].startswith(name):
                raise AssertionError(f"no sample of {name}: {line}")
            families[name][1][sample[1], sample[2] or ""] = float(sample[3])
    return families


def checksum(data):
    """RFC 1071: 0 for what has a right one."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def packets(capture):
    """(source port, destination port, CoAP message) of each packet of a capture file."""
    magic, major, _, _, _, _, link = struct.unpack("=IHHiIII", capture[:24])
    if (magic, major, link) != (0xa1b2c3d4, 2, 101):
        raise AssertionError("not a capture file of raw IP")
    at, all_packets = 24, []
    while at < len(capture):
        _, _, size, length = struct.unpack("=IIII", capture[at:at + 16])
        packet = capture[at + 16:at + 16 + size]
        at += 16 + size
        if size != length or packet[0] >> 4 != 4:
            raise AssertionError("a packet is cut, or no IPv4")
        if checksum(packet[:20]) != 0:
            raise AssertionError("the IP header's checksum is wrong")
        udp = packet[20:]
        pseudo = packet[12:20] + struct.pack("!BBH", 0, 17, len(udp))
        if checksum(pseudo + udp) != 0:
            raise AssertionError("the UDP checksum is wrong")
        source, destination, udp_length = struct.unpack("!HHH", udp[:6])
        if udp_length != len(udp) or struct.unpack("!H", packet[2:4])[0] != size:
            raise AssertionError("a length is wrong")
        all_packets.append((source, destination, udp[8:]))
    return all_packets


class Watch(harness.GatewayTest):
    def checks(self, gateway, status=200):
        answer = gateway.get("/readyz")
        self.assertEqual(answer.status, status, answer)
        return {name: check["status"] for name, check in answer.json["checks"].items()}

    def test_health(self):
        gateway = self.gateway()
        self.assertEqual(gateway.get("/healthz").json, {"status": "ok"})
        checks = self.checks(gateway)
        self.assertEqual(set(checks), {"running", "loop", "store", "disk", "uplink", "certificate"})
        self.assertEqual({checks["running"], checks["store"], checks["uplink"], checks["certificate"]}, {"ok"})

    def test_an_unreachable_platform_is_a_warning(self):
        config = os.path.join(harness.tempfile.mkdtemp(prefix="tcgw-test-"), "conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[sink away]\ntype = mqtt\nhost = 127.0.0.1\nport = {harness.free_port()}\ntls = no\n")
        gateway = self.gateway(config=config)
        wait_for(lambda: self.checks(gateway)["uplink"] == "warning", what="the sink to fail")
        self.assertEqual(gateway.get("/healthz").status, 200)

    def test_metrics_are_well_formed(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway)
        self.assertEqual(gateway.deploy("d0", "job", gateway.push_example("door-watch")).status, 200)
        gateway.get("/v1/devices/absent")
        families = parse_metrics(gateway.get("/metrics").body.decode())
        for name, (kind, samples) in families.items():
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
            if kind != "histogram":
                continue
            for labels in {labels for sample, labels in samples if sample == name + "_count"}:
                buckets = [value for (sample, more), value in samples.items()
                           if sample == name + "_bucket" and re.sub(r',?le="[^"]*"', "", more) == labels]
                self.assertEqual(buckets, sorted(buckets), name)
                self.assertEqual(buckets[-1], samples[name + "_count", labels], name)
        spread = {name: sum(value for (sample, _), value in samples.items() if sample.endswith("_count"))
                  for name, (kind, samples) in families.items() if kind == "histogram"}
        for name in ("tcgw_store_commit_seconds", "tcgw_store_wait_seconds", "tcgw_store_group_changes",
                     "tcgw_coap_exchange_seconds", "tcgw_device_call_seconds", "tcgw_operation_seconds",
                     "tcgw_operation_wait_seconds", "tcgw_http_request_seconds"):
            self.assertGreater(spread[name], 0, name)
        self.assertEqual(families["tcgw_http_problems_total"][1]['tcgw_http_problems_total', 'problem="not-found"'], 1)
        self.assertEqual(families["tcgw_ready"][1]["tcgw_ready", ""], 1)
        self.assertEqual(agent.events("unprotected"), [])

    def test_log_levels(self):
        gateway = self.gateway("log.level=info")
        levels = gateway.get("/v1/log-levels").json
        self.assertEqual(levels["default"], "info")
        self.assertEqual(set(levels["parts"].values()), {None})
        answer = gateway.put("/v1/log-levels", {"parts": {"core": "error"}})
        self.assertEqual(answer.json["parts"]["core"], "error", answer)
        agent = self.agent()
        gateway.add_device("quiet", agent)
        self.assertNotIn("device added", gateway.log())
        self.assertEqual(gateway.put("/v1/log-levels", {"parts": {}}).status, 200)
        gateway.add_device("told", agent)
        self.assertIn("device added device=told", gateway.log())
        for body in ({}, {"parts": {"cores": "info"}}, {"parts": {"core": "loud"}}, {"parts": {"core": 3}},
                     {"parts": {"agent": "info"}}, {"parts": {}, "more": 1}):
            self.assertEqual(gateway.put("/v1/log-levels", body).status, 400, body)

    def test_trace_and_capture(self):
        """What is said inside of OSCORE, both ways and with requests and answers that belong together."""
        gateway = self.gateway(plain=False)
        self.protected_agent(gateway, count=2)
        self.assert_problem(gateway.get("/v1/devices/d0/trace"), 404, "not-found")
        answer = gateway.post("/v1/devices/d0/trace", {"seconds": 30})
        self.assertEqual(answer.status, 201, answer)
        self.assertTrue(answer.json["active"])
        for device in ("d0", "d1"):
            self.assertEqual(gateway.get(f"/v1/devices/{device}/resources/tc").status, 200)
        trace = gateway.get("/v1/devices/d0/trace").json
        request = next(m for m in trace["items"] if m["code"] == "GET" and m["direction"] == "sent")
        response = next(m for m in trace["items"] if m["token"] == request["token"] and m["direction"] == "received")
        self.assertEqual({request["protection"], response["protection"]}, {"oscore"})
        self.assertIn({"number": 11, "name": "Uri-Path", "value": "tc"}, request["options"])
        self.assertEqual(response["code"], "2.05")
        payload = base64.b64decode(response["payload_base64"]) if "payload_base64" in response \
            else response["payload"].encode()
        self.assertEqual(len(payload), response["payload_size"])
        self.assertNotIn(9, [option["number"] for option in request["options"] + response["options"]])

        capture = gateway.get("/v1/devices/d0/trace/pcap")
        self.assertEqual(capture.headers["Content-Type"], "application/vnd.tcpdump.pcap")
        inside = packets(capture.body)
        self.assertEqual(len(inside), len(trace["items"]))
        self.assertTrue(any(source == 5683 and bytes.fromhex(request["token"]) in message and b"\xb2tc" in message
                            for source, _, message in inside))
        self.assertTrue(any(destination == 5683 and payload in message for _, destination, message in inside))

        if shutil.which("tshark"):
            path = os.path.join(gateway.directory, "d0.pcap")
            with open(path, "wb") as file:
                file.write(capture.body)
            fields = subprocess.run(["tshark", "-r", path, "-T", "fields", "-e", "coap.code", "-e", "coap.opt.uri_path",
                                     "-e", "coap.token"], capture_output=True, text=True, check=True).stdout
            self.assertRegex(fields, f"(?m)^1\ttc\t{request['token']}$")  # GET
            self.assertRegex(fields, f"(?m)^69\t\t{request['token']}$")  # 2.05

        later = gateway.get(f"/v1/devices/d0/trace?after={trace['items'][-1]['number']}").json
        self.assertEqual([m for m in later["items"] if m["number"] <= trace["items"][-1]["number"]], [])
        self.assertEqual(gateway.get("/v1/devices/d1/trace").status, 404)
        self.assertEqual(gateway.delete("/v1/devices/d0/trace").status, 204)
        self.assertEqual(gateway.get("/v1/devices/d0/trace").status, 404)

    def test_secrets_are_in_no_trace(self):
        """The keys that the gateway has made are neither in what is traced, nor in the log at its loudest."""
        gateway = self.gateway("log.level=debug", plain=False)
        agent = self.protected_agent(gateway)
        gateway.post("/v1/devices/d0/trace", {})
        self.assertEqual(gateway.get("/v1/devices/d0/resources/tc").status, 200)
        with open(agent.credentials, encoding="utf-8") as file:
            secrets = re.findall(r'"master_(?:secret|salt)": "([0-9a-f]{16,})"', file.read())
        self.assertGreater(len(secrets), 0)
        seen = gateway.get("/v1/devices/d0/trace").body + gateway.get("/v1/devices/d0/trace/pcap").body + \
            gateway.log().encode()
        for secret in secrets:
            self.assertNotIn(secret.encode(), seen)
            self.assertNotIn(bytes.fromhex(secret), seen)
        self.assertEqual(agent.events("unprotected"), [])

    def tcgw(self, gateway, *words):
        return subprocess.run([harness.program("tcgw"), "--socket", gateway.socket, *words], capture_output=True,
                              text=True, timeout=60, check=False)

    def test_command_line(self):
        gateway = self.gateway(plain=False)
        self.protected_agent(gateway)
        shown = self.tcgw(gateway, "log-level", "coap", "debug")
        self.assertIn("coap       debug\n", shown.stdout, shown)
        self.assertIn("coap       info (default)\n", self.tcgw(gateway, "log-level", "coap", "default").stdout)
        self.assertNotEqual(self.tcgw(gateway, "log-level", "coaps", "debug").returncode, 0)
        follower = subprocess.Popen([harness.program("tcgw"), "--socket", gateway.socket, "device", "trace", "d0",
                                     "--for", "60s"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.terminate)
        wait_for(lambda: gateway.get("/v1/devices/d0/trace").status == 200, what="the trace to begin")
        self.assertEqual(gateway.get("/v1/devices/d0/resources/tc").status, 200)
        line = follower.stdout.readline()
        while "GET" not in line:
            line = follower.stdout.readline()
        self.assertIn("->", line)
        self.assertIn("oscore", line)
        self.assertEqual(follower.stdout.readline(), "  Uri-Path: tc\n")
        follower.send_signal(signal.SIGINT)
        self.assertEqual(follower.wait(20), 0)
        follower.stdout.close()
        self.assertEqual(gateway.get("/v1/devices/d0/trace").status, 404)
        path = os.path.join(gateway.directory, "d0.pcap")
        answer = self.tcgw(gateway, "device", "pcap", "d0", "--for", "1s", "-o", path)
        self.assertEqual(answer.returncode, 0, answer)
        with open(path, "rb") as file:
            self.assertEqual(packets(file.read()), [])
        self.assertNotEqual(self.tcgw(gateway, "device", "pcap", "d0").returncode, 0)

    def test_dashboard_and_rules_name_what_there_is(self):
        gateway = self.gateway("http.tls_listen=127.0.0.1:0")
        there = set()
        for line in gateway.get("/metrics").body.decode().splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.split(" ")[2:]
                there |= {name, *(name + end for end in ("_bucket", "_sum", "_count") if kind == "histogram")}
        with open(os.path.join(harness.SOURCE, "src/daemon/relay.c"), encoding="utf-8") as file:
            there |= {name + end for name in re.findall('"(tcgw_sink_[a-z_]+)"', file.read()) for end in ("", "_bucket")}
        there |= {"tcgw_http_problems_total", "tcgw_operation_errors_total"}  # only what there was
        for name in ("share/grafana/tcgw.json", "share/prometheus/tcgw.rules.yaml"):
            with open(os.path.join(harness.SOURCE, name), encoding="utf-8") as file:
                asked = set(re.findall(r"\btcgw_[a-z0-9_]+", file.read()))
            self.assertGreater(len(asked), 10)
            self.assertEqual(asked - there, set(), name)

    def test_rules_are_valid(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed")
        rules = os.path.join(harness.SOURCE, "share/prometheus/tcgw.rules.yaml")
        answer = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
        self.assertEqual(answer.returncode, 0, answer)
        page = self.gateway().get("/metrics").body
        answer = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
        self.assertEqual(answer.returncode, 0, answer)

    def test_trace_limits(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("x", agent)
        for body in ({"seconds": 0}, {"seconds": 3601}, {"seconds": "10"}, {"minutes": 1}):
            self.assertEqual(gateway.post("/v1/devices/x/trace", body).status, 400, body)
        self.assertEqual(gateway.get("/v1/devices/x/trace").status, 404)
        self.assertEqual(gateway.post("/v1/devices/absent/trace", {}).status, 404)
        for i in range(8):
            gateway.add_device(f"t{i}", agent)
            self.assertEqual(gateway.post(f"/v1/devices/t{i}/trace", {}).status, 201)
        self.assertEqual(gateway.post("/v1/devices/t0/trace", {"seconds": 1}).status, 201)
        answer = gateway.post("/v1/devices/x/trace", {})
        self.assertEqual(answer.json["type"].rsplit("/", 1)[-1], "limit-reached", answer)
        wait_for(lambda: not gateway.get("/v1/devices/t0/trace").json["active"], what="the trace's end")
        self.assertEqual(gateway.delete("/v1/devices/t1").status, 204)
        self.assertEqual(gateway.post("/v1/devices/x/trace", {}).status, 201)


if __name__ == "__main__":
    unittest.main()
