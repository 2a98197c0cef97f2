"""The journal over REST: server-sent events that go on over reconnects, restarts and kill -9, filters, many readers."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import harness
from harness import wait_for

MERGE = {"Content-Type": "application/merge-patch+json"}


class Stream:
    """A client of server-sent events. A dead one never reads."""

    def __init__(self, gateway, query="", last=None):
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
        head = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        self.socket.sendall(f"GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{head}\r\n"
                            .encode())
        self.text = b""

    def read(self):
        """More bytes; False at the end."""
        try:
            more = self.socket.recv(65536)
        except OSError:
            return False
        self.text += more
        return bool(more)

    @property
    def head(self):
        while b"\r\n\r\n" not in self.text and self.read():
            pass
        return self.text.split(b"\r\n\r\n")[0].decode()

    def body(self):
        """What came, out of its chunks."""
        rest = self.text.partition(b"\r\n\r\n")[2]
        out = b""
        while b"\r\n" in rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if length == 0 or len(rest) < length:
                break
            out += rest[:length]
            rest = rest[length + 2:]
        return out.decode()

    def events(self):
        """(id, event, data) of what is complete."""
        found = []
        for block in self.body().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "data" in fields:
                found.append((int(fields.get("id", 0)), fields["event"], json.loads(fields["data"])))
        return found

    def until(self, count):
        while len(self.events()) < count and self.read():
            pass
        return self.events()

    def close(self):
        self.socket.close()


class Events(harness.GatewayTest):
    def rename(self, gateway, device, name):
        answer = gateway.request("PATCH", f"/v1/devices/{device}", {"name": name}, headers=MERGE)
        self.assertEqual(answer.status, 200, answer)

    def with_device(self, *settings):
        gateway = self.gateway(*settings)
        for device in ("box", "other"):
            answer = gateway.post("/v1/devices", {"id": device, "address": "coap://127.0.0.1:9"})
            self.assertEqual(answer.status, 201, answer)
        return gateway

    def test_resumes_over_reconnect_restart_and_kill(self):
        gateway = self.with_device()
        done = threading.Event()
        acknowledged = []

        def change():
            number = 0
            while not done.is_set():
                try:
                    answer = gateway.request("PATCH", "/v1/devices/box", {"name": str(number)}, headers=MERGE, timeout=5)
                    if answer.status == 200:
                        acknowledged.append(str(number))
                except OSError:
                    time.sleep(0.05)
                number += 1

        seen, last = [], 0
        thread = threading.Thread(target=change)
        thread.start()
        try:
            for end in ("close", "stop", "kill", "close", "kill", None):
                stream = Stream(gateway, last=last)
                events = stream.until(len(acknowledged) % 7 + 10)
                if end == "stop":
                    gateway.stop()
                elif end == "kill":
                    gateway.kill()
                    while stream.read():
                        pass
                    events = stream.events()
                stream.close()
                events = [event for event in events if event[1] not in ("end",)]
                seen += [event[0] for event in events]
                last = seen[-1] if seen else 0
                if end in ("stop", "kill"):
                    gateway.start()
        finally:
            done.set()
            thread.join()
        page, kept = {"next_after": 0, "last": 1}, []
        while page["next_after"] < page["last"]:
            page = gateway.get(f"/v1/events?limit=1000&after={page['next_after']}").json
            kept += page["items"]
        total = kept[-1]["seq"]  # the audit trail, which is not read here, has numbers too
        stream = Stream(gateway, last=last)
        while not seen or seen[-1] < total:
            if not stream.read():
                break
            seen = [number for number in seen if number <= last] + [event[0] for event in stream.events()]
        stream.close()
        self.assertEqual(seen, [item["seq"] for item in kept])  # nothing lost, nothing twice, in order
        changes = [item for item in kept if item["kind"] == "device" and item["event"] == "changed"]
        self.assertGreaterEqual(len(changes), len(acknowledged))
        self.assertEqual(sum(item.get("event") == "started" for item in kept), 4)

    def test_filters_and_pages(self):
        gateway = self.with_device()
        stream = Stream(gateway, "?device=box&kind=device,security")
        self.assertIn("200 OK", stream.head)
        self.assertIn("text/event-stream", stream.head)
        self.rename(gateway, "other", "x")
        self.rename(gateway, "box", "y")
        gateway.enrol("box")
        events = stream.until(2)
        self.assertEqual([(event[1], event[2]["device"], event[2]["event"]) for event in events],
                         [("device", "box", "changed"), ("security", "box", "enrolled")])
        self.assertNotIn("master_secret", json.dumps(events))
        page = gateway.get("/v1/events?device=other").json
        self.assertEqual([item["event"] for item in page["items"]], ["added", "changed"])
        self.assertEqual(gateway.get(f"/v1/events?after={page['next_after']}&device=other").json["items"], [])
        self.assertEqual(gateway.get("/v1/events?group=nobody").json["items"], [])
        self.assertEqual(gateway.get("/v1/events?after=999999999").json["items"], [])
        numbers, after = [], 0
        while True:
            page = gateway.get(f"/v1/events?limit=2&after={after}").json
            if not page["items"]:
                break
            numbers += [item["seq"] for item in page["items"]]
            after = page["next_after"]
        self.assertEqual(numbers, sorted(set(numbers)))
        stream.close()

    def test_bad_parameters(self):
        gateway = self.with_device()
        for query in ("kind=foo", "kind=device,foo", "kind=" + 300 * "x", "device=a/b", "device=", "group=a%20b",
                      "name=a%20b", "name=*x", "name=", "name=" + 200 * "x", "after=-1", "after=x", "after=1.5",
                      "after=99999999999999999999", "limit=0", "limit=1001", "limit=x", "since=1", "after=1&after=2"):
            for accept in ("application/json", "text/event-stream"):
                answer = gateway.get("/v1/events?" + query, headers={"Accept": accept})
                self.assert_problem(answer, 400, "invalid-parameter")
        for last in ("x", "-1", "1 2", "99999999999999999999"):
            answer = gateway.get("/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": last})
            self.assert_problem(answer, 400, "invalid-parameter")

    def test_too_many_streams_are_refused(self):
        gateway = self.with_device("http.max_streams=3")
        streams = [Stream(gateway) for _ in range(3)]
        for stream in streams:
            self.assertIn("200 OK", stream.head)
        answer = gateway.get("/v1/events", headers={"Accept": "text/event-stream"})
        self.assert_problem(answer, 503, "too-many-connections")
        self.assertIn("Retry-After", answer.headers)
        streams[0].close()
        wait_for(lambda: gateway.metrics()["tcgw_http_streams"] == 2, what="the end of a stream to be noticed")
        for stream in streams[1:]:
            stream.close()

    def test_dead_and_slow_readers_hurt_nobody(self):
        gateway = self.with_device("journal.memory=256K")
        dead = [Stream(gateway, "?after=0") for _ in range(200)]
        slow = [Stream(gateway, "?after=0") for _ in range(10)]
        for stream in dead:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        quick = Stream(gateway)
        self.assertIn("200 OK", quick.head)  # it follows from here on
        connection = gateway.connection()
        took = []
        for number in range(400):
            begin = time.monotonic()
            connection.request("PATCH", "/v1/devices/box", json.dumps({"name": f"{number} " + 100 * "n"}), MERGE)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)
            took.append(time.monotonic() - begin)
            if number % 40 == 0:
                slow[number // 40].read()
        connection.close()
        self.assertLess(sorted(took)[len(took) // 2], 0.5)
        self.assertEqual(len(quick.until(400)), 400)
        metrics = gateway.metrics()
        self.assertEqual(metrics["tcgw_http_streams"], 211)
        self.assertLess(metrics["tcgw_journal_memory_bytes"], 1024 * 1024)
        total = quick.events()[-1][0]  # a trail that they do not read has numbers too
        for stream in slow:
            while not stream.events() or stream.events()[-1][0] < total:
                self.assertTrue(stream.read())
            numbers = [event[0] for event in stream.events()]
            self.assertEqual(numbers, sorted(set(numbers)))
        for stream in dead + slow + [quick]:
            stream.close()
        wait_for(lambda: gateway.metrics()["tcgw_http_streams"] == 0, what="all streams to end")

    def test_cli_follows_over_a_restart(self):
        gateway = self.with_device()
        out = os.path.join(gateway.directory, "events")
        with open(out, "wb") as file:
            follower = subprocess.Popen([harness.program("tcgw"), "--socket", gateway.socket, "events", "--json"],
                                        stdout=file, stderr=subprocess.PIPE)

        def names():
            with open(out, encoding="utf-8") as file:
                return [json.loads(line)["event"] for line in file if line.endswith("\n")]

        wait_for(lambda: gateway.metrics()["tcgw_http_streams"] == 1, what="tcgw to follow")
        self.rename(gateway, "box", "a")
        wait_for(lambda: names() == ["changed"], what="the first event")
        gateway.kill()
        gateway.start()
        self.rename(gateway, "box", "b")
        wait_for(lambda: names() == ["changed", "started", "changed"], what="the events after the restart")
        follower.send_signal(signal.SIGINT)
        self.assertEqual(follower.wait(10), 0)
        self.assertIn(b"waiting for it", follower.stderr.read())
        follower.stderr.close()


if __name__ == "__main__":
    harness.main()
