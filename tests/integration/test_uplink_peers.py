"""The relay to the platform with brokers and web servers that misbehave."""
import json
import socket
import struct
import threading
import time

from harness import main, wait_for
from relay import Device, RelayTest, first_seen, settings

CONNECT, PUBLISH, SUBSCRIBE, PING = 1, 3, 8, 12


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def read_packet(connection):
    """A packet's type, flags and rest."""
    head = read_exactly(connection, 1)[0]
    size = shift = 0
    while True:
        byte = read_exactly(connection, 1)[0]
        size |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return head >> 4, head & 15, read_exactly(connection, size)


class FakeBroker:
    """Speaks as much MQTT 3.1.1 (or 5) as it takes, and does what `on_publish` says with each message: it returns the
    packet ids to acknowledge, None to drop the connection, or bytes to send."""

    def __init__(self, connack=0, version=4):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.connack, self.version = connack, version
        self.connects, self.messages = 0, []
        self.properties = b""  # of MQTT 5's CONNACK
        self.on_publish = lambda mid, topic, payload: [mid]
        self.closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closed:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        self.connection = connection
        try:
            with connection:
                while self.take(connection, *read_packet(connection)):
                    pass
        except (ConnectionError, OSError):
            pass

    def take(self, connection, kind, _flags, rest):
        if kind == CONNECT:
            self.connects += 1
            rest = bytes([0, self.connack])
            if self.version == 5:
                rest += bytes([len(self.properties)]) + self.properties
            connection.sendall(bytes([0x20, len(rest)]) + rest)
            return self.connack == 0
        if kind == PING:
            connection.sendall(b"\xd0\x00")
        if kind != PUBLISH:
            return True
        n = struct.unpack(">H", rest[:2])[0]
        topic, mid = rest[2:2 + n].decode(), struct.unpack(">H", rest[2 + n:4 + n])[0]
        payload = rest[4 + n:]
        if self.version == 5:
            payload = payload[1 + payload[0]:]
        self.messages.append((topic, payload.decode()))
        answer = self.on_publish(mid, topic, payload)
        if answer is None:
            return False
        if not isinstance(answer, bytes):
            answer = b"".join(struct.pack(">BBH", 0x40, 2, one) for one in answer)
        connection.sendall(answer)
        return True

    def values(self):
        return [json.loads(text)["records"][0]["value"] for topic, text in list(self.messages)
                if "/telemetry/" in topic]

    def close(self):
        self.closed = True
        self.server.close()


