"""Starts real daemons and real agents for the integration tests, and speaks HTTP to them."""
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("TCGW_BUILD") or os.path.join(os.path.dirname(__file__), "../../build")
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
EXAMPLES = os.path.join(BUILD, "examples")
SKIP = 77  # automake's exit status for a skipped test
TEST_SECONDS = 900  # after which a test that waits for what never comes has failed

if os.environ.get("TCGW_SKIP_INTEGRATION"):
    print("skipped: TCGW_SKIP_INTEGRATION is set")
    sys.exit(SKIP)


def program(name):
    return os.path.join(BUILD, name)


def is_sanitized():
    """Whether the programs are slow because sanitizers watch them."""
    with open(program("tcgwd"), "rb") as file:
        return b"__asan_init" in file.read()


def example(name):
    path = os.path.join(EXAMPLES, name)
    if not os.path.exists(path):
        subprocess.run(["make", "-s", "-C", BUILD, "examples"], check=True)
    return path


def example_bytes(name):
    with open(example(name), "rb") as file:
        return file.read()


def example_description(name):
    with open(os.path.join(SOURCE, "examples", name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def wait_for(condition, timeout=10.0, interval=0.02, what="condition"):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"timed out after {timeout} s waiting for {what}")
        time.sleep(interval)


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody listens on, below those that the system gives to whoever asks for any (a gateway that is
    started again needs the same one)."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def slug(self):
        """The last segment of the problem type."""
        return self.json["type"].rsplit("/", 1)[-1]

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Gateway:
    """A tcgwd with a state directory of its own. With plain, devices without credentials may be used."""

    def __init__(self, *settings, directory=None, wrapper=(), env=None, config=None, plain=True):
        self.directory = directory or tempfile.mkdtemp(prefix="tcgw-test-")
        self.state = os.path.join(self.directory, "state")
        self.socket = os.path.join(self.directory, "tcgw.sock")
        self.port = free_port()
        self.coap_port = free_port(socket.SOCK_DGRAM)
        self.plain = plain
        self.settings = list(settings)
        self.wrapper = list(wrapper)
        self.env = env or {}
        self.config = config
        self.log_path = os.path.join(self.directory, "tcgwd.log")
        self.process = None

    def command(self):
        settings = [f"gateway.state_directory={self.state}", f"http.socket={self.socket}",
                    f"http.listen=127.0.0.1:{self.port}", "auth.anonymous=owner",
                    "operations.verify_delay=150ms",
                    "operations.settle_delay=100ms", f"coap.listen=127.0.0.1:{self.coap_port}",
                    f"coap.allow_plain_groups={'*' if self.plain else ''}", *self.settings]
        command = [*self.wrapper, program("tcgwd")]
        if self.config:
            command += ["-c", self.config]
        for setting in settings:
            command += ["-o", setting]
        return command

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.env})
        return self

    def start(self, timeout=30):
        self.spawn()
        wait_for(self.is_up, timeout, what="tcgwd to serve; log:\n" + self.log())
        return self

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"tcgwd ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def stop(self, timeout=10):
        """SIGTERM; returns the seconds that it took. A sanitizer's or valgrind's complaint shows in the status."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        took = time.monotonic() - begin
        if status != 0:
            raise AssertionError(f"tcgwd ended with {status}:\n{self.log()}")
        return took

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # HTTP

    def connection(self, tcp=False, timeout=60):
        if tcp:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        return UnixConnection(self.socket, timeout)

    def request(self, method, path, body=None, headers=None, tcp=False, timeout=60):
        connection = self.connection(tcp, timeout)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    # what most tests need

    def add_device(self, device, peer, index=0, **more):
        answer = self.post("/v1/devices", {"id": device, "address": peer.address(index), **more})
        assert answer.status == 201, answer
        return answer.json

    def enrol(self, device, **body):
        """Makes fresh credentials for a device and returns them as it has them."""
        answer = self.post(f"/v1/devices/{device}/credentials", body)
        assert answer.status == 201, answer
        return answer.json

    def set_address(self, device, address):
        answer = self.request("PATCH", f"/v1/devices/{device}", {"address": address},
                              headers={"Content-Type": "application/merge-patch+json"})
        assert answer.status == 200, answer

    def metrics(self):
        """All samples of /metrics by name, with their labels."""
        lines = self.get("/metrics").body.decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] not in "#")}

    def upload(self, **parts):
        """Uploads these parts (bytes) as multipart."""
        boundary = "tcgw-test-boundary"
        body = b""
        for name, content in parts.items():
            body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
                     "Content-Type: application/octet-stream\r\n\r\n").encode() + content + b"\r\n"
        body += f"--{boundary}--\r\n".encode()
        return self.post("/v1/artifacts", body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def push(self, code, description=None, data=None):
        """Uploads an artifact and returns its id."""
        parts = {"description": json.dumps(description or {}).encode(), "code": code}
        answer = self.upload(**parts, **({} if data is None else {"data": data}))
        assert answer.status in (200, 201), answer
        return answer.json["id"]

    def push_example(self, name, **changes):
        description = example_description(name)
        return self.push(example_bytes(f"{name}.{description['type']}"), {**description, **changes})

    def deploy(self, device, uid, artifact, state="running", wait=30, ttl=None):
        path = f"/v1/devices/{device}/containers/{uid}" + (f"?ttl={ttl}" if ttl else "")
        return self.put(path, {"artifact": artifact, "state": state}, headers={"Prefer": f"wait={wait}"})

    def container(self, device, uid, fresh=False):
        headers = {"Cache-Control": "no-cache"} if fresh else {}
        return self.get(f"/v1/devices/{device}/containers/{uid}", headers=headers)

    def ended(self, operation, timeout=60):
        """The operation's JSON once it has ended."""
        def look():
            found = self.get(f"/v1/operations/{operation}").json
            return found if found["state"] not in ("queued", "running") else None
        return wait_for(look, timeout, what=f"operation {operation} to end")

    def check_database(self):
        with sqlite3.connect(os.path.join(self.state, "tcgw.db")) as database:
            return database.execute("PRAGMA integrity_check").fetchone()[0]


