#!/usr/bin/env python3
"""The resource directory with the real daemon: what RIOT's client sends, libcoap's client against us and against libcoap's
own coap-rd, protected devices, bad input, kill -9."""
import json
import random
import re
import shutil
import socket
import subprocess
import tempfile

import harness
from harness import wait_for

CLIENT = shutil.which("coap-client-notls") or shutil.which("coap-client")
SERVER = shutil.which("coap-rd-notls") or shutil.which("coap-rd")
GET, POST, DELETE = 1, 2, 4
LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY, BLOCK2 = 8, 11, 12, 15, 23
LINKS = b'</container/>,</device-id/>,</temp>;rt="temperature"'


def options_of(message):
    """The options of a message as (number, value), and its payload."""
    at, number, found = 4 + (message[0] & 15), 0, []
    while at < len(message) and message[at] != 255:
        sizes, at = [message[at] >> 4, message[at] & 15], at + 1
        for i, size in enumerate(sizes):
            more = {13: 1, 14: 2}.get(size, 0)
            if more:
                sizes[i] = int.from_bytes(message[at:at + more], "big") + {1: 13, 2: 269}[more]
                at += more
        number += sizes[0]
        found.append((number, message[at:at + sizes[1]]))
        at += sizes[1]
    return found, message[at + 1:]


def put_option(delta, value):
    def split(n):
        return (n, b"") if n < 13 else (13, bytes([n - 13])) if n < 269 else (14, (n - 269).to_bytes(2, "big"))
    (high, more), (low, length) = split(delta), split(len(value))
    return bytes([high << 4 | low]) + more + length + value