class TestBrokers(RelayTest):
    def fake(self, **more):
        broker = FakeBroker(**more)
        self.addCleanup(broker.close)
        return broker

    def sink(self, port, **keys):
        return settings("cloud", **{"type": "mqtt", "host": "127.0.0.1", "port": port, "version": "3.1.1",
                                    "kinds": "telemetry", "backoff_max": "1s", "timeout": "1s", **keys})

    def test_refuses(self):
        broker = self.fake(connack=5)
        gateway = self.relay(self.sink(broker.port))
        error = self.wait_for_sink(gateway, "waiting")["error"]
        self.assertIn("refuse", error)
        device = Device(gateway, "d1")
        self.assertTrue(device.send(1))
        broker.connack = 0
        self.assertEqual(gateway.post("/v1/sinks/cloud/retry").status, 200)
        wait_for(lambda: broker.values() == [1], what="the value")
        gateway.stop()

    def test_accepts_and_drops(self):
        """Pauses grow though each connection is accepted, and nothing is lost."""
        broker = self.fake()
        broker.on_publish = lambda mid, topic, payload: None
        gateway = self.relay(self.sink(broker.port, backoff_max="2s"))
        device = Device(gateway, "d1")
        for value in range(10):
            self.assertTrue(device.send(value))
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["totals"]["failures"] >= 3, 20, what="failures")
        self.assertLess(broker.connects, 12)
        broker.on_publish = lambda mid, topic, payload: [mid]
        wait_for(lambda: len(set(broker.values())) == 10, 20, what="all values")
        self.assertEqual(first_seen(broker.values()), list(range(10)))
        gateway.stop()

    def test_never_acknowledges(self):
        broker = self.fake()
        broker.on_publish = lambda mid, topic, payload: [] if "telemetry" in topic else [mid]
        gateway = self.relay(self.sink(broker.port))
        device = Device(gateway, "d1")
        self.assertTrue(device.send(1) and device.send(2))
        wait_for(lambda: "acknowledge" in (gateway.get("/v1/sinks/cloud").json["error"] or ""), 20, what="the timeout")
        broker.on_publish = lambda mid, topic, payload: [mid]
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["totals"]["acknowledged"] == 2, 20, what="an end")
        self.assertEqual(first_seen(broker.values()), [1, 2])
        gateway.stop()

    def test_acknowledges_out_of_order(self):
        """The cursor stays behind the oldest message that is not acknowledged, also over a crash."""
        broker = self.fake()
        held = []

        def backwards(mid, topic, _payload):
            if "telemetry" not in topic:
                return [mid]
            held.append(mid)
            return [] if len(held) < 6 else held[:0:-1]  # all but the first, the last one first

        broker.on_publish = backwards
        gateway = self.relay(self.sink(broker.port, timeout="1m"))
        device = Device(gateway, "d1")
        for value in range(6):
            self.assertTrue(device.send(value))
        wait_for(lambda: len(broker.values()) == 6, what="all values")
        time.sleep(0.2)  # the acknowledgements are on their way
        self.assertEqual(gateway.get("/v1/sinks/cloud").json["totals"]["acknowledged"], 0)
        gateway.kill()
        broker.messages.clear()
        broker.on_publish = lambda mid, topic, payload: [mid]
        gateway.start()
        wait_for(lambda: broker.values() == list(range(6)), what="all values again")
        gateway.stop()

    def test_black_hole(self):
        """A broker that takes the connection and says nothing, and one whose name has no address."""
        with socket.create_server(("127.0.0.1", 0)) as hole:
            gateway = self.relay(self.sink(hole.getsockname()[1]),
                                 self.sink(1883, host="no-such-host.invalid", allow_insecure="yes").replace(
                                     "[sink cloud]", "[sink lost]"))
            self.assertIn("answer", self.wait_for_sink(gateway, "waiting")["error"])
            self.wait_for_sink(gateway, "waiting", "lost")
            self.assertLess(gateway.stop(), 5)

    def test_refuses_a_message(self):
        """MQTT 5: what the broker does not take becomes a dead letter, and what follows goes on."""
        broker = self.fake(version=5)

        def answer(mid, _topic, payload):
            refused = b'"value":13' in payload
            return struct.pack(">BBHBB", 0x40, 4, mid, 0x97 if refused else 0, 0)

        broker.on_publish = answer
        gateway = self.relay(self.sink(broker.port, version="5", max_refusals=2))
        device = Device(gateway, "d1")
        for value in (12, 13, 14):
            self.assertTrue(device.send(value))
        letter = wait_for(lambda: gateway.get("/v1/sinks/cloud/dead-letters").json["items"], 20, what="a dead letter")[0]
        wait_for(lambda: 14 in broker.values(), what="what follows")
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["behind"] == 0, what="the cursor")
        body = gateway.get(f"/v1/sinks/cloud/dead-letters/{letter['first']}").json["body"]
        self.assertTrue(body.startswith("tcgw/g1/telemetry/d1\n{"))
        broker.on_publish = lambda mid, topic, payload: [mid]
        self.assertEqual(gateway.post(f"/v1/sinks/cloud/dead-letters/{letter['first']}/retry").status, 202)
        wait_for(lambda: not gateway.get("/v1/sinks/cloud/dead-letters").json["items"], what="the letter to go")
        gateway.stop()

    def test_refuses_several_messages(self):
        """Also those whose refusals come at once do not hold up what follows."""
        broker = self.fake(version=5)
        held = []

        def answer(mid, topic, payload):
            if "telemetry" not in topic:
                return [mid]
            refused = b'"value":13' in payload
            held.append(struct.pack(">BBHBB", 0x40, 4, mid, 0x97 if refused else 0, 0))
            if b'"value":14' not in payload:
                return []
            answers = b"".join(held)
            held.clear()
            return answers

        broker.on_publish = answer
        gateway = self.relay(self.sink(broker.port, version="5", max_refusals=2))
        device = Device(gateway, "d1")
        for value in (12, 13, 131, 14):
            self.assertTrue(device.send(value))
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["behind"] == 0, 20, what="the cursor")
        self.assertEqual(len(gateway.get("/v1/sinks/cloud/dead-letters").json["items"]), 2)
        gateway.stop()

    def test_takes_no_messages(self):
        """What the library does not send is not lost."""
        broker = self.fake(version=5)
        broker.properties = b"\x24\x00"  # Maximum QoS: 0
        gateway = self.relay(self.sink(broker.port, version="5"))
        device = Device(gateway, "d1")
        for value in range(3):
            self.assertTrue(device.send(value))
        wait_for(lambda: broker.connects >= 3, 20, what="attempts")
        self.assertEqual(broker.values(), [])
        broker.properties = b""
        wait_for(lambda: broker.values() == [0, 1, 2], 20, what="the values")
        gateway.stop()

    def test_never_acknowledges_answers(self):
        """The answers to commands that a broker does not take do not pile up."""
        broker = self.fake()
        broker.on_publish = lambda mid, topic, payload: [] if "response" in topic else [mid]
        gateway = self.relay(self.sink(broker.port, commands="read", timeout="1m"))
        self.wait_for_sink(gateway, "up")
        request = b'{"method": "GET", "path": "/healthz"}'
        for number in range(300):
            topic = b"tcgw/g1/command/c%d" % number
            rest = struct.pack(">H", len(topic)) + topic + request
            broker.connection.sendall(bytes([0x30, len(rest)]) + rest)
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["totals"]["commands_refused"] == 44, what="the refusals")
        answers = [json.loads(text)["status"] for topic, text in list(broker.messages) if "/response/" in topic]
        self.assertLessEqual(answers.count(200), 256)
        gateway.stop()


