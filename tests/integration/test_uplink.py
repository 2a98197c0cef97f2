"""The relay to the platform: a real daemon, Debian's mosquitto, and a small HTTP server."""
import hashlib
import hmac
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import harness
from harness import free_port, main, program, wait_for
from relay import Device, RelayTest, first_seen, settings

BROKER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
if not BROKER or not shutil.which("mosquitto_sub"):
    print("skipped: mosquitto or mosquitto-clients is not installed")
    sys.exit(harness.SKIP)

WINDOW = 20


class Broker:
    """A mosquitto that keeps its sessions and messages over a restart."""

    def __init__(self, *lines):
        self.directory = tempfile.mkdtemp(prefix="tcgw-broker-")
        os.chmod(self.directory, 0o755)
        self.port = free_port()
        self.lines = lines
        self.process = None
        self.subscribers = []

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self):
        with open(self.path("conf"), "w", encoding="utf-8") as file:
            file.write("\n".join([f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence true",
                                  f"persistence_location {self.directory}/", "max_queued_messages 0", "user root",
                                  *self.lines]) + "\n")
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen([BROKER, "-c", self.path("conf")], stdout=log, stderr=log)
        wait_for(self.is_up, what="mosquitto to listen")
        return self

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def close(self):
        for process in [*self.subscribers, self.process]:
            if process and process.poll() is None:
                process.kill()
            if process:
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def subscribe(self, *options, topic="#"):
        """Starts a subscriber with a session of its own; returns what gives its messages, [topic, payload] each."""
        name = f"sub{len(self.subscribers)}"
        with open(self.path(name), "wb") as out:
            self.subscribers.append(subprocess.Popen(
                ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-c", "-i", name, "-q", "1", "-V", "5",
                 "-x", "3600", "-t", topic, "-F", "%t %p", *options], stdout=out, stderr=subprocess.DEVNULL))

        def read():
            with open(self.path(name), encoding="utf-8") as file:
                return [line.rstrip("\n").split(" ", 1) for line in file if line.endswith("\n")]

        self.publish(f"probe/{name}", "1", "-r", *options)
        wait_for(lambda: any(topic == f"probe/{name}" for topic, _ in read()) or topic_of(topic), what="a subscription")
        return read

    def publish(self, topic, text, *options):
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", topic, "-m", text,
                        *options], check=True, timeout=20)


def topic_of(topic):
    """A subscriber of some topics only is given the time that it takes."""
    if topic != "#":
        time.sleep(0.3)
    return topic != "#"


def mqtt(broker, name="cloud", **keys):
    return settings(name, **{"type": "mqtt", "host": "127.0.0.1", "port": broker.port, "backoff_max": "1s",
                             "max_inflight": WINDOW, **keys})


def values(messages, device):
    """What arrived of a device's telemetry, in order, repeats included."""
    return [record["value"] for topic, text in messages if topic.endswith(f"/telemetry/{device}")
            for record in json.loads(text)["records"]]


