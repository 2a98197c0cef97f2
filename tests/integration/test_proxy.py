#!/usr/bin/env python3
"""Resources of devices over HTTP, with the real daemon: what is fresh, validated, stale and shared; /hc; observations
that the gateway holds, of devices that answer with errors, that never end, and that are started anew."""
import socket
import threading
import time

import harness
from harness import wait_for

CONTENT, VALID, CHANGED, NOT_FOUND, NOT_ACCEPTABLE = 0x45, 0x43, 0x44, 0x84, 0x86
UNAVAILABLE = 0xa3


class Device:
    """A CoAP server whose resources a test sets: path -> {"body", "code", "format", "etag", "max_age", "delay"}."""

    def __init__(self, port=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.resources, self.requests, self.observers, self.sequence = {}, [], {}, 1
        self.closing = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def port(self):
        return self.socket.getsockname()[1]

    def address(self, _index=0):
        return f"coap://127.0.0.1:{self.port()}"

    def count(self, path):
        return sum(request["path"] == path for request in self.requests)

    @staticmethod
    def parse(data):
        message = {"type": data[0] >> 4 & 3, "code": data[1], "mid": data[2:4], "token": data[4:4 + (data[0] & 15)],
                   "path": "", "query": [], "etag": None, "observe": None, "accept": None, "format": None, "body": b""}
        at, number = 4 + (data[0] & 15), 0

        def extended(nibble, at):
            if nibble < 13:
                return nibble, at
            size = 1 if nibble == 13 else 2
            return int.from_bytes(data[at:at + size], "big") + (13 if size == 1 else 269), at + size

        while at < len(data) and data[at] != 0xff:
            first = data[at]
            delta, at = extended(first >> 4, at + 1)
            length, at = extended(first & 15, at)
            number += delta
            value, at = data[at:at + length], at + length
            if number == 11:
                message["path"] += "/" + value.decode()
            elif number == 15:
                message["query"].append(value.decode())
            elif number in (4, 6, 12, 17):
                name = {4: "etag", 6: "observe", 12: "format", 17: "accept"}[number]
                message[name] = value if number == 4 else int.from_bytes(value, "big")
        message["body"] = data[at + 1:]
        return message

    @staticmethod
    def encode(kind, code, mid, token, options, body):
        data, last = bytes([0x40 | kind << 4 | len(token), code]) + mid + token, 0
        for number, value in sorted(options):
            if isinstance(value, int):
                value = value.to_bytes(4, "big").lstrip(b"\0")
            delta = number - last
            data += bytes([(delta if delta < 13 else 13) << 4 | len(value)])
            data += bytes([delta - 13]) if delta >= 13 else b""
            data += value
            last = number
        return data + (b"\xff" + body if body else b"")

    def respond(self, request):
        resource = self.resources.get(request["path"], {"code": NOT_FOUND})
        code, body, options = resource.get("code", CONTENT), resource.get("body", b""), []
        if request["code"] != 1:
            resource["body"], resource["format"] = request["body"], request["format"] or 0
            return CHANGED, [], b""
        if request["accept"] not in (None, resource.get("format", 0)):
            return NOT_ACCEPTABLE, [], b""
        if resource.get("etag"):
            options.append((4, resource["etag"]))
            if request["etag"] == resource["etag"]:
                code, body = VALID, b""
        if code == CONTENT:
            options.append((12, resource.get("format", 0)))
        options.append((14, resource.get("max_age", 60)))
        if request["observe"] == 0 and resource.get("observable") and code == CONTENT:
            self.observers[request["path"]] = (request["peer"], request["token"])
            options.append((6, self.sequence))
        return code, options, body

    def serve(self):
        while not self.closing:
            try:
                data, peer = self.socket.recvfrom(2048)
            except OSError:
                return
            if self.closing or len(data) < 4:
                continue
            request = self.parse(data)
            request["peer"] = peer
            if request["type"] >= 2 or request["code"] == 0:
                continue
            self.requests.append(request)
            time.sleep(self.resources.get(request["path"], {}).get("delay", 0))
            code, options, body = self.respond(request)
            self.socket.sendto(self.encode(2, code, request["mid"], request["token"], options, body), peer)

    def notify(self, path, body, max_age=60):
        self.sequence += 1
        peer, token = self.observers[path]
        resource = self.resources[path]
        resource["body"] = body
        options = [(6, self.sequence), (12, resource.get("format", 0)), (14, max_age)]
        mid = (0x8000 | self.sequence & 0x7fff).to_bytes(2, "big")
        self.socket.sendto(self.encode(1, CONTENT, mid, token, options, body), peer)

    def close(self):
        self.closing = True
        self.socket.sendto(b"\0", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


class Proxy(harness.GatewayTest):
    BASE = "/v1/devices/box/resources"

    def setUp(self):
        self.gw = self.gateway("coap.ack_timeout=1s", "coap.max_retransmit=1")
        self.device = Device()
        self.addCleanup(lambda: self.device.close())
        self.gw.add_device("box", self.device, agent="v2")

    def read(self, path, status=200, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.gw.get(self.BASE + path, headers=headers)
        self.assertEqual(answer.status, status, answer)
        return answer

    def cache(self, answer):
        return answer.headers["Cache-Status"]

    def test_fresh_validated_and_stale(self):
        self.device.resources["/t"] = {"body": b"21.5", "etag": b"ab", "max_age": 1}
        self.device.resources["/u"] = {"body": b"1", "max_age": 60}
        self.assertIn("fwd=miss", self.cache(self.read("/u")))
        answer = self.read("/u")
        self.assertIn("tcgw; hit; ttl=", self.cache(answer))
        self.assertEqual((answer.body, answer.headers["Cache-Control"]), (b"1", "max-age=60"))
        self.assertIn("Age", answer.headers)
        self.assertEqual(self.device.count("/u"), 1)
        self.assertIn("fwd=request", self.cache(self.read("/u", Cache_Control="no-cache")))
        self.assertIn("fwd=bypass", self.cache(self.read("/u", Cache_Control="no-store")))

        answer = self.read("/t")
        self.assertEqual(answer.headers["ETag"], '"6162"')
        wait_for(lambda: "fwd=stale; fwd-status=304" in self.cache(self.read("/t")), what="a validation")
        self.read("/t", 304, If_None_Match='"6162"')
        self.read("/never", 504, Cache_Control="only-if-cached")

        self.device.close()
        wait_for(lambda: "detail=stale" in self.cache(self.read("/t", Cache_Control="max-stale")), 20,
                 what="something stale")
        self.assertEqual(self.read("/t", Cache_Control="max-stale, only-if-cached").body, b"21.5")
        self.gw.stop()
        self.gw.start()
        answer = self.read("/u", Cache_Control="max-stale, only-if-cached")
        self.assertEqual(answer.body, b"1")
        self.assertIn("detail=stale", self.cache(answer))
        metrics = self.gw.metrics()
        self.assertGreaterEqual(metrics["tcgw_cache_entries"], 2)
        self.device = Device()

    def test_concurrent_reads_share_one_exchange(self):
        self.device.resources["/slow"] = {"body": b"x", "delay": 0.5}
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.read("/slow"))) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.device.count("/slow"), 1)
        self.assertGreaterEqual(sum("collapsed" in self.cache(answer) or "hit" in self.cache(answer)
                                    for answer in answers), 9)

    def test_writes_make_stale(self):
        self.device.resources["/led"] = {"body": b"off"}
        self.assertEqual(self.read("/led").body, b"off")
        answer = self.gw.put(self.BASE + "/led", b"on", headers={"Content-Type": "text/plain"})
        self.assertEqual(answer.status, 204, answer)
        self.assertEqual(self.read("/led").body, b"on")

    def test_cbor_is_shown_as_json(self):
        self.device.resources["/c"] = {"body": bytes.fromhex("a1616101"), "format": 60}
        answer = self.read("/c")
        self.assertEqual((answer.headers["Content-Type"], answer.body), ("application/cbor", bytes.fromhex("a1616101")))
        answer = self.read("/c", Accept="application/json")
        self.assertEqual((answer.headers["Content-Type"], answer.json), ("application/json", {"a": 1}))
        self.device.resources["/d"] = self.device.resources["/c"]
        self.assertEqual(self.read("/d", Accept="application/json").json, {"a": 1})  # 4.06 first
        self.device.resources["/s"] = {"body": bytes.fromhex("81a200617402f94d60"), "format": 112}
        self.assertEqual(self.read("/s", Accept="application/senml+json").json[0]["v"], 21.5)
        answer = self.gw.put(self.BASE + "/c", b'{"b":[true]}', headers={"Content-Type": "application/json",
                                                                       "Prefer": "convert"})
        self.assertEqual(answer.status, 204, answer)
        self.assertEqual(self.device.requests[-1]["format"], 60)
        self.assertEqual(self.device.requests[-1]["body"], bytes.fromhex("a1616281f5"))

    def test_links(self):
        self.device.resources["/.well-known/core"] = {"format": 40,
                                                      "body": b'</t>;rt="temp c";ct=0;obs,</u>;if="sensor";title="U"'}
        answer = self.gw.get(self.BASE)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["source"], "device")
        self.assertEqual([(link["href"], link["rt"], link["obs"]) for link in answer.json["items"]],
                         [("/t", ["temp", "c"], True), ("/u", [], False)])
        self.device.resources["/.well-known/core"]["body"] = b"<<garbage"
        answer = self.gw.get(self.BASE, headers={"Cache-Control": "no-cache"})
        self.assert_problem(answer, 502, "device-answer")

    def test_hc(self):
        self.device.resources["/t"] = {"body": b"21.5"}
        proxied = f"/hc/coap://127.0.0.1:{self.device.port()}"
        answer = self.gw.get(proxied + "/t?a=1")
        self.assertEqual((answer.status, answer.body), (200, b"21.5"), answer)
        self.assertEqual(self.device.requests[-1]["query"], ["a=1"])
        self.assertEqual(self.gw.put(proxied + "/t", b"1", headers={"Content-Type": "text/plain"}).status, 204)
        other = Device()
        self.addCleanup(other.close)
        other.resources["/x"] = {"body": b"other"}
        self.assert_problem(self.gw.get(f"/hc/{other.address()}/x"), 403, "unknown-host")
        self.assert_problem(self.gw.get("/hc/coap://224.0.1.187/x"), 403, "forbidden")
        self.assert_problem(self.gw.get("/hc/coap://[ff02::fd]/x"), 403, "forbidden")
        self.assert_problem(self.gw.get("/hc/coaps://127.0.0.1/x"), 400, "scheme-unsupported")
        self.assert_problem(self.gw.get("/hc/coap://name/x"), 403, "unknown-host")
        self.assert_problem(self.gw.get("/hc/x"), 400, "invalid-parameter")
        for method in ("OPTIONS", "TRACE"):
            self.assertEqual(self.gw.request(method, proxied + "/t").status, 501)
        self.assertEqual(self.gw.get("/.well-known/core?rt=core.hc").body, b'</hc/>;rt="core.hc"')
        self.assertEqual(self.gw.get("/.well-known/core?rt=x").body, b"")
        gateway = self.gateway("proxy.allow_unknown_hosts=yes")
        answer = gateway.get(f"/hc/{other.address()}/x")
        self.assertEqual((answer.status, answer.body), (200, b"other"), answer)
        self.assertEqual(gateway.get("/v1/devices").json["items"], [])

    def observation(self, path="/o"):
        items = self.gw.get("/v1/devices/box/observations").json["items"]
        return next((item for item in items if item["path"] == path), {"state": "none"})

    def observes(self, *paths):
        answer = self.gw.request("PATCH", "/v1/devices/box", {"observe": list(paths)},
                                 headers={"Content-Type": "application/merge-patch+json"})
        self.assertEqual(answer.status, 200, answer)

    def test_configured_observation(self):
        self.device.resources["/o"] = {"body": b"20.5", "observable": True}
        self.observes("/o")
        wait_for(lambda: self.observation()["state"] == "observing", what="the observation")
        self.device.notify("/o", b"21")
        wait_for(lambda: self.observation()["notifications"] >= 2, what="a notification")
        answer = self.read("/o")
        self.assertEqual(answer.body, b"21")
        self.assertIn("hit", self.cache(answer))
        self.assertEqual(self.device.count("/o"), 1)
        wait_for(lambda: self.gw.metrics()["tcgw_telemetry_records_total"] >= 2, what="telemetry")
        self.gw.stop()
        self.gw.start()  # the observation is made anew
        wait_for(lambda: self.observation()["state"] == "observing", 30, what="the observation after a restart")
        port = self.device.port()
        self.device.close()
        self.device = Device(port)  # a device that was started anew knows of none, until Max-Age is over
        self.device.resources["/o"] = {"body": b"22", "observable": True, "max_age": 0}
        self.observes()
        self.observes("/o")
        wait_for(lambda: "/o" in self.device.observers, 20, what="the observation of the new device")

    def test_bad_observations(self):
        self.device.resources["/o"] = {"body": b"{\"a\":1}", "format": 50, "observable": True}
        self.device.resources["/busy"] = {"code": UNAVAILABLE, "observable": True}
        self.device.resources["/plain"] = {"body": b"x"}
        self.observes("/o", "/busy", "/plain", "/missing")
        wait_for(lambda: self.observation()["state"] == "observing", what="the observation")
        for path in ("/busy", "/plain", "/missing"):
            wait_for(lambda p=path: self.observation(p)["state"] == "refused", what=path)
        time.sleep(1)
        self.assertEqual([self.device.count(path) for path in ("/busy", "/missing")], [1, 1])
        for number in range(300):  # it never ends
            self.device.notify("/o", b"{\"a\":%d}" % number)
        wait_for(lambda: self.observation()["suppressed"] > 0, what="suppressed events")
        self.assertEqual(self.gw.get("/healthz").status, 200)

    def test_groups(self):
        self.device.resources["/o"] = {"body": b"20.5", "observable": True}
        answer = self.gw.put("/v1/groups/lab", {"observe": ["/o"]})
        self.assertEqual(answer.json, {"name": "lab", "observe": ["/o"], "devices": 0})
        answer = self.gw.request("PATCH", "/v1/devices/box", {"groups": ["lab"]},
                                 headers={"Content-Type": "application/merge-patch+json"})
        self.assertEqual(answer.status, 200, answer)
        wait_for(lambda: self.observation()["state"] == "observing", what="the observation")
        self.assertEqual(self.gw.get("/v1/groups").json["items"][0]["devices"], 1)
        self.assertEqual(self.gw.delete("/v1/groups/lab").status, 204)
        self.assertEqual(self.observation()["state"], "none")

    def test_agent_that_is_killed(self):
        agent = self.agent()
        self.gw.add_device("real", agent)
        base = "/v1/devices/real/resources/tc"
        self.assertEqual(self.gw.get(base).status, 200)
        agent.stop()
        answer = self.gw.get(base, headers={"Cache-Control": "max-stale"})
        self.assertEqual(answer.status, 200, answer)
        answer = self.gw.get(base + "/none", headers={"Cache-Control": "max-stale"})
        self.assertEqual(answer.status, 504, answer)


if __name__ == "__main__":
    harness.unittest.main()