class TestWebServers(RelayTest):
    def serve(self, handler):
        """A server that reads a request's head and hands the connection on. Returns its port."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def one(connection):
            try:
                with connection:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(4096) or b"\r\n\r\n"
                    handler(connection)
            except OSError:
                pass

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return server.getsockname()[1]

    def hook(self, port, **keys):
        return settings("cloud", **{"type": "webhook", "url": f"http://127.0.0.1:{port}/", "kinds": "telemetry",
                                    "backoff_max": "1s", "timeout": "1s", "batch_delay": "0", **keys})

    def test_hangs(self):
        calls = []

        def handler(connection):
            calls.append(1)
            if len(calls) < 3:
                time.sleep(3)
            else:
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        gateway = self.relay(self.hook(self.serve(handler)))
        self.assertTrue(Device(gateway, "d1").send(1))
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["totals"]["acknowledged"] == 1, 20, what="an end")
        self.assertEqual(len(calls), 3)
        self.assertEqual(gateway.get("/v1/sinks/cloud/dead-letters").json["items"], [])
        gateway.stop()

    def test_hangs_when_the_gateway_stops(self):
        calls = []

        def handler(_connection):
            calls.append(1)
            time.sleep(5)

        gateway = self.relay(self.hook(self.serve(handler), timeout="1m"))
        self.assertTrue(Device(gateway, "d1").send(1))
        wait_for(lambda: calls, what="the request")
        self.assertLess(gateway.stop(), 4)

    def test_answers_a_gigabyte(self):
        sent = []

        def handler(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
            for _ in range(1024):
                connection.sendall(b"x" * (1 << 20))
                sent.append(1)

        gateway = self.relay(self.hook(self.serve(handler)))
        self.assertTrue(Device(gateway, "d1").send(1))
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["totals"]["acknowledged"] == 1, 20, what="an end")
        self.assertLess(len(sent), 100)
        gateway.stop()

    def test_always_fails(self):
        """5xx is for later until give_up_after; then it is a dead letter."""
        gateway = self.relay(self.hook(self.serve(lambda c: c.sendall(
            b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\nno\n\xff")), give_up_after="2s"))
        self.assertTrue(Device(gateway, "d1").send(1))
        letter = wait_for(lambda: gateway.get("/v1/sinks/cloud/dead-letters").json["items"], 20, what="a dead letter")[0]
        self.assertIn("500 no", letter["reason"])
        self.assertGreater(letter["attempts"], 1)
        gateway.stop()

    def test_retry_after_the_past(self):
        """A server whose clock is behind does not stop the relay."""
        calls = []

        def handler(connection):
            calls.append(1)
            connection.sendall(b"HTTP/1.1 503 Later\r\nRetry-After: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                               b"Content-Length: 0\r\n\r\n" if len(calls) == 1 else b"HTTP/1.1 204 No Content\r\n\r\n")

        gateway = self.relay(self.hook(self.serve(handler)))
        self.assertTrue(Device(gateway, "d1").send(1))
        wait_for(lambda: calls, what="the first attempt")
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["totals"]["acknowledged"] == 1, 20, what="an end")
        gateway.stop()

    def test_platform_is_away(self):
        """Nobody listens: nothing is given up, and the sink says why."""
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            port = reserved.getsockname()[1]
        gateway = self.relay(self.hook(port, give_up_after="1s"))
        self.assertTrue(Device(gateway, "d1").send(1))
        wait_for(lambda: gateway.get("/v1/sinks/cloud").json["totals"]["failures"] >= 3, 20, what="failures")
        sink = gateway.get("/v1/sinks/cloud").json
        self.assertEqual((sink["dead_letters"], sink["totals"]["acknowledged"]), (0, 0))
        self.assertTrue(sink["error"])
        gateway.stop()


if __name__ == "__main__":
    main()