class Platform(http.server.BaseHTTPRequestHandler):
    """Takes batches; `plan` says how it answers, one by one, then 204."""

    def log_message(self, *args):
        pass

    def do_POST(self):  # pylint: disable=invalid-name
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers = server.plan.pop(0) if server.plan else (204, {})
        with server.lock:
            server.requests.append((status, dict(self.headers), body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


class UplinkTest(RelayTest):
    def broker(self, *lines):
        broker = Broker(*lines)
        self.addCleanup(broker.close)
        return broker.start()

    def platform(self, *plan):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform)
        server.plan, server.requests, server.lock = list(plan), [], threading.Lock()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def wait_for_values(self, read, device, count):
        return wait_for(lambda: (lambda got: got if len(set(got)) >= count else None)(values(read(), device)), 30,
                        what=f"{count} values of {device}")


class TestMqtt(UplinkTest):
    def test_outage_and_kill(self):
        """What was acknowledged arrives at least once, in order per device, and little of it twice."""
        broker = self.broker()
        read = broker.subscribe()
        gateway = self.relay(mqtt(broker, kinds="telemetry"))
        self.wait_for_sink(gateway, "up")
        devices = [Device(gateway, f"d{i}") for i in range(3)]
        acknowledged = {device.name: [] for device in devices}

        def send(start, count):
            for value in range(start, start + count):
                for device in devices:
                    if device.send(value):
                        acknowledged[device.name].append(value)

        send(0, 15)
        self.wait_for_values(read, "d0", 15)
        broker.stop()
        send(15, 15)
        self.wait_for_sink(gateway, "waiting")
        gateway.kill()
        gateway.start()
        send(30, 10)
        broker.start()
        self.wait_for_sink(gateway, "up")
        send(40, 10)
        gateway.kill()
        gateway.start()
        send(50, 10)
        for device in devices:
            got = self.wait_for_values(read, device.name, len(acknowledged[device.name]))
            self.assertEqual(len(acknowledged[device.name]), 60)
            self.assertEqual(first_seen(got), list(range(60)))
        repeats = sum(len(values(read(), d.name)) - 60 for d in devices)
        self.assertLessEqual(repeats, 3 * WINDOW)
        self.assertEqual(gateway.get("/v1/sinks/cloud").json["totals"]["missing"], 0)
        gateway.stop()

    def test_birth_and_will(self):
        broker = self.broker()
        read = broker.subscribe(topic="site/+/status")
        gateway = self.relay(mqtt(broker, topic_prefix="site", version="3.1.1"))

        def last():
            seen = read()
            return json.loads(seen[-1][1])["status"] if seen else None

        wait_for(lambda: last() == "online", what="the birth message")
        gateway.kill()
        wait_for(lambda: last() == "offline", what="the last will")
        gateway.start()
        wait_for(lambda: last() == "online", what="the birth message")
        gateway.stop()
        wait_for(lambda: last() == "offline", what="the farewell")
        self.assertIn("time", json.loads(read()[-1][1]), read())

    def test_filters(self):
        """Several sinks, each with its own."""
        broker = self.broker()
        read = broker.subscribe()
        gateway = self.relay(mqtt(broker, "one", topic_prefix="one", kinds="telemetry", devices="a*"),
                               mqtt(broker, "two", topic_prefix="two", kinds="telemetry device", groups="lab other",
                                     version="3.1.1"),
                               mqtt(broker, "three", topic_prefix="three", kinds="telemetry", names="temp* x",
                                     format="senml"))
        for name in ("one", "two", "three"):
            self.wait_for_sink(gateway, "up", name)
        a, b = Device(gateway, "a1"), Device(gateway, "b1", groups=["lab"])
        self.assertTrue(a.send(1) and b.send(2) and a.send(3, "temperature") and b.send(4, "x"))
        wait_for(lambda: sum("telemetry" in topic for topic, _ in read()) >= 6, what="telemetry")
        wait_for(lambda: any(topic == "two/g1/events/device/b1" for topic, _ in read()), what="the device's event")
        messages = read()
        self.assertEqual([topic for topic, _ in messages if topic.startswith("one/g1/t")], ["one/g1/telemetry/a1"] * 2)
        self.assertEqual([topic for topic, _ in messages if topic.startswith("two/g1/t")], ["two/g1/telemetry/b1"] * 2)
        senml = [json.loads(text) for topic, text in messages if topic.startswith("three/g1/t")]
        self.assertEqual([pack[0].get("bn", "") + pack[0].get("n", "") for pack in senml],
                         ["a1/temperature", "b1/x"])
        self.assertFalse(any(topic.startswith("one/g1/events") for topic, _ in messages))
        self.assertTrue(a.send(5) and gateway.stop() < 5)

    def make_certificates(self, broker):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, cwd=broker.directory, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj",
                "/CN=test-ca", "-days", "2")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "other.key", "-out", "other.pem", "-subj",
                "/CN=other-ca", "-days", "2")
        with open(broker.path("ext"), "w", encoding="utf-8") as file:
            file.write("subjectAltName=DNS:localhost\n")
        for name in ("localhost", "gateway"):
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                    f"/CN={name}")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                    "-out", f"{name}.pem", "-days", "2", "-extfile", "ext")
            os.chmod(broker.path(f"{name}.key"), 0o600)

    def test_tls(self):
        broker = Broker()
        self.addCleanup(broker.close)
        self.make_certificates(broker)
        port = free_port()
        broker.lines = (f"listener {port} 127.0.0.1", f"cafile {broker.path('ca.pem')}",
                        f"certfile {broker.path('localhost.pem')}", f"keyfile {broker.path('localhost.key')}",
                        "require_certificate true", "allow_anonymous true")
        broker.start()
        read = broker.subscribe()
        common = {"host": "localhost", "port": port, "tls": "yes", "certificate": broker.path("gateway.pem"),
                  "private_key": broker.path("gateway.key"), "timeout": "5s"}
        good = {**common, "ca": broker.path("ca.pem")}
        gateway = self.relay(mqtt(broker, "five", topic_prefix="five", **good),
                               mqtt(broker, "three", topic_prefix="three", version="3.1.1", **good),
                               mqtt(broker, "wrong", topic_prefix="wrong", **common, ca=broker.path("other.pem")),
                               mqtt(broker, "name", topic_prefix="name", **{**good, "host": "127.0.0.1"}),
                               mqtt(broker, "none", topic_prefix="none", host="localhost", tls="yes",
                                     ca=broker.path("ca.pem"), timeout="5s", port=port))
        self.wait_for_sink(gateway, "up", "five")
        self.wait_for_sink(gateway, "up", "three")
        for name in ("wrong", "name", "none"):
            self.assertTrue(self.wait_for_sink(gateway, "waiting", name)["error"])
        Device(gateway, "d1").send(1)
        for prefix in ("five", "three"):
            wait_for(lambda prefix=prefix: any(topic == f"{prefix}/g1/telemetry/d1" for topic, _ in read()),
                     what=f"telemetry of {prefix}")
        self.assertFalse(any(topic.split("/")[0] in ("wrong", "name", "none") for topic, _ in read()))
        gateway.stop()

    def test_refused_credentials(self):
        broker = Broker()
        self.addCleanup(broker.close)
        subprocess.run(["mosquitto_passwd", "-c", "-b", broker.path("users"), "gate", "secret"], check=True,
                       stderr=subprocess.DEVNULL)
        broker.lines = ("allow_anonymous false", f"password_file {broker.path('users')}")
        broker.start()
        password = broker.path("password")
        for text, mode in (("wrong\n", 0o600), ("secret\n", 0o644), ("secret\n", 0o600)):
            with open(password, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(password, mode)
            gateway = self.relay(mqtt(broker, username="gate", password_file=password))
            if mode == 0o644:
                self.assertIn("chmod", self.wait_for_sink(gateway, "failed")["error"])
            elif text == "wrong\n":
                self.assertIn("refuse", self.wait_for_sink(gateway, "waiting")["error"])
            else:
                self.wait_for_sink(gateway, "up")
            gateway.stop()

    def ask(self, broker, topic, request, *options):
        command = ["mosquitto_rr", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-W", "15", "-t", topic,
                   "-m", request if isinstance(request, str) else json.dumps(request), *options]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)

    def test_commands(self):
        broker = self.broker()
        gateway = self.relay(mqtt(broker, "all", topic_prefix="all", commands="all"),
                               mqtt(broker, "read", topic_prefix="read", commands="read", version="3.1.1"))
        self.wait_for_sink(gateway, "up", "all")
        self.wait_for_sink(gateway, "up", "read")

        def ask(request, prefix="all"):  # MQTT 5: response topic and correlation data
            return self.ask(broker, f"{prefix}/g1/command/c1", request, "-V", "5", "-e", "answers/x")

        added = ask({"method": "POST", "path": "/v1/devices", "body": {"id": "d1", "address": "coap://127.0.0.1:9"}})
        self.assertEqual((added["status"], added["body"]["id"]), (201, "d1"))
        self.assertTrue(added["headers"]["Location"].endswith("/v1/devices/d1"))
        again = ask({"method": "POST", "path": "/v1/devices", "body": {"id": "d1", "address": "coap://127.0.0.1:9"}})
        self.assertEqual(again["status"], 409)
        # 3.1.1: the response topic of the correlation id
        shown = self.ask(broker, "read/g1/command/c7", {"method": "GET", "path": "/v1/devices?limit=5"}, "-V", "mqttv5",
                         "-e", "read/g1/response/c7")
        self.assertEqual([item["id"] for item in shown["body"]["items"]], ["d1"])
        refused = self.ask(broker, "read/g1/command/c8", {"method": "DELETE", "path": "/v1/devices/d1"}, "-V", "5",
                           "-e", "read/g1/response/c8")
        self.assertEqual(refused["status"], 403)
        self.assertEqual(ask("not json")["status"], 400)
        self.assertEqual(ask({"method": "GET"})["status"], 400)
        self.assertEqual(ask({"method": "GET", "path": "/nothing"})["status"], 404)
        self.assertEqual(ask({"method": "POST", "path": "/v1/devices/d1/credentials"})["status"], 403)
        whoami = {"method": "GET", "path": "/v1/whoami"}
        self.assertEqual((ask(whoami)["body"]["name"], ask(whoami)["body"]["role"]), ("mqtt:all", "platform"))
        policy = {"method": "PUT", "path": "/v1/policies/p", "body": {"allow": False}}
        self.assertEqual(ask(policy)["status"], 403)
        gateway.request("PUT", "/v1/grants/all", {"sink": "all", "role": "owner"})
        self.assertEqual(ask(policy)["status"], 200)
        self.assertEqual(ask({"method": "POST", "path": "/v1/devices/d1/credentials"})["status"], 403)  # not TLS
        gateway.request("PUT", "/v1/tenants/t", {"groups": ["t"]})
        gateway.request("PUT", "/v1/grants/all", {"sink": "all", "role": "owner", "tenant": "t"})
        self.assertEqual(ask({"method": "GET", "path": "/v1/devices"})["body"]["items"], [])
        self.assertEqual(ask(policy)["status"], 403)
        gateway.request("DELETE", "/v1/grants/all")
        stream = ask({"method": "GET", "path": "/v1/events", "headers": {"Accept": "text/event-stream"}})
        self.assertEqual(stream["status"], 406)
        broker.publish("all/g1/command/c9", json.dumps({"method": "DELETE", "path": "/v1/devices/d1"}), "-r")
        gone = ask({"method": "DELETE", "path": "/v1/devices/d1", "headers": {"Idempotency-Key": "k1"}})
        self.assertIn(gone["status"], (204, 404))
        totals = gateway.get("/v1/sinks/all").json["totals"]
        self.assertGreaterEqual(totals["commands"], 6)
        gateway.stop()
        self.assertEqual(gateway.process.returncode, 0)

    def test_reload(self):
        """A sink that is new begins, one that is gone ends, and one that differs begins anew with its cursor."""
        broker = self.broker()
        read = broker.subscribe()
        gateway = self.relay(mqtt(broker, "one", topic_prefix="one"))
        self.wait_for_sink(gateway, "up", "one")
        device = Device(gateway, "d1")
        self.assertTrue(device.send(1))
        self.configure(gateway, mqtt(broker, "one", topic_prefix="uno"), mqtt(broker, "two", topic_prefix="two"))
        gateway.process.send_signal(signal.SIGHUP)
        self.wait_for_sink(gateway, "up", "two")
        self.wait_for_sink(gateway, "up", "one")
        self.assertTrue(device.send(2))
        self.configure(gateway, mqtt(broker, "two", topic_prefix="two"))
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: gateway.get("/v1/sinks/one").status == 404, what="the sink to be gone")
        self.assertTrue(device.send(3))
        wait_for(lambda: values([m for m in read() if m[0].startswith("two/")], "d1") == [2, 3], what="telemetry")
        self.assertEqual(first_seen(values([m for m in read() if m[0].startswith("one/")], "d1") +
                                    values([m for m in read() if m[0].startswith("uno/")], "d1")), [1, 2])
        gateway.stop()


