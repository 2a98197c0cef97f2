#!/usr/bin/env python3
"""What devices say, with the real daemon: libcoap's client and a client of our own send to /t; what is wrong is refused
with a reason; a full disk and kill -9 lose and double nothing that was acknowledged."""
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import time

import harness

SENML_JSON, SENML_CBOR, TEXT, CBOR = 110, 112, 0, 60
CHANGED, BAD_REQUEST, UNAUTHORIZED = "2.04", "4.00", "4.01"
CLIENT = shutil.which("coap-client-notls") or shutil.which("coap-client")


class Plain:
    """A device without protection, with a socket of its own. What it sends it can send again as it was."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.5)
        self.mid = random.randrange(65536)

    def address(self, _index=0):
        return f"coap://127.0.0.1:{self.socket.getsockname()[1]}"

    @staticmethod
    def option(delta, value):
        def split(number):
            return (number, b"") if number < 13 else (13, bytes([number - 13])) if number < 269 else (
                14, (number - 269).to_bytes(2, "big"))
        (high, more), (low, length) = split(delta), split(len(value))
        return bytes([high << 4 | low]) + more + length + value

    def datagram(self, path, payload, content_format=None, queries=(), block=None):
        self.mid = (self.mid + 1) % 65536
        token = self.mid.to_bytes(4, "big")
        options = [(11, part.encode()) for part in path.strip("/").split("/")]
        if content_format is not None:
            options.append((12, content_format.to_bytes(2, "big").lstrip(b"\0")))
        options += [(15, query.encode()) for query in queries]
        if block:
            number, more, size = block
            options.append((27, (number << 4 | more << 3 | size).to_bytes(3, "big").lstrip(b"\0")))
        message, last = b"", 0
        for number, value in options:
            message += self.option(number - last, value)
            last = number
        return (bytes([0x44, 2]) + self.mid.to_bytes(2, "big") + token + message +
                (b"\xff" + payload if payload else b""))

    def exchange(self, datagram, timeout=20):
        """The answer's code, Max-Age (60 when it has none) and payload. Retransmits."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.socket.sendto(datagram, ("127.0.0.1", self.gateway.coap_port))
            try:
                while True:
                    answer = self.socket.recv(65536)
                    if answer[1] and answer[4:8] == datagram[4:8]:
                        if answer[0] & 0x30 == 0:  # separate
                            self.socket.sendto(bytes([0x60, 0]) + answer[2:4], ("127.0.0.1", self.gateway.coap_port))
                        return self.read(answer)
            except OSError:
                continue
        raise AssertionError("no answer")

    @staticmethod
    def read(answer):
        at, number, age = 8, 0, 60
        while at < len(answer) and answer[at] != 255:
            delta, length = answer[at] >> 4, answer[at] & 15
            at += 1
            assert delta != 14 and length < 13
            if delta == 13:
                delta, at = 13 + answer[at], at + 1
            number += delta
            if number == 14:
                age = int.from_bytes(answer[at:at + length], "big")
            at += length
        code = f"{answer[1] >> 5}.{answer[1] & 31:02}"
        return code, age, answer[at + 1:].decode("utf-8", "replace")

    def send(self, path, payload, content_format=None, queries=()):
        if isinstance(payload, (list, dict)):
            payload = json.dumps(payload)
        if isinstance(payload, str):
            payload = payload.encode()
        return self.exchange(self.datagram(path, payload, content_format, queries))

    def send_blocks(self, path, payload, content_format, size=6):
        step, answer = 16 << size, None
        for at in range(0, len(payload), step):
            more = at + step < len(payload)
            answer = self.exchange(self.datagram(path, payload[at:at + step], content_format,
                                                 block=(at // step, more, size)))
            if more and answer[0] != "2.31":
                return answer
        return answer

    def close(self):
        self.socket.close()


class Telemetry(harness.GatewayTest):
    def setUp(self):
        self.gw = self.gateway("telemetry.max_rate=0", "telemetry.max_records=2000")
        self.device = self.add(self.gw, "one")

    def add(self, gateway, name):
        device = Plain(gateway)
        self.addCleanup(device.close)
        gateway.add_device(name, device)
        return device

    def messages(self, gateway=None):
        """How many messages are in the journal."""
        path = os.path.join((gateway or self.gw).state, "tcgw.db")
        with sqlite3.connect(path, timeout=30) as database:
            return database.execute("SELECT count(*) FROM journal WHERE origin IS NOT NULL AND origin != 0").fetchone()[0]

    def check(self, answer, code, *parts):
        self.assertEqual(answer[0], code, answer)
        for part in parts:
            self.assertIn(part, answer[2])

    def test_good_messages(self):
        send = self.device.send
        self.check(send("/t", [{"bn": "room/", "n": "temp", "u": "Cel", "v": 21.5}, {"n": "open", "vb": True}],
                        SENML_JSON), CHANGED)
        self.check(send("/t", bytes.fromhex("81a3006174016156" "02f93e00"), SENML_CBOR), CHANGED)
        self.check(send("/t/temp", "21.5"), CHANGED)
        self.check(send("/t/room/state", "open", TEXT), CHANGED)
        self.check(send("/t", bytes.fromhex("f93e00"), CBOR, ["n=x", "u=V"]), CHANGED)
        self.assertEqual(self.messages(), 5)
        metrics = self.gw.metrics()
        self.assertEqual(metrics["tcgw_telemetry_messages_total"], 5)
        self.assertEqual(metrics["tcgw_telemetry_records_total"], 6)

    @harness.unittest.skipUnless(CLIENT, "no coap-client")
    def test_coap_client(self):
        port = harness.free_port(socket.SOCK_DGRAM)
        self.gw.post("/v1/devices", {"id": "two", "address": f"coap://127.0.0.1:{port}"})
        for arguments in (["-t", "110", "-e", '[{"n":"a","v":1}]'], ["-t", "0", "-e", "7"]):
            path = "/t/b" if arguments[1] == "0" else "/t"
            done = subprocess.run([CLIENT, "-m", "post", "-a", "127.0.0.1", "-p", str(port), "-B", "20", "-v", "6",
                                   *arguments, f"coap://127.0.0.1:{self.gw.coap_port}{path}"],
                                  capture_output=True, text=True, timeout=60, check=True)
            self.assertIn("2.04", done.stdout + done.stderr)
        self.assertEqual(self.messages(), 2)

    def test_bad_messages(self):
        send = self.device.send
        self.check(send("/t", '[{"n":"a","v":1},{"n":"b","v":}]', SENML_JSON), BAD_REQUEST, "record 2", "malformed")
        self.check(send("/t", [{"n": "a", "v": 1, "new_": 1}], SENML_JSON), BAD_REQUEST, '"new_"', "understood")
        self.check(send("/t", [{"bver": 12, "n": "a", "v": 1}], SENML_JSON), BAD_REQUEST, '"bver" 12')
        self.check(send("/t", [{"n": "a", "v": 1, "t": 1e40}], SENML_JSON), BAD_REQUEST, '"t"', "beyond")
        self.check(send("/t", [{"bt": -1e13, "n": "a", "v": 1}], SENML_JSON), BAD_REQUEST, '"bt"')
        self.check(send("/t", '[{"n":"a","v":NaN}]', SENML_JSON), BAD_REQUEST)
        self.check(send("/t", bytes.fromhex("81a200616102f97e00"), SENML_CBOR), BAD_REQUEST, "NaN")
        self.check(send("/t/a", "nan", TEXT), BAD_REQUEST)
        self.check(send("/t", "", SENML_JSON), BAD_REQUEST)
        self.check(send("/t", os.urandom(200), SENML_CBOR), BAD_REQUEST)
        self.check(send("/t/a", b"\1\2", 42), "4.15", "42")
        stranger = Plain(self.gw)
        self.addCleanup(stranger.close)
        self.check(stranger.send("/t/a", "1"), UNAUTHORIZED)
        self.assertEqual(self.messages(), 0)
        self.check(send("/t/a", "1"), CHANGED)

    def test_thousands_of_records(self):
        pack = [{"bn": "a/", "bt": int(time.time()) - 4000}] + [{"n": str(i % 50), "v": i, "t": i // 50 or None}
                                                               for i in range(2000)]
        for record in pack:
            if record.get("t", 0) is None:
                del record["t"]
        self.check(self.device.send_blocks("/t", json.dumps(pack).encode(), SENML_JSON), CHANGED)
        self.assertEqual(self.gw.metrics()["tcgw_telemetry_records_total"], 2000)
        pack.append({"n": "x", "v": 1})
        self.check(self.device.send_blocks("/t", json.dumps(pack).encode(), SENML_JSON), "4.13", "2000")
        self.check(self.device.send_blocks("/t", b"[" + b" " * 2_000_000, SENML_JSON), "4.13")
        self.assertEqual(self.messages(), 1)

    def test_rate_limit(self):
        gateway = self.gateway("telemetry.max_rate=1")
        device = self.add(gateway, "one")
        codes = [device.send("/t/a", str(i)) for i in range(14)]
        self.check(codes[9], CHANGED)
        limited = next(answer for answer in codes if answer[0] != CHANGED)
        self.assertEqual(limited[0], "4.29")
        self.assertIn(limited[1], (1, 2))
        harness.wait_for(lambda: device.send("/t/a", "1")[0] == CHANGED, what="the limit to pass")

    def test_series_limit(self):
        gateway = self.gateway("telemetry.max_series=2")
        device = self.add(gateway, "one")
        self.check(device.send("/t/a", "1"), CHANGED)
        self.check(device.send("/t/b", "1"), CHANGED)
        self.check(device.send("/t/c", "1"), "4.03", "series")
        self.check(device.send("/t/a", "2"), CHANGED)

    def test_a_repeated_datagram_has_no_second_effect(self):
        datagram = self.device.datagram("/t/a", b"1", TEXT)
        for _ in range(3):
            self.check(self.device.exchange(datagram), CHANGED)
        self.assertEqual(self.messages(), 1)
        self.gw.kill()
        self.gw.start()
        self.check(self.device.exchange(datagram), CHANGED)
        self.assertEqual(self.messages(), 1)
        self.assertEqual(self.gw.metrics()["tcgw_telemetry_repeated_total"], 1)

    def test_kill_while_messages_come(self):
        acknowledged = 0
        for _ in range(5):
            sent = [self.device.datagram(f"/t/s{i % 7}", str(i).encode(), TEXT) for i in range(40)]
            for datagram in sent[:20]:
                self.check(self.device.exchange(datagram), CHANGED)
            for datagram in sent[20:]:
                self.device.socket.sendto(datagram, ("127.0.0.1", self.gw.coap_port))
            self.gw.kill()
            self.gw.start()
            for datagram in sent:
                self.check(self.device.exchange(datagram), CHANGED)
            acknowledged += len(sent)
            self.assertEqual(self.messages(), acknowledged)
        self.assertEqual(self.gw.check_database(), "ok")

    def test_protected_devices(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--telemetry", "200ms", count=3)
        harness.wait_for(lambda: gateway.metrics()["tcgw_telemetry_messages_total"] >= 9, 30, what="telemetry")
        gateway.kill()
        gateway.start()
        harness.wait_for(lambda: gateway.metrics()["tcgw_telemetry_messages_total"] >= 9, 60, what="telemetry again")
        agent.check_nonces()


class FullDisk(harness.GatewayTest):
    LIMIT = 3 << 20  # bytes of any file that the gateway writes

    def test_full_disk(self):
        gateway = self.gateway("telemetry.max_rate=0", wrapper=["prlimit", f"--fsize={self.LIMIT}:"])
        device = Plain(gateway)
        self.addCleanup(device.close)
        gateway.add_device("one", device)
        taken, answer = 0, None
        payload = [{"bn": "s", "vs": os.urandom(1500).hex()}, {"vs": os.urandom(1500).hex(), "t": -1}]
        for _ in range(3000):
            answer = device.send_blocks("/t", json.dumps(payload).encode(), SENML_JSON)
            if answer[0] != CHANGED:
                break
            taken += 1
        self.assertEqual(answer[0], "5.03", answer)
        self.assertGreaterEqual(answer[1], 1)
        self.assertGreater(taken, 10)
        self.assertEqual(gateway.get("/v1/devices/one").status, 200)  # reads go on
        self.assertEqual(device.send("/t/a", "1")[0], "5.03")
        subprocess.run(["prlimit", f"--pid={gateway.process.pid}", "--fsize=unlimited:"], check=True)
        harness.wait_for(lambda: device.send("/t/a", "1")[0] == CHANGED, 15, 0.2, "space to be noticed")
        self.assertEqual(gateway.check_database(), "ok")
        gateway.stop()


if __name__ == "__main__":
    harness.unittest.main()
