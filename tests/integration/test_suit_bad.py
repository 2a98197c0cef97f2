#!/usr/bin/env python3
"""Manifests that are truncated, oversized, replayed, for another device, signed by a stranger, or that have unknown
commands: what the device says to them, what the gateway says before it sends any, and what `tcgw suit` says."""
import hashlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

import harness
from harness import wait_for

PAYLOAD = os.urandom(200)
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()
BLOCK = 64


class Server:
    """Serves bodies by their path as a gateway would, in plain CoAP, to empty tokens, in blocks of 64 bytes."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.bodies = {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                request, peer = self.socket.recvfrom(2048)
            except OSError:
                return
            if len(request) > 4 and request[1] == 1:
                self.socket.sendto(self.answer(request), peer)

    def answer(self, request):
        path, block, number, at = "", 0, 0, 4
        while at < len(request):
            delta, size = request[at] >> 4, request[at] & 15
            at += 1
            if delta == 13:
                delta, at = request[at] + 13, at + 1
            if size == 13:
                size, at = request[at] + 13, at + 1
            number, value, at = number + delta, request[at:at + size], at + size
            if number == 11:
                path += "/" + value.decode()
            elif number == 23:
                block = int.from_bytes(value, "big") >> 4
        body = self.bodies.get(path)
        if body is None:
            return bytes([0x60, 0x84]) + request[2:4]
        more = len(body) > (block + 1) * BLOCK
        option = (block << 4 | more << 3 | 2).to_bytes(3, "big").lstrip(b"\0")
        return (bytes([0x60, 0x45]) + request[2:4] + bytes([0xd0 | len(option), 10]) + option + b"\xff" +
                body[block * BLOCK:(block + 1) * BLOCK])

    def close(self):
        self.socket.close()


class Bad(harness.GatewayTest):
    INSTALL = b"\x15\x02\x03\x0f"  # fetch, image match: the end of RIOT's install section

    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.server.bodies["/a"] = PAYLOAD
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.key = self.make_key("key")
        self.write("payload", PAYLOAD)

    def write(self, name, data):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def run_tcgw(self, *words):
        return subprocess.run([harness.program("tcgw"), *words], capture_output=True, text=True, check=False)

    def make_key(self, name):
        path = os.path.join(self.directory, name + ".pem")
        self.assertEqual(self.run_tcgw("key", "generate", path).returncode, 0)
        with open(os.path.join(self.directory, name + ".pub"), "w", encoding="utf-8") as file:
            subprocess.run(["openssl", "pkey", "-in", path, "-pubout"], check=True, stdout=file)
        return path

    def make(self, sequence, dialect="riot", board="native", key=None, uri=None):
        path = os.path.join(self.directory, "made.suit")
        done = self.run_tcgw("suit", "create", "--dialect", dialect, "--sequence", str(sequence), "--vendor",
                             "riot-os.org", "--class", board, "--component", "ram/0", "--file",
                             os.path.join(self.directory, "payload"), "--uri",
                             uri or f"coap://127.0.0.1:{self.server.port}/a", "--key", key or self.key, "--output",
                             path)
        self.assertEqual(done.returncode, 0, done)
        with open(path, "rb") as file:
            return file.read()

    def resign(self, envelope):
        """The envelope of RIOT's dialect with the digest and signature that its manifest has now."""
        at = envelope.index(b"\x58\x24\x82\x02\x58\x20") + 6
        manifest = envelope[at + 32 + 2 + 64 + 1:]
        digest = hashlib.sha256(manifest).digest()
        signed = b"\x84\x6aSignature1\x43\xa1\x01\x27\x40\x58\x24\x82\x02\x58\x20" + digest
        done = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in",
                               self.write("signed", signed)], check=True, capture_output=True)
        return envelope[:at] + digest + b"\x58\x40" + done.stdout + b"\x03" + manifest

    def with_unknown_command(self, envelope):
        """Image match (3) of the install section becomes 13, which no device knows."""
        at = envelope.rindex(self.INSTALL)
        return self.resign(envelope[:at + 2] + b"\x0d" + envelope[at + 3:])

    def with_nested_commands(self, envelope):
        """Each command of the install section in an array of its own, as people expect from a list of pairs."""
        at = envelope.rindex(self.INSTALL)
        return self.resign(envelope[:at] + b"\x82\x15\x02\x00" + envelope[at + 4:])

    def trigger(self, agent, path):
        """Tells the device to fetch; how its update ended, and why."""
        before = len(agent.events("update"))
        message = bytes([0x40, 2]) + os.urandom(2) + b"\xb4suit\x07trigger\xff"
        message += f"coap://127.0.0.1:{self.server.port}{path}".encode() + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.sendto(message, ("127.0.0.1", agent.port))
            answer = sock.recv(2048)
        self.assertEqual(answer[1], 0x41, "2.01 Created, whatever comes of it")
        wait_for(lambda: len(agent.events("update")) > before, timeout=30, what=f"the end of the update of {path}")
        event = agent.events("update")[-1]
        return event["outcome"], event.get("detail", "")

    def check_device(self, dialect, cases):
        agent = self.agent("--suit", dialect, "--suit-key", os.path.join(self.directory, "key.pub"))
        self.server.bodies["/good"] = self.make(10, dialect)
        self.assertEqual(self.trigger(agent, "/good")[0], "ok")
        for name, envelope, words in cases:
            with self.subTest(name=name):
                self.server.bodies["/bad"] = envelope
                outcome, detail = self.trigger(agent, "/bad")
                self.assertEqual(outcome, "refused", name)
                self.assertIn(words, detail)
        self.server.bodies["/better"] = self.make(12, dialect)
        self.assertEqual(self.trigger(agent, "/better")[0], "ok")
        self.assertEqual(len(agent.loads()), 2)

    def test_a_device_of_riot_refuses_them(self):
        good = self.make(11)
        self.check_device("riot", [
            ("truncated", good[:-7], "cut off"),
            ("oversized", good + bytes(641 - len(good)), "too large"),
            ("replayed", self.make(10), "not above"),
            ("older", self.make(9), "not above"),
            ("for another device", self.make(11, board="samr21-xpro"), "another device's"),
            ("of a stranger", self.make(11, key=self.make_key("other")), "not of the trusted key"),
            ("an unknown command", self.with_unknown_command(good), "command 13 is not known"),
            ("nested commands", self.with_nested_commands(good), "a command is no number"),
            ("changed", good.replace(b"coap://", b"coaP://"), "digest"),
            ("of the other form", self.make(11, "ietf"), "no map"),
            ("not there", None, "no content"),
        ])

    def test_a_device_of_the_current_form_refuses_them(self):
        good = self.make(11, "ietf")
        self.check_device("ietf", [
            ("truncated", good[:-7], "malformed"),
            ("oversized", good + bytes(4097), "too large"),
            ("replayed", self.make(10, "ietf"), "not above"),
            ("for another device", self.make(11, "ietf", board="samr21-xpro"), "another device's"),
            ("of a stranger", self.make(11, "ietf", key=self.make_key("other")), "sign"),
            ("changed", good.replace(b"coap://", b"coaP://"), "digest"),
            ("of the other form", self.make(11), "not of the current form"),
        ])

    def test_the_gateway_takes_and_sends_none(self):
        gateway = self.gateway()
        agent = self.agent("--suit", "riot", "--suit-key", os.path.join(self.directory, "key.pub"))
        gateway.add_device("box", agent)
        uri = f"coap://127.0.0.1:{gateway.coap_port}/a/{DIGEST[:32]}"
        good = self.make(1000, uri=uri)
        artifact = gateway.push(good, {"type": "suit"}, data=PAYLOAD)
        answer = gateway.deploy("box", "ram.0", artifact)
        self.assertEqual(answer.json["state"], "succeeded", answer)
        triggers = len(agent.events("trigger"))

        for name, envelope, words in (("truncated", good[:-7], "malformed"),
                                      ("unknown command", self.with_unknown_command(good), "command 13"),
                                      ("nested commands", self.with_nested_commands(good), "malformed"),
                                      ("oversized", good + bytes(641 - len(good)), "640 is the most"),
                                      ("changed", good.replace(b"coap://", b"coaP://"), "changed")):
            answer = gateway.upload(description=json.dumps({"type": "suit"}).encode(), code=envelope, data=PAYLOAD)
            self.assert_problem(answer, 422, "invalid-artifact", words)

        for name, envelope, words in (("replayed", self.make(1000, uri=uri + "0"), "sequence number 1000"),
                                      ("older", self.make(999, uri=uri), "sequence number 1000"),
                                      ("another board", self.make(1001, board="samr21-xpro", uri=uri),
                                       "another kind of device"),
                                      ("another form", self.make(1001, "ietf", uri=uri), "dialect")):
            artifact = gateway.push(envelope, {"type": "suit"}, data=PAYLOAD)
            answer = gateway.deploy("box", "ram.0", artifact)
            self.assertGreaterEqual(answer.status, 400, name)
            self.assertIn(words, answer.json["detail"], name)
            self.assertIn("nothing was sent", answer.json["detail"], name)
        time.sleep(0.2)  # what was not to be sent could still be on its way
        self.assertEqual(len(agent.events("trigger")), triggers)
        self.assert_running(gateway, "box", "ram.0")

    def test_the_command_line_says_what_is_wrong(self):
        good = self.make(5)
        public = os.path.join(self.directory, "key.pub")
        for name, envelope, words in (("truncated", good[:-7], "malformed"),
                                      ("unknown command", self.with_unknown_command(good), "command 13"),
                                      ("oversized", good + bytes(641 - len(good)), "640 is the most")):
            path = self.write("bad.suit", envelope)
            for words_before in (["show", path], ["verify", path, "--key", public]):
                done = self.run_tcgw("suit", *words_before)
                self.assertNotEqual(done.returncode, 0, name)
                self.assertIn(words, done.stderr, name)
        done = self.run_tcgw("suit", "verify", self.write("good.suit", good), "--key", public)
        self.assertEqual(done.returncode, 0, done)
        self.make_key("other")
        done = self.run_tcgw("suit", "verify", os.path.join(self.directory, "good.suit"), "--key",
                             os.path.join(self.directory, "other.pub"))
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    harness.main()