class TestWebhook(UplinkTest):
    def hook(self, server, **keys):
        return settings("hook", type="webhook", url=f"http://127.0.0.1:{server.server_port}/in?x=1", backoff_max="1s",
                        batch_delay="50ms", kinds="telemetry", **keys)

    def check_signature(self, headers, body, secret):
        text = headers["Tcgw-Timestamp"].encode() + b"." + body
        expected = "sha256=" + hmac.new(secret, text, hashlib.sha256).hexdigest()
        self.assertTrue(hmac.compare_digest(headers["Tcgw-Signature"], expected))

    def taken(self, server):
        return [(headers, json.loads(body)) for status, headers, body in list(server.requests) if status == 204]

    def test_order_signature_and_retries(self):
        server = self.platform((500, {}), (204, {}), (429, {"Retry-After": "1"}), (503, {}))
        directory = tempfile.mkdtemp(prefix="tcgw-secret-")
        self.addCleanup(shutil.rmtree, directory, True)
        secret = os.path.join(directory, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("a secret\n")
        os.chmod(secret, 0o600)
        gateway = self.relay(self.hook(server, secret_file=secret, batch_max=4))
        devices = [Device(gateway, "d1"), Device(gateway, "d2")]
        for value in range(15):
            for device in devices:
                self.assertTrue(device.send(value))
        wait_for(lambda: sum(len(body["entries"]) for _, body in self.taken(server)) >= 30, 30, what="all entries")
        batches = self.taken(server)
        for device in devices:
            got = [e["records"][0]["value"] for _, body in batches for e in body["entries"]
                   if e["device"] == device.name]
            self.assertEqual(got, list(range(15)))
        for _, headers, body in list(server.requests):
            self.check_signature(headers, body, b"a secret")
        keys = [headers["Idempotency-Key"] for headers, _ in batches]
        self.assertEqual(len(set(keys)), len(keys))
        retried = [headers["Idempotency-Key"] for status, headers, _ in list(server.requests) if status != 204]
        self.assertTrue(set(retried) <= set(keys))
        gateway.kill()
        count = len(self.taken(server))
        gateway.start()
        self.assertTrue(devices[0].send(99))
        wait_for(lambda: any(e["records"][0]["value"] == 99 for _, body in self.taken(server) for e in body["entries"]),
                 20, what="what came after the restart")
        self.assertLessEqual(len(self.taken(server)), count + 2)  # at most one batch came twice
        gateway.stop()
        os.chmod(secret, 0o644)
        gateway.start()
        self.assertLess(self.wait_for_sink(gateway, "failed", "hook")["behind"], 20)  # it keeps its place
        gateway.stop()

    def test_dead_letters(self):
        server = self.platform((401, {}), (302, {"Location": "http://127.0.0.1:9/"}), (400, {}), (422, {}))
        gateway = self.relay(self.hook(server, max_refusals=2, batch_max=1))
        device = Device(gateway, "d1")
        self.assertTrue(device.send(1) and device.send(2))
        wait_for(lambda: len(self.taken(server)) == 1, 20, what="the second batch")
        letters = gateway.get("/v1/sinks/hook/dead-letters").json["items"]
        self.assertEqual(len(letters), 1)
        self.assertIn("422", letters[0]["reason"])
        self.assertEqual(letters[0]["attempts"], 4)
        first = letters[0]["first"]
        gateway.kill()
        gateway.start()
        shown = gateway.get(f"/v1/sinks/hook/dead-letters/{first}").json
        self.assertEqual(json.loads(shown["body"])["entries"][0]["records"][0]["value"], 1)
        self.assertEqual(gateway.post("/v1/sinks/hook/dead-letters/77/retry").status, 404)
        done = subprocess.run([program("tcgw"), "--socket", gateway.socket, "sink", "resend", "hook", str(first)],
                              capture_output=True, text=True, check=True)
        self.assertIn("sent again", done.stdout)
        wait_for(lambda: not gateway.get("/v1/sinks/hook/dead-letters").json["items"], 20, what="the letter to go")
        self.assertEqual(self.taken(server)[-1][1]["entries"][0]["records"][0]["value"], 1)
        server.plan[:] = [(413, {}), (413, {})]
        self.assertTrue(device.send(3))
        item = wait_for(lambda: gateway.get("/v1/sinks/hook/dead-letters").json["items"], 20, what="a dead letter")[0]
        listed = subprocess.run([program("tcgw"), "--socket", gateway.socket, "sink", "dead-letters", "hook"],
                                capture_output=True, text=True, check=True)
        self.assertIn("413", listed.stdout)
        self.assertEqual(gateway.delete(f"/v1/sinks/hook/dead-letters/{item['first']}").status, 204)
        self.assertEqual(gateway.get("/v1/sinks/hook/dead-letters").json["items"], [])
        self.assertIn("hook", subprocess.run([program("tcgw"), "--socket", gateway.socket, "sink", "list"],
                                             capture_output=True, text=True, check=True).stdout)
        self.assertEqual(gateway.metrics()['tcgw_sink_dead_letters_total{sink="hook"}'], 1)
        gateway.stop()


if __name__ == "__main__":
    main()