class Endpoint:
    """An endpoint without protection, on a socket of its own."""

    def __init__(self, gateway, host="127.0.0.1", port=0):
        self.peer = ("127.0.0.1", gateway.coap_port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.socket.settimeout(1)
        self.mid = random.randrange(65536)
        self.links = None  # what it answers to a GET

    def encode(self, code, path, queries=(), payload=b"", content_format=40):
        options = [(URI_PATH, part.encode()) for part in path.strip("/").split("/")]
        if payload:
            options.append((CONTENT_FORMAT, bytes([content_format])))
        options += [(URI_QUERY, query if isinstance(query, bytes) else query.encode()) for query in queries]
        self.mid = (self.mid + 1) % 65536
        message, last = bytes([0x42, code]) + self.mid.to_bytes(2, "big") * 2, 0
        for number, value in options:
            message += put_option(number - last, value)
            last = number
        return message + (b"\xff" + payload if payload else b"")

    def serve(self, message):
        """Answers a request of the gateway's."""
        answer = bytes([0x60 | message[0] & 15, 0x45]) + message[2:4 + (message[0] & 15)]
        self.socket.sendto(answer + put_option(12, b"\x28") + b"\xff" + self.links, self.peer)

    def exchange(self, message):
        """Code ("2.05"), options and payload of the answer."""
        for _ in range(20):
            self.socket.sendto(message, self.peer)
            try:
                while True:
                    answer = self.socket.recv(65536)
                    if 0 < answer[1] < 32:
                        self.serve(answer)
                    elif answer[1] and answer[4:6] == message[4:6]:
                        if answer[0] & 0x30 == 0:
                            self.socket.sendto(bytes([0x60, 0]) + answer[2:4], self.peer)
                        return (f"{answer[1] >> 5}.{answer[1] & 31:02}", *options_of(answer))
            except socket.timeout:
                pass
        raise AssertionError("no answer")

    def request(self, *arguments, **more):
        return self.exchange(self.encode(*arguments, **more))

    def register(self, *queries, payload=LINKS):
        """The code and the location."""
        code, options, _ = self.request(POST, "/rd", queries, payload)
        return code, "/" + "/".join(value.decode() for number, value in options if number == LOCATION_PATH)


def client(*arguments):
    """What coap-client says: the code and the options of the last answer, and the payload."""
    with tempfile.NamedTemporaryFile() as payload:
        done = subprocess.run([CLIENT, "-v", "6", "-B", "20", "-o", payload.name, *arguments], capture_output=True,
                              text=True, timeout=60, check=False)
        printed = payload.read().decode()
    answers = re.findall(r"t:(?:ACK|CON|NON) c:(\d\.\d\d) .*?\[(.*?)\]", done.stdout + done.stderr)
    answers = [answer for answer in answers if answer[0] != "0.00"]
    assert answers, done
    return (*answers[-1], printed)


class Directory(harness.GatewayTest):
    def setUp(self):
        self.gw = self.gateway()

    def endpoint(self, *where):
        peer = Endpoint(self.gw, *where)
        self.addCleanup(peer.socket.close)
        return peer

    def entries(self):
        return self.gw.get("/v1/directory").json["items"]

    def presence(self, device):
        return self.gw.get(f"/v1/devices/{device}").json["presence"]

    # RIOT

    def test_what_riots_client_sends(self):
        """Byte for byte, from the CoAP port, as its directory client does: look, register, update, leave."""
        peer = self.endpoint( "127.0.0.77", 5683)
        self.gw.post("/v1/devices", {"id": "riot", "address": "coap://127.0.0.77:5683"})
        look = bytes.fromhex("4201a1b2c1d2bb2e77656c6c2d6b6e6f776e04636f72654a72743d636f72652e7264")
        code, options, payload = peer.exchange(look)
        self.assertEqual((code, payload), ("2.05", b'</rd>;rt="core.rd"'))
        self.assertIn((CONTENT_FORMAT, b"\x28"), options)
        register = (bytes.fromhex("4202a1b3c1d3b272641128") + b"\x3d\x0bep=RIOT-0123456789ABCDEF" + b"\x05lt=60" +
                    b"\xff" + LINKS)
        code, options, _ = peer.exchange(register)
        location = [value.decode() for number, value in options if number == LOCATION_PATH]
        self.assertEqual(code, "2.01")
        self.assertLess(len("/" + "/".join(location)), 64)
        for _ in range(2):
            code, options, payload = peer.exchange(peer.encode(POST, "/".join(location)))
            self.assertEqual((code, payload), ("2.04", b""))
        device = self.gw.get("/v1/devices/riot").json
        self.assertEqual(device["endpoint"]["ep"], "RIOT-0123456789ABCDEF")
        self.assertEqual(device["presence"]["state"], "online")
        self.assertEqual(device["agent"], "v1")
        self.assertEqual(peer.request(DELETE, "/".join(location))[0], "2.02")
        self.assertEqual(self.presence("riot")["state"], "offline")
        self.assertEqual(peer.exchange(peer.encode(POST, "/".join(location)))[0], "4.04")

    # libcoap

    def talk(self, server):
        """The same requests of libcoap's client to a server: what came of each."""
        base = f"coap://127.0.0.1:{server}"
        found = {}
        found["look"], options, printed = client(f"{base}/.well-known/core?rt=core.rd")
        self.assertIn("application/link-format", options)
        self.assertRegex(printed, r"</rd>.*rt=\"core\.rd\"")
        found["register"], options, _ = client("-m", "post", "-t", "40", "-e", '</temp>;rt="temperature"',
                                               f"{base}/rd?ep=node1&lt=60")
        location = "/".join(re.findall(r"Location-Path:([^, ]+)", options))
        self.assertTrue(location.startswith("rd/"), options)
        found["again"], options, _ = client("-m", "post", "-t", "40", "-e", "</led>", f"{base}/rd?ep=node1&lt=60")
        found["same"] = "/".join(re.findall(r"Location-Path:([^, ]+)", options)) == location
        found["put"] = client("-m", "put", "-e", "x", f"{base}/rd")[0]
        found["nowhere"] = client(f"{base}/nowhere")[0]
        return found, location

    def test_libcoaps_client_finds_the_same_at_us_and_at_libcoaps_server(self):
        if not CLIENT or not SERVER:
            self.skipTest("coap-client or coap-rd is missing (libcoap3-bin)")
        port = harness.free_port(socket.SOCK_DGRAM)
        other = subprocess.Popen([SERVER, "-A", "127.0.0.1", "-p", str(port), "-v", "0"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        (ours, location), (theirs, _) = self.talk(self.gw.coap_port), self.talk(port)
        self.assertEqual(ours, {"look": "2.05", "register": "2.01", "again": "2.01", "same": True, "put": "4.05",
                                "nowhere": "4.04"})
        theirs["same"] = True  # RFC 9176 section 5 wants that; coap-rd of libcoap 4.3.1 makes another one
        self.assertEqual(theirs, ours)
        # what coap-rd of libcoap 4.3.1 does not survive
        there = f"coap://127.0.0.1:{self.gw.coap_port}/{location}"
        self.assertEqual([client("-m", "post", there)[0], client("-m", "delete", there)[0],
                          client("-m", "delete", there)[0]], ["2.04", "2.02", "4.04"])

    def test_libcoaps_client_looks_up(self):
        if not CLIENT:
            self.skipTest("coap-client is missing (libcoap3-bin)")
        base = f"coap://127.0.0.1:{self.gw.coap_port}"
        for i in range(12):
            self.assertEqual(self.endpoint( f"127.0.1.{i + 1}").register(f"ep=node{i:02}", "lt=600", f"et=t{i % 2}")[0],
                             "2.01")
        code, _, printed = client(f"{base}/rd-lookup/ep?ep=node0*&et=t1&page=1&count=2")
        self.assertEqual((code, re.findall(r'ep="(\w+)"', printed)), ("2.05", ["node05", "node07"]))
        code, _, printed = client(f"{base}/rd-lookup/res?rt=temperature&et=t0")
        self.assertEqual((code, len(re.findall(r"<coap://127\.0\.1\.\d+:\d+/temp>", printed))), ("2.05", 6))
        code, _, printed = client(f"{base}/rd-lookup/res")  # more than a block
        self.assertEqual((code, len(re.findall("<coap:.*?>", printed))), ("2.05", 36))
        self.assertEqual(client(f"{base}/rd-lookup/res?rt=none")[0], "2.05")
        self.assertEqual(client(f"{base}/rd-lookup/res?page=1")[0], "4.00")
        self.assertEqual(client("-A", "50", f"{base}/rd-lookup/ep")[0], "4.06")

    # devices

    def test_protected_device_is_bound_whatever_its_name(self):
        peer = self.protected_agent(self.gw, "--register", "--lifetime", "600", "--endpoint-name", "kitchen")
        entry = wait_for(self.entries, what="the registration")[0]
        self.assertEqual((entry["ep"], entry["device"]), ("kitchen", "d0"))
        self.assertEqual(self.gw.get("/v1/devices/d0").json["endpoint"]["number"], entry["number"])
        stranger = self.endpoint()
        for name in ("kitchen", "d0"):
            self.assertEqual(stranger.register(f"ep={name}")[0], "4.03")
        self.assertEqual(stranger.request(POST, f"/rd/{entry['number']}")[0], "4.03")
        self.assertEqual(stranger.request(DELETE, f"/rd/{entry['number']}")[0], "4.03")
        self.assertEqual(self.gw.get("/v1/devices/d0").json["address"], peer.address())
        self.assertEqual(len(self.entries()), 1)

    def test_protected_device_that_claims_anothers_name(self):
        self.gw.post("/v1/devices", {"id": "other", "address": "coap://127.0.0.1:9"})
        self.protected_agent(self.gw, "--register", "--endpoint-name", "other", "--ack-timeout", "300")
        wait_for(lambda: self.gw.metrics().get("tcgw_coap_requests_total{resource=\"directory\"}", 1) >= 1)
        wait_for(lambda: self.presence("d0")["state"] == "online", what="the device to speak")
        self.assertEqual(self.entries(), [])
        self.assertIsNone(self.gw.get("/v1/devices/other").json["endpoint"])

    def test_entries_outlive_a_crash(self):
        self.protected_agent(self.gw, "--register", "--lifetime", "600")
        before = wait_for(self.entries, what="the registration")[0]
        self.endpoint().register("ep=hint")
        self.assertEqual(len(self.entries()), 2)
        self.gw.kill()
        self.gw.start()
        after = self.entries()
        self.assertEqual([entry["number"] for entry in after], [before["number"]])
        self.assertEqual((after[0]["links"], after[0]["device"]), (before["links"], "d0"))

    # simple registration

    def test_simple_registration(self):
        peer = self.endpoint( "127.0.0.78")
        peer.links = b'</simple>;rt="x"'
        code, _, payload = peer.request(POST, "/.well-known/rd", ["ep=simple", "lt=60"])
        self.assertEqual(code, "2.04", payload)
        self.assertEqual([(e["ep"], e["links"][0]["target"]) for e in self.entries()], [("simple", "/simple")])
        peer.links = b"no links"
        self.assertEqual(peer.request(POST, "/.well-known/rd", ["ep=garbage"])[0], "4.00")
        self.assertEqual(peer.request(POST, "/.well-known/rd", ["lt=60"])[0], "4.00")
        self.assertEqual(len(self.entries()), 1)

    def test_simple_registration_of_a_protected_device(self):
        self.protected_agent(self.gw, "--simple-register", "--lifetime", "600")
        entry = wait_for(self.entries, what="the registration")[0]
        self.assertEqual((entry["ep"], entry["device"]), ("d0", "d0"))
        self.assertIn("/tc", [link["target"] for link in entry["links"]])

    # bad input

    def test_bad_input(self):
        peer = self.endpoint()
        for queries in (["ep=x", "lt=0"], ["ep=x", "lt=4294967296"], ["ep=x", "lt=99999999999999999999"], ["ep=x", "lt=a"],
                        ["lt=60"], ["ep="], ["ep=" + "x" * 64], ["ep=x", "d=" + "y" * 64], ["ep=a\"b"], [b"ep=\xff"],
                        [b"ep=a\0b"], ["ep=x", "base=nowhere"], ["ep=x", "ep=y"], ["ep=x", "page=1"]):
            self.assertEqual(peer.register(*queries)[0], "4.00", queries)
        for links in (b"garbage", b"<", b"</a", b"</a>;", b"</a>,", b'</a>;rt="', b"</a>\0", b"<a>", b"\xff" * 20,
                      json.dumps({"href": "/a"}).encode(), random.Random(1).randbytes(300)):
            self.assertEqual(peer.register("ep=x", payload=links)[0], "4.00", links)
        self.assertEqual(peer.register("ep=x", payload=b"</" + b"a" * 8190 + b">")[0], "4.13")
        self.assertEqual(peer.request(POST, "/rd", ["ep=x"], b"[]", content_format=50)[0], "4.15")
        for path in ("/rd/1", "/rd/x", "/rd/1/2", "/rd/" + "9" * 30):
            self.assertEqual(peer.request(POST, path)[0], "4.04", path)
        self.assertEqual(self.entries(), [])
        self.assertEqual(peer.register("ep=x", "lt=4294967295")[0], "2.01")

    def test_registrations_by_the_thousand_from_one_address(self):
        peers = [self.endpoint() for _ in range(4)]
        for i in range(1000):
            peer = peers[i % 4]
            peer.socket.sendto(peer.encode(POST, "/rd", [f"ep=flood{i}", "lt=86400"], LINKS), peer.peer)
        wait_for(lambda: len(self.entries()) >= 16, what="the first registrations")
        codes = set()
        for peer in peers:
            peer.socket.settimeout(0.3)
            try:
                while True:
                    answer = peer.socket.recv(65536)
                    codes.add(f"{answer[1] >> 5}.{answer[1] & 31:02}")
            except socket.timeout:
                pass
        self.assertEqual(codes - {"0.00", "2.01", "4.29", "5.03"}, set())
        self.assertIn("5.03", codes)  # directory.max_per_address
        self.assertEqual(len(self.entries()), 16)
        wait_for(lambda: self.endpoint( "127.0.0.79").register("ep=another")[0] == "2.01", what="another's turn")
        self.protected_agent(self.gw, "--register")
        wait_for(lambda: self.gw.get("/v1/devices/d0").json["endpoint"], what="a device's registration")

    # people

    def test_people(self):
        self.endpoint().register("ep=seen", "d=hall", "et=sensor", "base=coap://node.example")
        env = ["--socket", self.gw.socket]

        def tcgw(*words):
            return subprocess.run([harness.program("tcgw"), *env, *words], capture_output=True, text=True, timeout=60,
                                  check=False)

        shown = tcgw("directory", "list")
        self.assertEqual(shown.returncode, 0, shown)
        self.assertIn("seen", shown.stdout)
        number = self.entries()[0]["number"]
        shown = tcgw("directory", "show", number).stdout
        for text in ("coap://node.example", "/temp rt=temperature", "hall"):
            self.assertIn(text, shown)
        self.assertEqual(tcgw("directory", "remove", number).returncode, 0)
        self.assertEqual(self.entries(), [])
        self.assert_problem(self.gw.delete(f"/v1/directory/{number}"), 404, "not-found")
        self.assert_problem(self.gw.get("/v1/directory/x"), 404, "not-found")
        peer = self.endpoint()
        for i in range(5):
            peer.register(f"ep=page{i}")
        page = self.gw.get("/v1/directory?limit=3").json
        rest = self.gw.get(f"/v1/directory?limit=3&cursor={page['next']}").json
        self.assertEqual([e["ep"] for e in page["items"] + rest["items"]], [f"page{i}" for i in range(5)])
        self.assertIsNone(rest["next"])


if __name__ == "__main__":
    harness.main()
