#!/usr/bin/env python3
"""Devices that speak DTLS, TCP or TLS: libcoap's own client and server, as Debian has them, against the gateway."""
import os
import shutil
import socket
import subprocess
import sys
import unittest

import harness
from harness import GatewayTest, free_port, wait_for

CLIENT, SERVER, OPENSSL = (shutil.which(name) for name in ("coap-client-openssl", "coap-server-openssl", "openssl"))
KEYS = {"box-1": "first-secret-key", "box-2": "second-secret-key"}
LARGE = bytes(range(256)) * 16  # 4 KiB

if not (CLIENT and SERVER and OPENSSL):
    print("skipped: this needs coap-client-openssl and coap-server-openssl (Debian package libcoap3-bin), and openssl")
    sys.exit(harness.SKIP)


class DtlsTest(GatewayTest):
    def setUp(self):
        self.ports = {"coaps": free_port(socket.SOCK_DGRAM), "coap+tcp": free_port(), "coaps+tcp": free_port()}
        self.gw = self.gateway(f"coap.listen_dtls=127.0.0.1:{self.ports['coaps']}",
                               f"coap.listen_tcp=127.0.0.1:{self.ports['coap+tcp']}",
                               f"coap.listen_tls=127.0.0.1:{self.ports['coaps+tcp']}", plain=False)

    def tearDown(self):
        self.gw.stop()  # with a sanitizer's opinion

    def file(self, name, content=None):
        path = os.path.join(self.gw.directory, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def uri(self, path, scheme="coaps"):
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}{path}"

    def add(self, device, address="coaps://127.0.0.1:1"):
        answer = self.gw.post("/v1/devices", {"id": device, "address": address})
        self.assertEqual(answer.status, 201, answer)

    def add_with_key(self, device, **more):
        self.add(device, **more)
        key = KEYS[device].encode().hex()
        answer = self.gw.put(f"/v1/devices/{device}/credentials", {"kind": "psk", "identity": device, "key": key})
        self.assertEqual(answer.status, 201, answer)
        self.assertNotIn(key, answer.body.decode())

    def add_with_certificate(self, device):
        """Returns coap-client's options."""
        self.add(device)
        made = self.gw.enrol(device, kind="certificate")
        return ["-c", self.file("device.pem", made["certificate"]), "-j", self.file("device.key", made["private_key"]),
                "-C", self.file("ca.pem", made["ca"])]

    def client(self, *arguments, timeout=60):
        """What it said, or None when it had no answer. It ends well in either case."""
        command = [CLIENT, "-B", "5", "-v", "4", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              check=False).stdout

    def with_key(self, identity, key):
        return ["-u", identity, "-k", key]

    def reported(self, device):
        answer = self.gw.get(f"/v1/devices/{device}/shadow/reported")
        return answer.body if answer.status == 200 else None

    def put(self, text, *credential, scheme="coaps"):
        return self.client(*credential, "-m", "put", "-t", "0", "-e", text, self.uri("/shadow/reported", scheme))

    # Pre-shared keys

    def test_a_request_is_attributed_to_its_device(self):
        for device in KEYS:
            self.add_with_key(device)
        for scheme in ("coaps", "coaps+tcp"):
            for device, key in KEYS.items():
                self.put(f"{device} by {scheme}", *self.with_key(device, key), scheme=scheme)
                self.assertEqual(self.reported(device), f"{device} by {scheme}".encode())

    def test_wrong_keys_are_refused(self):
        for device in KEYS:
            self.add_with_key(device)
        for scheme in ("coaps", "coaps+tcp"):
            for identity, key in (("box-1", "some-other-secret"), ("box-1", KEYS["box-2"]), ("nobody", KEYS["box-1"])):
                self.put("lies", *self.with_key(identity, key), scheme=scheme)
        self.assertIsNone(self.reported("box-1"))
        self.assertIsNone(self.reported("box-2"))

    def test_a_revoked_key_is_refused(self):
        self.add_with_key("box-1")
        credential = self.with_key("box-1", KEYS["box-1"])
        self.put("before", *credential)
        self.assertEqual(self.reported("box-1"), b"before")
        self.assertEqual(self.gw.delete("/v1/devices/box-1/credentials").status, 204)
        self.put("after", *credential)
        self.assertEqual(self.reported("box-1"), b"before")

    def test_a_key_survives_a_restart(self):
        self.add_with_key("box-1")
        self.gw.kill()
        self.gw.start()
        self.put("again", *self.with_key("box-1", KEYS["box-1"]))
        self.assertEqual(self.reported("box-1"), b"again")

    def test_blocks(self):
        self.add_with_key("box-1")
        octets = {"Content-Type": "application/octet-stream"}
        for scheme in ("coaps", "coaps+tcp"):
            body = LARGE + scheme.encode()
            credential = self.with_key("box-1", KEYS["box-1"])
            self.client(*credential, "-m", "put", "-t", "42", "-b", "1024", "-f", self.file("in", body),
                        self.uri("/shadow/reported", scheme))
            self.assertEqual(self.reported("box-1"), body)
            self.assertIn(self.gw.put("/v1/devices/box-1/shadow/desired", body, headers=octets).status,
                          (200, 201, 204))
            out = self.file("out")
            self.client(*credential, "-m", "get", "-o", out, self.uri("/shadow/desired", scheme))
            with open(out, "rb") as file:
                self.assertEqual(file.read(), body)

    def test_observation(self):
        self.add_with_key("box-1")
        for scheme in ("coaps", "coaps+tcp"):
            with self.subTest(scheme):
                self.observe(scheme)

    def observe(self, scheme):
        path, text = "/v1/devices/box-1/shadow/desired", {"Content-Type": "text/plain"}
        self.gw.put(path, "state-0;", headers=text)
        command = [CLIENT, *self.with_key("box-1", KEYS["box-1"]), "-s", "60", "-B", "90", "-m", "get",
                   self.uri("/shadow/desired", scheme)]
        with open(self.file("observed", b""), "wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            for i in range(21):
                if i:
                    self.gw.put(path, f"state-{i};", headers=text)
                wait_for(lambda: f"state-{i};".encode() in self.read("observed"), what=f"notification {i}")
        finally:
            process.kill()
            process.wait()

    def read(self, name):
        with open(self.file(name), "rb") as file:
            return file.read()

    def test_under_valgrind(self):
        self.gw.stop()
        self.start_under_valgrind(self.gw)
        self.add_with_key("box-1")
        certified = self.add_with_certificate("box-3")
        for scheme in ("coaps", "coaps+tcp"):
            self.put(f"key {scheme}", *self.with_key("box-1", KEYS["box-1"]), scheme=scheme)
            self.assertEqual(self.reported("box-1"), f"key {scheme}".encode())
            self.put("lies", *self.with_key("box-1", "some-other-secret"), scheme=scheme)
            self.put(f"certified {scheme}", *certified, scheme=scheme)
            self.assertEqual(self.reported("box-3"), f"certified {scheme}".encode())
        port = self.serve("-k", KEYS["box-1"])
        for scheme in ("coaps", "coaps+tcp"):
            self.gw.set_address("box-1", f"{scheme}://127.0.0.1:{port}")
            self.check_resources("box-1")
        self.gw.stop(timeout=60)

    # Certificates

    def test_a_certificate_of_the_gateways_own(self):
        credential = self.add_with_certificate("box-3")
        for scheme in ("coaps", "coaps+tcp"):
            self.put(f"certified {scheme}", *credential, scheme=scheme)
            self.assertEqual(self.reported("box-3"), f"certified {scheme}".encode())
        self.assertEqual(self.gw.delete("/v1/devices/box-3/credentials").status, 204)
        self.put("after", *credential)
        self.assertEqual(self.reported("box-3"), b"certified coaps+tcp")

    def test_who_has_neither_certificate_nor_key_gets_no_session(self):
        self.add_with_certificate("box-3")
        for flag, scheme in (("-dtls1_2", "coaps"), ("-tls1_2", "coaps+tcp"), ("-tls1_3", "coaps+tcp")):
            said = subprocess.run([OPENSSL, "s_client", flag, "-connect", f"127.0.0.1:{self.ports[scheme]}"],
                                  input=b"", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, check=False)
            self.assertIn(b"alert", said.stdout, said.stdout)

    # TCP: what is open to anybody

    def test_plain_tcp(self):
        self.add_with_key("box-1")
        links = self.client("-m", "get", self.uri("/.well-known/core", "coap+tcp"))
        self.assertIn(b"shadow/desired", links)
        said = self.put("lies", scheme="coap+tcp")
        self.assertIn(b"4.01", said)
        self.assertIsNone(self.reported("box-1"))

    # Devices that are asked

    def serve(self, *options):
        """A device; returns the port of coaps (UDP) and coaps+tcp, which is one above that of coap."""
        port = free_port(socket.SOCK_DGRAM)
        log = open(self.file("coap-server.log"), "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen([SERVER, "-A", "127.0.0.1", "-p", str(port), "-d", "10", *options],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return port + 1

    def check_resources(self, device):
        resources = f"/v1/devices/{device}/resources"
        answer = wait_for(lambda: (lambda a: a if a.status == 200 else None)(self.gw.get(resources + "/")),
                          what="the device to answer")
        self.assertIn(b"test server made with libcoap", answer.body)
        octets = {"Content-Type": "application/octet-stream"}
        self.assertIn(self.gw.put(resources + "/large", LARGE, headers=octets).status, (200, 201, 204))
        answer = self.gw.get(resources + "/large")
        self.assertEqual((answer.status, answer.body), (200, LARGE))

    def test_a_device_with_a_key_is_read(self):
        port = self.serve("-k", KEYS["box-1"])
        for scheme in ("coaps", "coaps+tcp"):
            self.add_with_key("box-1", address=f"{scheme}://127.0.0.1:{port}")
            self.check_resources("box-1")
            self.assertEqual(self.gw.delete("/v1/devices/box-1").status, 204)

    def test_a_device_with_another_key_is_not_believed(self):
        port = self.serve("-k", "not-the-right-key")
        self.add_with_key("box-1", address=f"coaps+tcp://127.0.0.1:{port}")
        answer = self.gw.get("/v1/devices/box-1/resources/")
        self.assertGreaterEqual(answer.status, 500, answer)

    def test_a_device_with_a_certificate_is_read(self):
        credential = self.add_with_certificate("box-3")
        port = self.serve(*credential)
        for scheme in ("coaps", "coaps+tcp"):
            self.gw.set_address("box-3", f"{scheme}://127.0.0.1:{port}")
            self.check_resources("box-3")

    def test_a_device_with_anothers_certificate_is_not_believed(self):
        credential = self.add_with_certificate("box-3")
        port = self.serve(*credential)
        self.add("box-4", address=f"coaps+tcp://127.0.0.1:{port}")
        self.gw.enrol("box-4", kind="certificate")
        answer = self.gw.get("/v1/devices/box-4/resources/")
        self.assertGreaterEqual(answer.status, 500, answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