class Agent:
    """A tcagent process with one or more simulated devices. Without a journal events() is empty."""

    def __init__(self, *options, port=0, count=1, wrapper=(), journal=True, host="127.0.0.1"):
        self.directory = tempfile.mkdtemp(prefix="tcagent-test-")
        self.journal = os.path.join(self.directory, "journal")
        self.options = list(options)
        self.wrapper = list(wrapper)
        self.with_journal = journal
        self.host = host
        self.count = count
        self.port = port
        self.process = None

    def start(self):
        command = [*self.wrapper, program("tcagent"), "--port", str(self.port), "--count", str(self.count),
                   *(["--journal", self.journal] if self.with_journal else []), *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("tcagent ready "), f"{command} said {line!r}"
        self.port = int(line.split()[2].rsplit(":", 1)[1].split(".")[0])
        return self

    def address(self, index=0):
        return f"coap://{self.host}:{self.port + index}"

    def events(self, *kinds, uid=None):
        """What really happened on the devices, oldest first."""
        if not os.path.exists(self.journal):
            return []
        with open(self.journal, encoding="utf-8") as file:
            found = [json.loads(line) for line in file if line.endswith("\n")]
        return [event for event in found
                if (not kinds or event["event"] in kinds) and (uid is None or event.get("uid") == uid)]

    def protected(self, outcome="verified"):
        """Protected messages of the gateway."""
        return [event for event in self.events("protected") if event["outcome"] == outcome]

    def check_nonces(self):
        """No sequence number of the gateway protected two different messages."""
        seen = {}
        assert not self.events("piv-reuse")
        for event in self.protected() + self.protected("challenged"):
            name = "piv" if "piv" in event else "request_piv"  # whose number the nonce is made of
            key = event["device"], event.get("id_context"), name, event[name]
            assert seen.setdefault(key, event["hash"]) == event["hash"], event
        return len(seen)

    def loads(self, uid=None):
        """Loads that took a slot."""
        return [event for event in self.events("load", uid=uid) if event.get("outcome") == "ok"]

    def restart_devices(self):
        self.process.send_signal(signal.SIGUSR1)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            status = self.process.wait(10)
            assert status == 0, f"tcagent ended with {status}"

    def close(self):
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class GatewayTest(unittest.TestCase):
    """A test with daemons and agents that are cleared away afterwards, and with an end."""

    def run(self, result=None):
        def too_late(*_):
            raise AssertionError(f"the test did not end within {TEST_SECONDS} s")

        signal.signal(signal.SIGALRM, too_late)
        # Again every minute, for a clearing away that hangs as well.
        signal.setitimer(signal.ITIMER_REAL, TEST_SECONDS, 60)
        try:
            return super().run(result)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def gateway(self, *settings, start=True, **more):
        gateway = Gateway(*settings, **more)
        self.addCleanup(gateway.close)
        return gateway.start() if start else gateway

    def agent(self, *options, start=True, **more):
        agent = Agent(*options, **more)
        self.addCleanup(agent.close)
        return agent.start() if start else agent

    def start_under_valgrind(self, gateway):
        """Starts it so that a leak or a bad access fails the stop."""
        if os.environ.get("TCGW_SANITIZED"):
            self.skipTest("the sanitizers look for leaks in this build")
        gateway.wrapper = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
                           "--errors-for-leak-kinds=definite"]
        return gateway.start(timeout=60)

    def protected_agent(self, gateway, *options, count=1, kind="v2", **more):
        """Enrols the devices d0, d1, ... and starts an agent that is them, keeps its state and knows the gateway."""
        agent = self.agent(*options, start=False, count=count, **more)
        secrets = []
        for i in range(count):
            answer = gateway.post("/v1/devices", {"id": f"d{i}", "address": "coap://127.0.0.1:9", "agent": kind})
            self.assertEqual(answer.status, 201, answer)
            secrets.append(gateway.enrol(f"d{i}"))
        agent.credentials = os.path.join(agent.directory, "credentials.json")
        agent.state = os.path.join(agent.directory, "state")
        with open(agent.credentials, "w", encoding="utf-8") as file:
            json.dump(secrets, file)
        agent.options = ["--oscore", agent.credentials, "--state", agent.state, "--gateway",
                         f"127.0.0.1:{gateway.coap_port}", *agent.options]
        agent.start()
        for i in range(count):
            gateway.set_address(f"d{i}", agent.address(i))
        return agent

    def assert_problem(self, answer, status, slug, *words):
        self.assertEqual(answer.status, status, answer)
        self.assertTrue(answer.headers["Content-Type"].startswith("application/problem+json"), answer)
        self.assertEqual(answer.slug, slug, answer)
        self.assertEqual(answer.json["status"], status)
        for word in words:
            self.assertIn(word, answer.json["detail"])

    def assert_running(self, gateway, device, uid):
        answer = gateway.container(device, uid, fresh=True)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["reported"]["state"], "running", answer)


def main():
    unittest.main(verbosity=2, module="__main__")
