"""The command line tool, driven as its users do."""
import json
import os
import subprocess
import tempfile

import harness


class CommandLine(harness.GatewayTest):
    def setUp(self):
        self.daemon = self.gateway()
        self.device = self.agent()

    def tcgw(self, *arguments, status=0):
        done = subprocess.run([harness.program("tcgw"), "--socket", self.daemon.socket, *arguments],
                              capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        return done

    def tcgw_json(self, *arguments):
        return json.loads(self.tcgw("--json", *arguments).stdout)

    def test_main_job(self):
        self.tcgw("device", "add", "box", self.device.address())
        self.assertIn("box", self.tcgw("device", "list").stdout)
        description = os.path.join(harness.SOURCE, "examples/door-watch.json")
        artifact = self.tcgw_json("artifact", "push", harness.example("door-watch.wasm"), "--description",
                                  description)["id"]
        self.assertIn(artifact[:12], self.tcgw("artifact", "list").stdout)
        self.tcgw("deploy", "box", "door", artifact[:12])
        self.assertIn("running", self.tcgw("container", "list", "box").stdout)
        harness.wait_for(lambda: self.tcgw("container", "logs", "box", "door").stdout, what="logs")
        self.tcgw("container", "stop", "box", "door")
        self.assertIn("stopped", self.tcgw("container", "list", "box").stdout)
        self.tcgw("container", "start", "box", "door")
        self.tcgw("container", "remove", "box", "door")
        self.assertIn("succeeded", self.tcgw("operation", "list").stdout)
        self.tcgw("artifact", "remove", artifact)
        self.tcgw("device", "remove", "box")
        self.assertEqual(self.tcgw_json("device", "list")["items"], [])

    def test_over_tcp(self):
        done = subprocess.run([harness.program("tcgw"), "--url", f"http://127.0.0.1:{self.daemon.port}", "status"],
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_exit_codes(self):
        self.tcgw("nonsense", status=2)
        self.tcgw("device", "show", "none", status=3)
        self.tcgw("device", "add", "box", self.device.address())
        self.tcgw("device", "add", "box", self.device.address(), status=4)
        self.tcgw("device", "add", "b ox", self.device.address(), status=5)
        gone = subprocess.run([harness.program("tcgw"), "--socket", "/nonexistent.sock", "status"],
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(gone.returncode, 6)
        self.assertIn("/nonexistent.sock", gone.stderr)

    def test_v1_agents_and_what_to_do(self):
        old = self.agent("--agent", "v1")
        self.tcgw("device", "add", "old", old.address())
        self.tcgw("deploy", "old", "job", harness.example("counter.rbpf"))
        refused = self.tcgw("container", "stop", "old", "job", status=8)
        self.assertIn("restart the device", refused.stderr.lower())
        self.tcgw("container", "remove", "old", "job", status=8)

    def test_key_and_offline_metadata(self):
        key = self.tcgw("key", "show").stdout
        self.assertIn(self.daemon.get("/v1/key").json["public_key"], key)
        with tempfile.TemporaryDirectory() as directory:
            output = directory + "/metadata"
            self.tcgw("metadata", "build", "--uid", "job", "--key", self.daemon.state + "/gateway-key.pem",
                      "--output", output, harness.example("counter.rbpf"))
            shown = self.tcgw("metadata", "inspect", output).stdout
            self.assertIn("job", shown)
            pushed = self.tcgw_json("artifact", "push", harness.example("counter.rbpf"), "--metadata", output)
            self.assertEqual(pushed["name"], "job")
            self.tcgw("artifact", "push", harness.example("counter.rbpf"), "--metadata", output, "--name", "x", status=2)
            with open(output, "r+b") as file:
                file.write(b"\0\0\0")
            self.tcgw("artifact", "push", harness.example("counter.rbpf"), "--metadata", output, status=5)
            self.assertNotEqual(subprocess.run([harness.program("tcgw"), "metadata", "inspect", output], check=False,
                                               capture_output=True).returncode, 0)


if __name__ == "__main__":
    harness.main()
