#!/usr/bin/env python3
"""A second opinion on our OSCORE: libcoap's own client and server, built from a newer source package of Debian's."""
import json
import os
import subprocess
import sys
import threading
import unittest

import harness
from harness import GatewayTest, free_port, wait_for
import socket

COUNT = 100  # notifications
LARGE = bytes(range(256)) * 16  # 4 KiB


def build_libcoap():
    script = os.path.join(harness.SOURCE, "tests/interop/build-libcoap")
    directory = os.environ.get("TCGW_LIBCOAP") or os.path.join(harness.BUILD, "interop")
    result = subprocess.run([script, directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode == harness.SKIP:
        print("skipped: " + result.stderr.strip().splitlines()[-1])
        sys.exit(harness.SKIP)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


BIN = build_libcoap()


class InteropTest(GatewayTest):
    def setUp(self):
        self.gw = self.gateway(plain=False)
        self.port = free_port(socket.SOCK_DGRAM)

    def file(self, name, content=None):
        path = os.path.join(self.gw.directory, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def enrol(self, device, port):
        """Enrols a device and writes the configuration that libcoap takes; returns libcoap's -E argument."""
        answer = self.gw.post("/v1/devices", {"id": device, "address": f"coap://127.0.0.1:{port}"})
        self.assertEqual(answer.status, 201, answer)
        conf = self.file(device + ".conf")
        subprocess.run([harness.program("tcgw"), "--socket", self.gw.socket, "device", "enrol", device, "--format",
                        "libcoap", "--output", conf], check=True, stdout=subprocess.DEVNULL)
        return conf + "," + self.file(device + ".seq")

    def enrol_for_renewal(self, device, port):
        """The same for a libcoap that agrees on a new context each time (Appendix B.2), as one without a state does."""
        conf = self.enrol(device, port).split(",")[0]
        with open(conf, "a", encoding="ascii") as file:
            file.write("rfc8613_b_2,bool,true\n")
        return conf

    def credential(self, device):
        return self.gw.get(f"/v1/devices/{device}/credentials").json["items"][0]

    # libcoap's client, the gateway as server

    def client(self, *arguments, timeout=30):
        command = [os.path.join(BIN, "coap-client"), "-B", "20", "-v", "4", *arguments]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def uri(self, path):
        return f"coap://127.0.0.1:{self.gw.coap_port}{path}"

    def test_client_gets(self):
        oscore = self.enrol("lc", self.port)
        links = self.client("-E", oscore, "-m", "get", self.uri("/.well-known/core"))
        self.assertIn(b"shadow/desired", links)

    def test_client_gets_in_blocks(self):
        oscore = self.enrol("lc", self.port)
        answer = self.gw.put("/v1/devices/lc/shadow/desired", LARGE,
                             headers={"Content-Type": "application/octet-stream"})
        self.assertIn(answer.status, (200, 201, 204), answer)
        out = self.file("out")
        self.client("-E", oscore, "-m", "get", "-o", out, self.uri("/shadow/desired"))
        with open(out, "rb") as file:
            self.assertEqual(file.read(), LARGE)

    def test_client_puts_in_blocks(self):
        oscore = self.enrol("lc", self.port)
        self.client("-E", oscore, "-m", "put", "-t", "42", "-f", self.file("in", LARGE), self.uri("/shadow/reported"))
        answer = self.gw.get("/v1/devices/lc/shadow/reported")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.body, LARGE)
        self.assertEqual(answer.headers["Content-Type"], "application/octet-stream")

    def test_client_without_credentials_gets_nothing(self):
        self.enrol("lc", self.port)
        said = self.client("-m", "put", "-e", "x", self.uri("/shadow/reported"))
        self.assertIn(b"4.01", said)
        self.assertEqual(self.gw.get("/v1/devices/lc/shadow/reported").status, 404)

    def test_client_observes(self):
        oscore = self.enrol("lc", self.port)
        path = "/v1/devices/lc/shadow/desired"
        self.gw.put(path, "state-0;", headers={"Content-Type": "text/plain"})
        command = [os.path.join(BIN, "coap-client"), "-E", oscore, "-s", "60", "-B", "90", "-m", "get",
                   self.uri("/shadow/desired")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        seen = bytearray()

        def read():
            while True:
                piece = os.read(process.stdout.fileno(), 4096)
                if not piece:
                    return
                seen.extend(piece)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            for i in range(COUNT + 1):
                if i:
                    answer = self.gw.put(path, f"state-{i};", headers={"Content-Type": "text/plain"})
                    self.assertIn(answer.status, (200, 204), answer)
                wait_for(lambda: f"state-{i};".encode() in seen, what=f"notification {i}; client said {bytes(seen)!r}")
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()

    def test_client_survives_a_crash_of_the_gateway(self):
        """Its window is unknown then: the client is asked for an Echo, which libcoap answers by itself."""
        oscore = self.enrol("lc", self.port)
        self.client("-E", oscore, "-m", "put", "-e", "one", self.uri("/shadow/reported"))
        self.gw.kill()
        self.gw.start()
        self.client("-E", oscore, "-m", "put", "-e", "two", self.uri("/shadow/reported"))
        self.assertEqual(self.gw.get("/v1/devices/lc/shadow/reported").body, b"two")

    def test_client_without_a_state_renews_its_context(self):
        oscore = self.enrol_for_renewal("lc", self.port)
        contexts = {self.credential("lc")["id_context"]}
        for i in range(3):
            self.client("-E", oscore, "-m", "put", "-e", f"report {i}", self.uri("/shadow/reported"))
            self.assertEqual(self.gw.get("/v1/devices/lc/shadow/reported").body, f"report {i}".encode())
            contexts.add(self.credential("lc")["id_context"])
        self.assertEqual(len(contexts), 4)

    # libcoap's server, the gateway as client

    def serve(self, device="ls", enrol=None):
        oscore = (enrol or self.enrol)(device, self.port)
        log = open(self.file("coap-server.log"), "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen([os.path.join(BIN, "coap-server"), "-A", "127.0.0.1", "-p", str(self.port), "-d", "10",
                                    "-E", oscore, "-v", "7"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.resources = f"/v1/devices/{device}/resources"
        wait_for(lambda: self.gw.get(self.resources + "/").status == 200, what="coap-server to answer")
        return process

    def test_server_is_read(self):
        self.serve()
        answer = self.gw.get(self.resources + "/time")
        self.assertEqual(answer.status, 200, answer)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"), answer.headers)

    def test_server_takes_and_gives_blocks(self):
        self.serve()
        octets = {"Content-Type": "application/octet-stream"}
        answer = self.gw.put(self.resources + "/large", LARGE, headers=octets)
        self.assertIn(answer.status, (200, 201, 204), answer)
        answer = self.gw.get(self.resources + "/large")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.body, LARGE)
        self.assertEqual(self.gw.delete(self.resources + "/large").status, 204)
        self.assertEqual(self.gw.get(self.resources + "/large").status, 404)

    def test_server_is_observed(self):
        self.serve()
        path = self.resources + "/watched"
        text = {"Content-Type": "text/plain"}
        self.assertIn(self.gw.put(path, "state-0", headers=text).status, (200, 201, 204))
        connection = self.gw.connection()
        self.addCleanup(connection.close)
        connection.request("GET", path, headers={"Accept": "text/event-stream"})
        stream = connection.getresponse()
        self.assertEqual(stream.status, 200)
        self.assertTrue(stream.headers["Content-Type"].startswith("text/event-stream"))
        for i in range(COUNT + 1):
            if i:
                self.assertIn(self.gw.put(path, f"state-{i}", headers=text).status, (200, 204))
            self.assertEqual(self.next_representation(stream), f"state-{i}")

    def test_server_renews_its_context(self):
        self.serve(enrol=self.enrol_for_renewal)
        before = self.credential("ls")["id_context"]
        self.assertEqual(self.gw.post("/v1/gateway/distrust-contexts").status, 204)
        self.assertEqual(self.credential("ls")["state"], "stale")
        self.assertEqual(self.gw.get(self.resources + "/time").status, 200)
        self.assertEqual(self.credential("ls")["state"], "active")
        self.assertNotEqual(self.credential("ls")["id_context"], before)

    def next_representation(self, stream):
        """The payload of the next event `representation`."""
        event = None
        while True:
            line = stream.readline().decode().rstrip("\n")
            if line.startswith("event:"):
                event = line.split(":", 1)[1].strip()
            elif line.startswith("data:") and event == "representation":
                return json.loads(line.split(":", 1)[1])["payload"]


if __name__ == "__main__":
    unittest.main(verbosity=2)
