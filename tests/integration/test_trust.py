"""Signed releases from the key to the device, with tcgw as people use it; what is refused, and why."""
import base64
import json
import os
import subprocess
import tempfile

import harness


class Trust(harness.GatewayTest):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.TemporaryDirectory(prefix="tcgw-trust-")
        self.addCleanup(self.directory.cleanup)

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def tcgw(self, gateway, *words, exit_code=0, stdin=None):
        command = [harness.program("tcgw")]
        if gateway:
            command += ["--socket", gateway.socket]
        done = subprocess.run([*command, *words], input=stdin, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, exit_code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def key(self, name):
        self.tcgw(None, "key", "generate", self.path(name))
        return self.path(name)

    def sign(self, release, sequence, artifact, key):
        file = self.path(f"{release}.release")
        self.tcgw(None, "release", "sign", release, "--sequence", str(sequence), "--artifact", artifact, "--key", key,
                  "-o", file)
        return file

    def deploy(self, gateway, release, *options, exit_code=0):
        return self.tcgw(gateway, "deploy", "box", "job", release, *options, exit_code=exit_code)

    def test_from_the_key_to_the_device(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        one, two = gateway.push_example("counter"), gateway.push_example("door-watch")
        acme = self.key("acme.pem")
        self.tcgw(gateway, "publisher", "set", "acme", "--key", acme, "--artifact", "d*r")
        self.tcgw(gateway, "release", "add", self.sign("door@1.0", 1, one, acme))
        self.tcgw(gateway, "release", "add", self.sign("door@2.0", 2, two, acme))
        self.assertIn("good", self.tcgw(gateway, "release", "show", "door@2.0"))
        releases = gateway.get("/v1/releases?name=door").json["items"]
        self.assertEqual([release["release"] for release in releases], ["door@2.0", "door@1.0"])
        self.assertEqual(gateway.get(f"/v1/artifacts/{two}").json["releases"],
                         [{"release": "door@2.0", "publisher": "acme", "state": "good"}])

        self.deploy(gateway, "door@2.0")
        shown = gateway.container("box", "job").json
        self.assertEqual(shown["reported"]["release"], "door@2.0")
        self.assertIn("rollback-refused", self.deploy(gateway, "door@1.0", "--json", exit_code=4))
        gateway.kill()
        gateway.start()
        self.deploy(gateway, "door@1.0", exit_code=4)
        self.deploy(gateway, "door@1.0", "--rollback")
        self.assertEqual(gateway.container("box", "job").json["reported"]["release"], "door@1.0")
        self.assertEqual(len(agent.loads("job")), 2)
        self.assert_problem(gateway.deploy("box", "job", two), 403, "unsigned")
        self.assert_problem(gateway.delete("/v1/releases/door@1.0"), 409, "in-use")

    def test_what_is_refused(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        artifact = gateway.push_example("counter")
        acme, other = self.key("acme.pem"), self.key("other.pem")
        self.tcgw(gateway, "publisher", "set", "acme", "--key", acme, "--artifact", "door", "--group", "lobby")

        def add(file):
            with open(file, "rb") as message:
                text = base64.b64encode(message.read()).decode()
            return gateway.post("/v1/releases", {"signature": text})

        self.assert_problem(add(self.sign("door@1.0", 1, artifact, other)), 403, "publisher-unknown")
        self.assert_problem(add(self.sign("lamp@1.0", 1, artifact, acme)), 403, "out-of-scope", "lamp")
        file = self.sign("door@1.0", 1, artifact, acme)
        with open(file, "r+b") as message:
            message.seek(-1, os.SEEK_END)
            last = message.read()
            message.seek(-1, os.SEEK_END)
            message.write(bytes([last[0] ^ 1]))
        self.assert_problem(add(file), 422, "signature-invalid")
        self.assertEqual(add(self.sign("door@1.0", 1, artifact, acme)).status, 201)
        put = {"release": "door@1.0"}
        where = "/v1/devices/box/containers/job"
        self.assert_problem(gateway.put(where, put), 403, "out-of-scope", "box")
        self.tcgw(gateway, "publisher", "set", "acme", "--key", acme, "--artifact", "door")
        self.tcgw(gateway, "policy", "set", "house", "-",
                  stdin=json.dumps({"allow": True, "types": ["wasm"], "reason": "ask the janitor"}))
        self.assert_problem(gateway.put(where, put), 403, "policy-denied", "'house'", "type rbpf", "janitor")
        self.tcgw(gateway, "policy", "remove", "house")
        self.tcgw(gateway, "publisher", "set", "acme", "--key", acme, "--artifact", "door", "--revoked")
        self.assert_problem(gateway.put(where, put), 403, "publisher-revoked")
        self.assertEqual(agent.loads("job"), [])
        self.tcgw(gateway, "publisher", "set", "acme", "--key", acme, "--artifact", "door")
        self.deploy(gateway, "door@1.0")
        self.assertEqual(len(agent.loads("job")), 1)


if __name__ == "__main__":
    harness.main()
