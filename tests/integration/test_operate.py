"""What an operator does at night: doctor, support-bundle, raw requests, the live view."""
import base64
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import tarfile
import termios

import harness

PASSWORD, TOKEN = "correct-horse-battery", "whsec-5f2c9d01aa"


class Terminal:
    """A program under a pseudo terminal."""

    def __init__(self, command):
        self.master, self.slave = pty.openpty()
        self.resize(30, 140, tell=False)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        env={**os.environ, "TERM": "xterm-256color"}, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, rows, columns, tell=True):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)
        return self.seen

    def wait_for(self, text):
        harness.wait_for(lambda: text in self.read(), timeout=30, what=f"{text} on the terminal")

    def type(self, keys):
        """What comes from here on is looked at for what the keys cause."""
        self.read()
        self.seen = b""
        os.write(self.master, keys)

    def wait(self):
        harness.wait_for(lambda: self.read() is not None and self.process.poll() is not None, timeout=30, what="its end")
        self.read()
        return self.process.returncode

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before and self.seen.rstrip().endswith(b"\x1b[?1l\x1b>")


class Operate(harness.GatewayTest):
    def setUp(self):
        self.daemon = self.gateway()
        self.device = self.agent()

    def tcgw(self, *arguments, status=0, text=True):
        done = subprocess.run([harness.program("tcgw"), "--socket", self.daemon.socket, *arguments],
                              capture_output=True, text=text, timeout=60, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        return done

    def write(self, name, text):
        path = os.path.join(self.daemon.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o600)
        return path

    def configuration(self, more=""):
        """A file with what the daemon was started with."""
        return self.write("tcgw.conf", f"[gateway]\nstate_directory = {self.daemon.state}\n[http]\nsocket = "
                          f"{self.daemon.socket}\n[coap]\nlisten = 127.0.0.1:{self.daemon.coap_port}\n{more}")

    def test_doctor(self):
        self.daemon.add_device("box", self.device)
        config = self.configuration()
        done = self.tcgw("doctor", "--config", config)
        self.assertIn("CoAP is answered at", done.stdout)
        self.assertIn("box answers", done.stdout)
        self.device.stop()
        found = json.loads(self.tcgw("doctor", "--config", config, "--json").stdout)
        self.assertTrue([f for f in found["findings"] if f["check"] == "devices" and f["state"] == "warning"], found)
        self.daemon.kill()
        found = json.loads(self.tcgw("doctor", "--config", config, "--json", status=1).stdout)
        states = {(f["check"], f["state"]) for f in found["findings"]}
        self.assertIn(("gateway", "error"), states)
        self.assertIn(("devices", "skipped"), states)

    def secrets(self):
        """Every secret that this test knows, in the forms that it could take."""
        credentials = [self.daemon.enrol("box"), self.daemon.enrol("psk-box", kind="psk")]
        texts = [PASSWORD, TOKEN]

        def collect(value):
            if isinstance(value, dict):
                for name, member in value.items():
                    if name in ("master_secret", "master_salt", "key", "private_key", "secret"):
                        texts.append(member)
                    collect(member)
            elif isinstance(value, list):
                for member in value:
                    collect(member)

        collect(credentials)
        raw = [text.encode() for text in texts if isinstance(text, str) and text]
        for name in os.listdir(self.daemon.state):
            if "key" in name:
                with open(os.path.join(self.daemon.state, name), "rb") as file:
                    content = file.read()
                raw += [line for line in content.splitlines() if len(line) >= 16 and b"-----" not in line]
                raw.append(content.strip())
        self.assertGreaterEqual(len(raw), 6, texts)
        return [form for secret in raw for form in (secret, secret.hex().encode(), base64.b64encode(secret))]

    def test_bundle_has_no_secret(self):
        password, token = self.write("password", PASSWORD + "\n"), self.write("hook-secret", TOKEN)
        more = (f"[sink cloud]\ntype = mqtt\nhost = 127.0.0.1\nport = 1\nallow_insecure = yes\nusername = gw\n"
                f"password_file = {password}\n"
                f"[sink hook]\ntype = webhook\nurl = http://127.0.0.1:1/x\nallow_insecure = yes\n"
                f"secret_file = {token}\n")
        config = self.configuration(more)
        self.daemon.stop()
        self.daemon.config = config
        self.daemon.start()
        for device in "box", "psk-box":
            self.daemon.add_device(device, self.device)
        secrets = self.secrets()
        output = os.path.join(self.daemon.directory, "bundle.tar.gz")
        self.tcgw("support-bundle", "--config", config, "-o", output)
        self.assertEqual(os.stat(output).st_mode & 0o777, 0o600)
        with tarfile.open(output) as bundle:
            parts = {member.name: bundle.extractfile(member).read() for member in bundle}
        for part in "doctor.json", "info.json", "devices.json", "metrics.txt", "tcgw.conf", "state-directory.txt":
            self.assertIn(f"tcgw-support/{part}", parts)
        self.assertIn(b"psk-box", parts["tcgw-support/devices.json"])
        for name, content in parts.items():
            for secret in secrets:
                self.assertNotIn(secret, content, name)
        self.tcgw("support-bundle", "-o", output, status=5)  # never over another file

    def test_bundle_without_a_gateway(self):
        config = self.configuration()
        self.daemon.kill()
        output = os.path.join(self.daemon.directory, "bundle.tar.gz")
        self.tcgw("support-bundle", "--config", config, "-o", output)
        with open(output, "rb") as file, tarfile.open(fileobj=io.BytesIO(file.read())) as bundle:
            self.assertIn("tcgw-support/doctor.json", bundle.getnames())

    def test_raw_requests(self):
        self.daemon.add_device("box", self.device)
        links = self.tcgw("coap", "get", "box", "/.well-known/core").stdout
        self.assertIn("2.05 Content", links)
        self.assertIn("    </sensors/temperature>", links)
        info = self.tcgw("coap", "get", "box", "/tc").stdout
        self.assertIn("bytes, cbor", info)
        self.assertIn("Content-Format: application/cbor", info)
        self.assertIn("4.04 Not Found", self.tcgw("coap", "get", "box", "/nowhere", status=1).stdout)
        self.assertIn("4.05", self.tcgw("coap", "put", "box", "/tc", "--payload", "x", status=1).stdout)
        answer = json.loads(self.tcgw("coap", "get", "box", "/tc", "--json").stdout)
        self.assertEqual(answer["code"], "2.05")
        self.assertTrue(answer["payload_base64"])
        seen = self.tcgw("coap", "observe", "box", "/sensors/temperature", "--count", "1").stdout
        self.assertIn("2.05 Content", seen)
        self.tcgw("coap", "get", "none", "/x", status=3)

    def test_top(self):
        """The live view on a terminal, which is afterwards as it was before, whatever ended it."""
        self.daemon.add_device("box", self.device)
        for end in b"q", signal.SIGTERM, signal.SIGINT:
            with Terminal([harness.program("tcgw"), "--socket", self.daemon.socket, "top"]) as terminal:
                terminal.wait_for(b"box")
                terminal.wait_for(b"1 devices (1)")
                terminal.type(b"2")
                terminal.wait_for(b"STATE")
                terminal.type(b"1srS?")
                terminal.wait_for(b"sort by the next")
                terminal.type(b"?")
                terminal.resize(10, 30)
                terminal.wait_for(b"? help")
                terminal.resize(30, 140)
                terminal.type(b"p")
                terminal.wait_for(b"paused")
                if isinstance(end, bytes):
                    terminal.type(end)
                else:
                    terminal.process.send_signal(end)
                self.assertEqual(terminal.wait(), 0 if isinstance(end, bytes) else 130)
                self.assertTrue(terminal.is_restored(), terminal.seen[-200:])

    def test_top_outlives_the_gateway(self):
        with Terminal([harness.program("tcgw"), "--socket", self.daemon.socket, "top", "--every", "1"]) as terminal:
            terminal.wait_for(b"tcgw ")
            self.daemon.kill()
            terminal.wait_for(b"does not answer")
            terminal.type(b"q")
            self.assertEqual(terminal.wait(), 0)


if __name__ == "__main__":
    harness.main()
