"""How devices get their credentials and lose them, and what people and programs see of it."""
import json
import os
import stat
import subprocess
import threading

import harness

SECRET = "0102030405060708090a0b0c0d0e0f10"
NOBODY = "coap://127.0.0.1:9"


class Enrolment(harness.GatewayTest):
    def setUp(self):
        self.daemon = self.gateway(plain=False)

    def tcgw(self, *arguments, status=0, stdin=None):
        done = subprocess.run([harness.program("tcgw"), "--socket", self.daemon.socket, *arguments], input=stdin,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def tcgw_json(self, *arguments):
        return json.loads(self.tcgw("--json", *arguments))

    def path(self, name):
        return os.path.join(self.daemon.directory, name)

    def start_device(self, name, credentials, *options, **more):
        """An agent with the credentials of a file, under its address."""
        device = self.agent("--oscore", credentials, "--gateway", f"127.0.0.1:{self.daemon.coap_port}", *options, **more)
        self.daemon.set_address(name, device.address())
        return device

    def state_of(self, name):
        return [(item["kind"], item["state"]) for item in self.tcgw_json("device", "credentials", name)["items"]]

    def deploy(self, name, uid="door"):
        return self.daemon.deploy(name, uid, self.daemon.push_example("door-watch"))

    def assert_deploys(self, name, uid="door"):
        answer = self.deploy(name, uid)
        self.assertEqual(answer.status, 200, answer)

    # Enrolment

    def test_from_the_command_line_to_a_running_container(self):
        file = self.path("box.json")
        self.tcgw("device", "enrol", "box", "--create", NOBODY, "-o", file)
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        with open(file, encoding="utf-8") as secrets:
            secret = json.load(secrets)["master_secret"]
        self.assertEqual(self.state_of("box"), [("oscore", "new")])
        device = self.start_device("box", file)
        self.assert_deploys("box")
        self.assert_running(self.daemon, "box", "door")
        self.assertEqual(self.state_of("box"), [("oscore", "active")])
        self.assertIn("oscore", self.tcgw("device", "list"))
        self.assertTrue(device.protected())
        device.check_nonces()
        self.tcgw("device", "enrol", "box", "-o", file, status=5)  # nothing is overwritten
        for place in (self.daemon.log(), self.tcgw("device", "show", "box"), self.tcgw("device", "credentials", "box"),
                      self.daemon.get("/v1/devices/box/credentials").body.decode()):
            self.assertNotIn(secret, place)
        with open(os.path.join(self.daemon.state, "tcgw.db"), "rb") as database:
            stored = database.read()
        self.assertNotIn(bytes.fromhex(secret), stored)
        self.assertNotIn(secret.encode(), stored)

    def test_no_key_can_repeat_an_enrolment(self):
        self.daemon.post("/v1/devices", {"id": "box", "address": NOBODY})
        answer = self.daemon.post("/v1/devices/box/credentials", {}, headers={"Idempotency-Key": "k"})
        self.assert_problem(answer, 400, "invalid-parameter", "Idempotency-Key")
        self.assertEqual(self.daemon.post("/v1/devices/box/credentials").headers["Cache-Control"], "no-store")

    def test_rotation_overlaps(self):
        old, new = self.path("old.json"), self.path("new.json")
        self.tcgw("device", "rotate", "box", status=3)
        self.tcgw("device", "enrol", "box", "--create", NOBODY, "-o", old)
        device = self.start_device("box", old)
        self.assert_deploys("box", "one")
        self.tcgw("device", "rotate", "box", "-o", new)
        self.assertEqual(sorted(self.state_of("box")), [("oscore", "active"), ("oscore", "new")])
        self.assert_deploys("box", "two")  # the device still has the old ones
        device.stop()
        self.start_device("box", new, "--report", "200ms")
        harness.wait_for(lambda: self.state_of("box") == [("oscore", "active")], what="the new credentials to be used")
        self.assert_deploys("box", "three")

    def test_revoked_means_refused(self):
        file = self.path("box.json")
        self.tcgw("device", "enrol", "box", "--create", NOBODY, "-o", file)
        self.start_device("box", file, "--report", "200ms")
        harness.wait_for(lambda: self.daemon.get("/v1/devices/box/shadow/reported").status == 200, what="a report")
        number = self.tcgw_json("device", "credentials", "box")["items"][0]["number"]
        self.tcgw("device", "revoke", "box", "999999", status=3)
        self.tcgw("device", "revoke", "box", str(number))
        last = self.daemon.get("/v1/devices/box/shadow/reported").headers["ETag"]
        harness.wait_for(lambda: self.daemon.metrics()['tcgw_oscore_refused_total{reason="context"}'] >= 1,
                         what="a refused report")
        self.assertEqual(self.daemon.get("/v1/devices/box/shadow/reported").headers["ETag"], last)
        self.assert_problem(self.deploy("box"), 403, "credentials-required")
        self.assertEqual(self.tcgw_json("device", "show", "box")["security"], "none")

    def test_import_of_each_form(self):
        self.tcgw("device", "add", "box", NOBODY)
        ids = {"libcoap": ("6131", ""), "aiocoap": ("6132", "67"), "json": ("6133", "68")}
        texts = {
            "libcoap": f'master_secret,hex,"{SECRET}"\nsender_id,ascii,"a1"\nrecipient_id,hex,""\naead_alg,integer,10\n',
            "aiocoap": json.dumps({"secret_hex": SECRET, "sender-id_ascii": "a2", "recipient-id_hex": "67"}),
            "json": json.dumps({"kind": "oscore", "master_secret": SECRET, "sender_id": "6133", "recipient_id": "68",
                                "id_context": None}),
        }
        for form, text in texts.items():
            self.tcgw("device", "import", "box", "-", "--fresh", stdin=text)
            item = self.tcgw_json("device", "credentials", "box")["items"][-1]
            self.assertEqual((item["recipient_id"], item["sender_id"]), ids[form], form)
            self.assertEqual(item["state"], "new")
            self.tcgw("device", "revoke", "box")
        self.tcgw("device", "import", "box", "-", stdin="no credentials", status=5)
        file = self.path("device.json")
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"kind": "oscore", "device": "box", "number": 1, "algorithm": "AES-CCM-16-64-128",
                       "hkdf": "SHA-256", "master_secret": "aa" * 16, "master_salt": "bb" * 8, "sender_id": "d001",
                       "recipient_id": "90", "id_context": "cc" * 8}, out)
        self.tcgw("device", "import", "box", file, "--fresh")
        self.start_device("box", file)
        self.assert_deploys("box")

    # Without credentials

    def test_plain_is_refused_unless_somebody_allows_it(self):
        device = self.agent()
        self.tcgw("device", "add", "box", device.address())
        self.assertEqual(self.tcgw_json("device", "show", "box")["security"], "none")
        self.assert_problem(self.deploy("box"), 403, "credentials-required")
        answer = self.daemon.put("/v1/devices/box/resources/tc/c/x", b"x")
        self.assert_problem(answer, 403, "credentials-required")
        self.assertEqual(device.loads(), [])
        self.assertEqual(self.daemon.get("/v1/devices/box/resources/tc").status, 200)  # reading changes nothing
        self.tcgw("device", "set", "box", "--allow-plain")
        self.assertIn("plain", self.tcgw("device", "list"))
        self.assert_deploys("box")
        self.tcgw("device", "set", "box", "--allow-plain=no")
        self.assert_problem(self.deploy("box", "other"), 403, "credentials-required")

    def test_groups_may_be_plain(self):
        daemon = self.gateway("coap.allow_plain_groups=lab bench")
        device = self.agent()
        daemon.add_device("box", device, groups=["bench"])
        daemon.add_device("other", device, groups=["labs"])
        self.assertEqual(daemon.get("/v1/devices/box").json["security"], "plain")
        self.assertEqual(daemon.get("/v1/devices/other").json["security"], "none")

    def test_join(self):
        self.tcgw("join", "approve", "newcomer", status=3)
        device = self.agent("--device-id", "newcomer", "--join", "--gateway", f"127.0.0.1:{self.daemon.coap_port}")
        self.assertEqual(self.tcgw_json("join", "list")["pending"], [])
        self.tcgw("join", "open", "5")
        harness.wait_for(lambda: self.tcgw("join", "list", "-q").split() == ["newcomer"], 30, what="the agent to ask")
        self.assertEqual(self.tcgw_json("join", "list")["pending"][0]["address"], device.address())
        self.assertEqual(self.daemon.get("/v1/devices/newcomer").status, 404)
        self.tcgw("join", "approve", "newcomer", "--group", "lab")
        self.assertEqual(self.tcgw("join", "list", "-q"), "")
        shown = self.tcgw_json("device", "show", "newcomer")
        self.assertEqual((shown["security"], shown["groups"]), ("none", ["lab"]))
        self.assert_problem(self.deploy("newcomer"), 403, "credentials-required")
        self.assertEqual(device.loads(), [])
        self.tcgw("join", "close")
        self.assertFalse(self.tcgw_json("join", "list")["open"])

    # Resources

    def protected_device(self, *options):
        file = self.path("box.json")
        self.tcgw("device", "enrol", "box", "--create", NOBODY, "-o", file)
        return self.start_device("box", file, *options)

    def test_resources(self):
        self.protected_device()
        core = self.daemon.get("/v1/devices/box/resources/.well-known/core")
        self.assertEqual((core.status, core.headers["Content-Type"]), (200, "application/link-format"))
        self.assertIn("</tc>", core.body.decode())
        missing = self.daemon.get("/v1/devices/box/resources/no/such/place")
        self.assert_problem(missing, 404, "device-error", "4.04")
        self.assertEqual(missing.headers["Tcgw-Coap-Code"], "4.04")
        answer = self.daemon.put("/v1/devices/box/resources/tc/id", b"door-1")
        self.assertEqual(answer.status, 204, answer)
        self.assertEqual(self.tcgw("resource", "get", "box", "tc/id"), "door-1")
        self.tcgw("resource", "delete", "box", "/no/such/place", status=1)

    def test_events(self):
        self.protected_device()
        watch = subprocess.Popen([harness.program("tcgw"), "--socket", self.daemon.socket, "--json", "resource", "observe",
                                  "box", "/tc/c", "--count", "2"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.kill)
        first = json.loads(watch.stdout.readline())
        self.assertEqual((first["code"], first["content_format"]), ("2.05", 60))
        self.assert_deploys("box")
        self.assertEqual(json.loads(watch.stdout.readline())["code"], "2.05")
        self.assertEqual(watch.wait(10), 0)
        watch.stdout.close()
        harness.wait_for(lambda: self.daemon.metrics()["tcgw_http_streams"] == 0, what="the stream to end")

    def test_a_gateway_that_stops_ends_streams(self):
        self.protected_device()
        connection = self.daemon.connection()
        connection.request("GET", "/v1/devices/box/resources/tc/c", headers={"Accept": "text/event-stream"})
        answer = connection.getresponse()
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        self.assertEqual(answer.readline(), b"id: 1\n")
        stop = threading.Thread(target=self.daemon.stop)
        stop.start()
        self.assertIn(b"event: end", answer.read())
        stop.join()
        connection.close()

    def test_shadows(self):
        self.protected_device("--report", "200ms")
        answer = self.daemon.put("/v1/devices/box/shadow/desired", {"led": True})
        self.assertEqual(answer.status, 201, answer)
        tag = answer.headers["ETag"]
        self.assertEqual(self.daemon.get("/v1/devices/box/shadow/desired", headers={"If-None-Match": tag}).status, 304)
        self.assertEqual(self.tcgw_json("shadow", "get", "box"), {"led": True})
        self.tcgw("shadow", "set", "box", "-", stdin='{"led": false}')
        self.assertNotEqual(self.daemon.get("/v1/devices/box/shadow/desired").headers["ETag"], tag)
        harness.wait_for(lambda: self.daemon.get("/v1/devices/box/shadow/reported").status == 200, what="a report")
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.daemon.get("/v1/devices/box/shadow/desired").json, {"led": False})
        self.tcgw("shadow", "delete", "box")
        self.tcgw("shadow", "get", "box", status=3)

    def test_of_writers_with_the_same_if_match_one_succeeds(self):
        self.tcgw("device", "add", "box", NOBODY)
        path = "/v1/devices/box/shadow/desired"
        tag = self.daemon.put(path, {"writer": None}).headers["ETag"]
        for _ in range(20):
            barrier, answers = threading.Barrier(4), []

            def write(writer, tag=tag, barrier=barrier, answers=answers):
                barrier.wait()
                answers.append(self.daemon.put(path, {"writer": writer}, headers={"If-Match": tag}))

            writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
            self.assertEqual(sorted(answer.status for answer in answers), [204, 412, 412, 412])
            tag = next(answer.headers["ETag"] for answer in answers if answer.status == 204)
            self.assertEqual(self.daemon.get(path).headers["ETag"], tag)

    # Metrics

    def test_metrics(self):
        self.protected_device()
        self.assert_deploys("box")
        answer = self.daemon.get("/metrics")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        text = answer.body.decode()
        self.assertTrue(text.endswith("\n"))
        family, kind, families, samples = None, None, set(), set()
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family = line.split()[2]
                self.assertNotIn(family, families)
                families.add(family)
            elif line.startswith("# TYPE "):
                self.assertEqual(line.split()[2], family)
                kind = line.split()[3]
                self.assertIn(kind, ("counter", "gauge", "histogram"))
                self.assertEqual(kind == "counter", family.endswith("_total"), line)
            else:
                sample, value = line.rsplit(" ", 1)
                name = sample.split("{")[0]
                if kind == "histogram":
                    name = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
                self.assertEqual(name, family)
                self.assertTrue(family.startswith("tcgw_"))
                self.assertNotIn(sample, samples)
                samples.add(sample)
                float(value)
        self.assertIn("tcgw_devices", samples)


if __name__ == "__main__":
    harness.main()
