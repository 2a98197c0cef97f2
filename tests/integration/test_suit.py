#!/usr/bin/env python3
"""SUIT devices: containers are installed through manifests that they fetch, run on request, and followed by what they
fetch; uploaded manifests; what is refused, lost, interrupted, or never told."""
import hashlib
import json
import os
import socket
import struct
import subprocess
import time

import harness
from harness import wait_for


def rbpf_returning(value):
    """An rBPF application whose loop returns a value: mov r0, VALUE; exit."""
    names = b"loop\0\0\0\0"
    text = struct.pack("<BBhi", 0xb7, 0, 0, value) + struct.pack("<BBhi", 0x95, 0, 0, 0)
    header = struct.pack("<4sIIIIII", b"rBPF", 0, 0, 0, len(names), len(text), 1)
    return header + names + text + struct.pack("<HHH", 0, 0, 0)


class Suit(harness.GatewayTest):
    def public_key(self, gateway):
        path = os.path.join(gateway.directory, "public.pem")
        with open(path, "w", encoding="utf-8") as file:
            subprocess.run(["openssl", "pkey", "-in", os.path.join(gateway.state, "gateway-key.pem"), "-pubout"],
                           check=True, stdout=file)
        return path

    def suit_agent(self, gateway, *options, dialect="riot", **more):
        agent = self.agent("--suit", dialect, "--suit-key", self.public_key(gateway), "--femto-containers", *options,
                           **more)
        gateway.add_device("box", agent)
        return agent

    def deploy(self, gateway, uid, artifact):
        answer = gateway.deploy("box", uid, artifact)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["state"], "succeeded", answer)
        return answer.json

    def run_once(self, gateway, uid):
        answer = gateway.post(f"/v1/devices/box/containers/{uid}/exec", headers={"Prefer": "wait=10"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["state"], "succeeded", answer)
        return answer.json["result"]["value"]

    def updates(self, agent, outcome="ok"):
        return [event for event in agent.events("update") if event["outcome"] == outcome]

    def check_main_job(self, dialect):
        gateway = self.gateway()
        agent = self.suit_agent(gateway, dialect=dialect)
        one = gateway.push(rbpf_returning(42), {"type": "rbpf", "name": "one"})
        two = gateway.push(rbpf_returning(-7), {"type": "rbpf", "name": "two"})

        self.deploy(gateway, "0", one)
        device = gateway.get("/v1/devices/box").json
        self.assertEqual((device["agent"], device["agent_version"]), ("suit", f"suit {dialect} native"))
        self.assert_running(gateway, "box", "0")
        self.assertEqual(self.run_once(gateway, "0"), 42)
        self.deploy(gateway, "ram.1", two)
        self.assertEqual(self.run_once(gateway, "ram.1"), -7)
        self.assertEqual(self.run_once(gateway, "0"), 42)
        self.deploy(gateway, "0", two)  # in place of the one before
        self.assertEqual(self.run_once(gateway, "0"), -7)
        self.deploy(gateway, "0", two)  # it has that
        self.assertEqual([event["uid"] for event in agent.loads()], ["ram.0", "ram.1", "ram.0"])
        self.assertFalse(self.updates(agent, "refused"))

        gateway.kill()
        gateway.start()
        self.assert_running(gateway, "box", "0")
        self.assertEqual(gateway.container("box", "0").json["reported"]["artifact"], two)
        self.assertEqual(len(agent.loads()), 3)
        self.assertGreater(gateway.metrics()['tcgw_coap_requests_total{resource="update"}'], -1)
        gateway.stop()
        agent.stop()

    def test_riot(self):
        self.check_main_job("riot")

    def test_ietf(self):
        self.check_main_job("ietf")

    def test_protected(self):
        """A device with OSCORE credentials fetches with OSCORE; the gateway restarts in between."""
        gateway = self.gateway()
        agent = self.protected_agent(gateway, "--suit", "riot", "--suit-key", self.public_key(gateway),
                                     "--femto-containers", kind="suit")
        for value in (1, 2):
            artifact = gateway.push(rbpf_returning(value), {"type": "rbpf"})
            answer = gateway.deploy("d0", "0", artifact)
            self.assertEqual((answer.status, answer.json["state"]), (200, "succeeded"), answer)
            gateway.kill()
            gateway.start()
        self.assertEqual(len(agent.loads()), 2)
        self.assertFalse(self.updates(agent, "refused"))
        agent.check_nonces()
        metrics = gateway.metrics()
        self.assertEqual(metrics['tcgw_coap_requests_total{resource="update"}'], 0, "since the restart")

    def test_link_keeps_its_rate(self):
        """What devices fetch waits for the link's bytes a second, and none of them gives up."""
        gateway = self.gateway()
        rate, size, count = 4000, 3000, 2
        self.assertEqual(gateway.put("/v1/links/radio", {"prefixes": ["127.0.0.0/8"], "rate": rate}).status, 200)
        agent = self.agent("--suit", "riot", "--suit-key", self.public_key(gateway), "--femto-containers", count=count)
        artifact = gateway.push(bytes(size), {"type": "native"})
        for i in range(count):
            gateway.add_device(f"box-{i}", agent, i)
        begin = time.monotonic()
        operations = [gateway.deploy(f"box-{i}", "0", artifact, wait=0).json["id"] for i in range(count)]
        for operation in operations:
            self.assertEqual(gateway.ended(operation)["state"], "succeeded")
        took = time.monotonic() - begin
        self.assertGreater(took, count * size / rate)
        self.assertLess(took, 10 * count * size / rate)
        self.assertEqual(len(agent.loads()), count)
        self.assertFalse(self.updates(agent, "refused"))

    def test_a_device_that_tells_no_number(self):
        gateway = self.gateway()
        agent = self.suit_agent(gateway, "--bug", "no-version")
        self.deploy(gateway, "0", gateway.push(rbpf_returning(1), {"type": "rbpf"}))
        self.assertEqual(self.run_once(gateway, "0"), 1)
        self.assertEqual(len(agent.loads()), 1)

    def test_a_restart_that_clears_ram_is_made_good(self):
        """Nobody tells the gateway; it asks now and then, and the number that is lower shows what both have lost."""
        gateway = self.gateway("reconcile.interval=1s", "reconcile.retry_min=1s")
        agent = self.suit_agent(gateway)
        for uid, value in (("0", 3), ("1", 4)):
            self.deploy(gateway, uid, gateway.push(rbpf_returning(value), {"type": "rbpf"}))
        agent.restart_devices()
        wait_for(lambda: agent.events("restart"), what="the restart")
        wait_for(lambda: len(agent.loads()) == 4, timeout=30, what="both to be installed again")
        for uid, value in (("0", 3), ("1", 4)):
            wait_for(lambda: gateway.container("box", uid).json["reported"]["state"] == "running", timeout=30)
            self.assertEqual(self.run_once(gateway, uid), value)
        self.assertEqual(len(agent.loads()), 4)

    def test_a_run_that_fails(self):
        gateway = self.gateway("reconcile.retry_min=1s")
        agent = self.suit_agent(gateway)
        self.deploy(gateway, "0", gateway.push(b"no program at all", {"type": "native"}))
        answer = gateway.post("/v1/devices/box/containers/0/exec", headers={"Prefer": "wait=10"})
        self.assert_problem(answer, 502, "device-error", "5.00 to POST /bpf/exec/0: ")
        self.deploy(gateway, "0", gateway.push(rbpf_returning(2), {"type": "rbpf"}))
        agent.restart_devices()
        wait_for(lambda: agent.events("restart"), what="the restart")
        answer = gateway.post("/v1/devices/box/containers/0/exec", headers={"Prefer": "wait=10"})
        self.assert_problem(answer, 502, "device-error", "4.04")
        wait_for(lambda: len(agent.loads()) == 3, timeout=30, what="the container to be installed again")
        wait_for(lambda: gateway.container("box", "0").json["reported"]["state"] == "running", timeout=30)
        self.assertEqual(self.run_once(gateway, "0"), 2)

    def test_a_device_that_trusts_another_key(self):
        gateway = self.gateway("coap.load_timeout=2s")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", gateway.directory + "/other.pem"],
                       check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", gateway.directory + "/other.pem", "-pubout", "-out",
                        gateway.directory + "/other-public.pem"], check=True, capture_output=True)
        agent = self.agent("--suit", "riot", "--suit-key", gateway.directory + "/other-public.pem")
        gateway.add_device("box", agent)
        answer = gateway.deploy("box", "0", gateway.push(rbpf_returning(1), {"type": "rbpf"}))
        self.assert_problem(answer, 502, "verification-refused", "not the payload")
        self.assertTrue(self.updates(agent, "refused"))
        self.assertFalse(agent.loads())

    def test_what_does_not_fit_is_refused_before_anything_is_sent(self):
        gateway = self.gateway()
        agent = self.suit_agent(gateway)
        rbpf = gateway.push(rbpf_returning(1), {"type": "rbpf"})
        self.deploy(gateway, "0", rbpf)
        before = len(agent.events("trigger"))
        self.assert_problem(gateway.deploy("box", "a..b", rbpf), 400, "invalid-id")
        self.assert_problem(gateway.deploy("box", "1", gateway.push_example("door-watch")), 422, "runtime-unsupported")
        self.assert_problem(gateway.deploy("box", "1", gateway.push(rbpf_returning(1), {"type": "rbpf"}, data=b"x")),
                            422, "invalid-artifact", "data part")
        self.assert_problem(gateway.post("/v1/devices/box/containers/9/exec"), 404, "not-found")
        self.assertEqual(len(agent.events("trigger")), before)

    def test_a_gateway_killed_in_the_middle(self):
        """The gateway is killed twice while the device fetches, which goes on where it is."""
        gateway = self.gateway("coap.load_timeout=20s")
        agent = self.suit_agent(gateway, "--delay", "10")
        artifact = gateway.push(os.urandom(12000), {"type": "native"})
        operation = gateway.deploy("box", "0", artifact, wait=0).json["id"]
        for begun in (2000, 6000):
            wait_for(lambda: self.fetched(gateway) > begun, what=f"{begun} bytes")
            gateway.kill()
            gateway.start()
        self.assertEqual(gateway.ended(operation)["state"], "succeeded")
        self.assert_running(gateway, "box", "0")
        self.assertEqual(len(agent.loads()), 1)
        self.assertEqual(len(self.updates(agent)), 1)
        self.deploy(gateway, "1", gateway.push(rbpf_returning(5), {"type": "rbpf"}))
        self.assertEqual(self.run_once(gateway, "1"), 5)

    def fetched(self, gateway):
        return sum(transfer["bytes"] for transfer in gateway.get("/v1/transfers").json["items"])

    def ask(self, gateway, path, source):
        """GET with an empty token, as RIOT's client; the code of the answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.settimeout(2)
            message = bytes([0x40, 1]) + os.urandom(2)
            for number, segment in enumerate(path.encode().split(b"/")[1:]):
                head = bytes([(0 if number else 11) << 4 | min(len(segment), 13)])
                message += head + (bytes([len(segment) - 13]) if len(segment) > 12 else b"") + segment
            sock.sendto(message, ("127.0.0.1", gateway.coap_port))
            try:
                answer = sock.recv(2048)
            except TimeoutError:
                return None
            return f"{answer[1] >> 5}.{answer[1] & 31:02}"

    def test_strangers_get_nothing(self):
        gateway = self.gateway("coap.load_timeout=3s")
        wait_for(lambda: self.ask(gateway, "/m/box", "127.0.0.1") == "4.04", what="the end of the silence")
        self.suit_agent(gateway, "--delay", "20")
        payload = os.urandom(4000)
        digest = hashlib.sha256(payload).hexdigest()
        paths = "/m/box", f"/a/{digest}", f"/a/{digest[:32]}"
        operation = gateway.deploy("box", "0", gateway.push(payload, {"type": "native"}), wait=0).json["id"]
        wait_for(lambda: self.ask(gateway, "/m/box", "127.0.0.1") == "2.05", what="an update that is pending")
        for path in paths:
            self.assertEqual(self.ask(gateway, path, "127.0.0.1"), "2.05", path)
            self.assertEqual(self.ask(gateway, path, "127.0.0.2"), "4.04", path)
        for path in ("/m", "/m/", "/m/other", "/m/box/x", "/a/", f"/a/{digest[:15]}", "/a/" + "0" * 64):
            self.assertEqual(self.ask(gateway, path, "127.0.0.1"), "4.04", path)
        self.assertEqual(gateway.ended(operation)["state"], "succeeded")
        for path in paths:
            self.assertEqual(self.ask(gateway, path, "127.0.0.1"), "4.04", path)

    def tcgw(self, gateway, *words):
        done = subprocess.run([harness.program("tcgw"), "--socket", gateway.socket, *words], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def make_envelope(self, gateway, payload, sequence, component="ram/0"):
        """A manifest that was made and signed away from the gateway, with a key that the device knows."""
        base = os.path.join(gateway.directory, f"{sequence}")
        with open(base + ".bin", "wb") as file:
            file.write(payload)
        uri = f"coap://127.0.0.1:{gateway.coap_port}/a/{hashlib.sha256(payload).hexdigest()[:32]}"
        self.tcgw(gateway, "suit", "create", "--sequence", str(sequence), "--vendor", "riot-os.org", "--class", "native",
                  "--component", component, "--file", base + ".bin", "--uri", uri, "--key",
                  os.path.join(gateway.state, "gateway-key.pem"), "--output", base + ".suit")
        with open(base + ".suit", "rb") as file:
            return file.read()

    def test_an_uploaded_manifest(self):
        gateway = self.gateway()
        agent = self.suit_agent(gateway)
        payload = rbpf_returning(9)
        first = self.make_envelope(gateway, payload, 1000)
        artifact = gateway.push(first, {"type": "suit", "name": "nine"}, data=payload)
        self.deploy(gateway, "ram.0", artifact)
        self.assertEqual(self.updates(agent)[-1]["counter"], 1000)
        self.assertIn("returned 9", self.tcgw(gateway, "container", "exec", "box", "ram.0"))

        triggers = len(agent.events("trigger"))
        other = rbpf_returning(10)
        for envelope, uid, data, slug in ((self.make_envelope(gateway, other, 999), "ram.0", other, "device-answer"),
                                          (self.make_envelope(gateway, other, 1001), "ram.1", other,
                                           "verification-refused")):
            artifact = gateway.push(envelope, {"type": "suit"}, data=data)
            answer = gateway.deploy("box", uid, artifact)
            self.assertGreaterEqual(answer.status, 400, answer)
            self.assertIn("nothing was sent", answer.json["detail"])
        self.assertEqual(len(agent.events("trigger")), triggers)

    def test_bad_uploads(self):
        gateway = self.gateway()
        payload = rbpf_returning(9)
        good = self.make_envelope(gateway, payload, 1000)
        changed = good[:-1] + bytes([good[-1] ^ 1])
        for code, data in ((good, payload + b"x"), (good, b""), (good[:-1], payload), (changed, payload),
                           (b"\xa0", payload), (os.urandom(100), payload), (good + good, payload)):
            answer = gateway.upload(description=json.dumps({"type": "suit"}).encode(), code=code, data=data)
            self.assert_problem(answer, 422, "invalid-artifact")


if __name__ == "__main__":
    harness.main()
