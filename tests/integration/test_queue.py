#!/usr/bin/env python3
"""What waits for devices that sleep, with the real daemon, a device of our own whose sleep is exactly known, and
tcagent."""
import time

import harness
from test_telemetry import CHANGED, Plain

ASYNC = {"Prefer": "respond-async"}


class Sleeper(Plain):
    """Answers requests of the gateway when it is told to, and else drops them."""

    def requests(self, seconds=2.0, answer=0x44, most=1):
        """What comes within that time, at most so many: (code, path). 0: none is answered."""
        found, end, seen = [], time.monotonic() + seconds, set()
        while len(found) < most and time.monotonic() < end:
            try:
                self.socket.settimeout(0.05)
                message, address = self.socket.recvfrom(65536)
            except OSError:
                continue
            if message[0] & 0x30 or not 0 < message[1] < 32:
                continue
            if answer:
                self.socket.sendto(bytes([0x60 | message[0] & 15, answer]) + message[2:4 + (message[0] & 15)], address)
            if message[2:4] not in seen:
                seen.add(message[2:4])
                found.append((message[1], self.path(message)))
        return found

    @staticmethod
    def path(message):
        at, number, parts = 4 + (message[0] & 15), 0, []
        while at < len(message) and message[at] != 255:
            delta, length = message[at] >> 4, message[at] & 15
            at, number = at + 1, number + delta
            if number == 11:
                parts.append(message[at:at + length].decode())
            at += length
        return "/" + "/".join(parts)


class Queue(harness.GatewayTest):
    def setUp(self):
        self.gw = self.gateway("presence.awake=1s")
        self.device = Sleeper(self.gw)
        self.addCleanup(self.device.close)
        self.gw.add_device("box", self.device, sleep={"sleep_s": 60, "awake_ms": 1000})

    def wakes(self):
        self.assertEqual(self.device.send("/t/wake", "1")[0], CHANGED)

    def queues(self, method, path, **more):
        answer = self.gw.request(method, f"/v1/devices/box/resources{path}", b"x" if method != "GET" else None,
                                 headers={**ASYNC, **({"Content-Type": "text/plain"} if method != "GET" else {})},
                                 **more)
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.headers["Location"], f"/v1/operations/{answer.json['id']}")
        return answer.json["id"]

    def operation(self, name):
        return self.gw.get(f"/v1/operations/{name}").json

    def test_waits_in_order(self):
        self.assert_problem(self.gw.get("/v1/devices/box/resources/a"), 504, "device-asleep")
        ids = [self.queues("PUT", f"/{i}") for i in range(3)]
        self.assertEqual(self.device.requests(0.5), [])
        found = self.operation(ids[0])
        self.assertEqual((found["state"], found["waiting_for"]), ("queued", "device"))
        self.assertEqual(found["request"]["path"], "/0")
        self.wakes()
        self.assertEqual(self.device.requests(10, most=3), [(3, "/0"), (3, "/1"), (3, "/2")])
        for name in ids:
            ended = self.gw.ended(name)
            self.assertEqual((ended["state"], ended["result"]["coap_code"]), ("succeeded", "2.04"), ended)

    def test_lost_answers(self):
        put, post = self.queues("PUT", "/put"), self.queues("POST", "/post")
        self.wakes()
        self.assertEqual(self.device.requests(10, answer=0), [(3, "/put")])
        harness.wait_for(lambda: self.operation(put)["waiting_for"] == "device", 10, what="the exchange to be given up")
        self.device.requests(0.3, answer=0, most=9)  # what is still on its way
        self.wakes()
        self.assertEqual(self.device.requests(10), [(3, "/put")])  # repeated
        self.assertEqual(self.gw.ended(put)["state"], "succeeded")
        self.assertEqual(self.device.requests(10, answer=0), [(2, "/post")])
        ended = self.gw.ended(post)
        self.assertEqual(ended["error"]["type"].rsplit("/", 1)[1], "outcome-unknown", ended)
        self.device.requests(0.3, answer=0, most=9)
        self.wakes()
        self.assertEqual(self.device.requests(1), [])  # not repeated

    def test_time_to_live_and_cancel(self):
        dies, goes = self.queues("PUT", "/dies?ttl=1"), self.queues("PUT", "/goes")
        self.assertEqual(self.gw.post(f"/v1/operations/{goes}/cancel").json["state"], "cancelled")
        self.assertEqual(self.gw.ended(dies)["state"], "expired")
        self.wakes()
        self.assertEqual(self.device.requests(0.5), [])

    def test_restart_and_kill(self):
        first = self.queues("PUT", "/first")
        self.gw.stop()
        self.gw.start()
        second = self.queues("POST", "/second")
        self.gw.kill()
        self.gw.start()
        self.assertEqual(self.device.requests(0.5), [])  # nobody is awake because a table says so
        self.wakes()
        self.assertEqual(self.device.requests(10, most=2), [(3, "/first"), (2, "/second")])
        for name in (first, second):
            self.assertEqual(self.gw.ended(name)["state"], "succeeded")

    def test_bounds(self):
        self.gw.stop()
        self.gw.settings = [*self.gw.settings, "limits.queue_per_device=3", "limits.operations=4"]
        self.gw.start()
        for i in range(3):
            self.queues("PUT", f"/{i}")
        answer = self.gw.request("PUT", "/v1/devices/box/resources/x", b"x", headers=ASYNC)
        self.assert_problem(answer, 503, "queue-full", "limits.queue_per_device")
        other = Sleeper(self.gw)
        self.addCleanup(other.close)
        self.gw.add_device("other", other, sleep={"sleep_s": 60})
        self.assertEqual(self.gw.request("PUT", "/v1/devices/other/resources/x", b"x", headers=ASYNC).status, 202)
        answer = self.gw.request("PUT", "/v1/devices/other/resources/x", b"x", headers=ASYNC)
        self.assert_problem(answer, 503, "queue-full", "limits.operations")
        answer = self.gw.request("PUT", "/v1/devices/other/resources/x", 65537 * b"x", headers=ASYNC)
        self.assertIn(answer.slug, ("queue-full", "body-too-large"))


class SleepingAgent(harness.GatewayTest):
    def test_deployment_and_request(self):
        gateway = self.gateway()
        self.protected_agent(gateway, "--register", "--sleep", "1", "--awake", "700")
        harness.wait_for(lambda: gateway.get("/v1/devices/d0").json["presence"]["state"] == "asleep", 20,
                         what="the device to be seen asleep")
        read = gateway.get("/v1/devices/d0/resources/sensors/temperature", headers=ASYNC)
        self.assertEqual(read.status, 202, read)
        answer = gateway.deploy("d0", "job", gateway.push_example("counter"), wait=60, ttl=120)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(gateway.ended(read.json["id"])["result"]["status"], 200)


if __name__ == "__main__":
    harness.unittest.main()
