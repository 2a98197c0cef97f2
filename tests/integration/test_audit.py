"""The audit trail: what is in it, and that nobody changes it unnoticed."""
import hashlib
import json
import os
import sqlite3
import subprocess
import unittest

import harness


class AuditTest(harness.GatewayTest):
    def trail(self, gateway):
        items, anchors, cursor = [], [], "0"
        while cursor is not None:
            page = gateway.get(f"/v1/audit?limit=1000&cursor={cursor}").json
            items += page["items"]
            anchors += page["anchors"]
            cursor = page["next"]
        return items, anchors

    def entries(self, gateway, **wanted):
        return [entry for entry in self.trail(gateway)[0] if all(entry.get(key) == wanted[key] for key in wanted)]

    def check_chain(self, items, previous=bytes(32)):
        """The hashes by the words of docs/operations.md, without the gateway's own code."""
        for item in items:
            entry = {key: value for key, value in item.items() if key != "hash"}
            text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            previous = hashlib.sha256(previous + text.encode()).digest()
            self.assertEqual(previous.hex(), item["hash"], item)
        return previous.hex()


class Trail(AuditTest):
    def test_what_is_told(self):
        gateway = self.gateway()
        agent = self.agent("--agent", "v2")
        secret = "c0ffee" * 5 + "aa"
        gateway.add_device("box", agent)
        artifact = gateway.push_example("counter")
        self.assertEqual(gateway.deploy("box", "c1", artifact).status, 200)
        self.assertEqual(gateway.put("/v1/devices/box/credentials",
                                     {"kind": "psk", "identity": "box", "key": secret}).status, 201)
        self.assertEqual(gateway.delete("/v1/devices/nobody").status, 404)
        self.assertEqual(gateway.put(f"/v1/devices/box/resources/tc/none?key={secret}", b"x",
                                     headers={"Content-Type": "text/plain"}).status // 100, 4)
        gateway.get("/v1/devices")
        harness.wait_for(lambda: self.entries(gateway, action="putResource"), what="the last entry")
        items, _ = self.trail(gateway)
        self.check_chain(items)
        told = [(entry["event"], entry["action"], entry.get("device"), entry.get("container")) for entry in items]
        self.assertEqual(told[:4], [("done", "addDevice", None, None), ("done", "addArtifact", None, None),
                                    ("done", "putContainer", "box", "c1"),
                                    ("done", "importCredentials", "box", None)])
        refused = self.entries(gateway, action="removeDevice")[0]
        self.assertEqual((refused["event"], refused["status"], refused["error"]), ("refused", 404, "not-found"))
        self.assertEqual(len(self.entries(gateway, action="putResource", device="box")), 1)
        self.assertTrue(all(entry["from"] == "unix" and entry["who"] and entry["request"] for entry in items))
        self.assertNotIn(secret, json.dumps(items))
        page = gateway.get("/v1/events?kind=audit&after=0").json
        self.assertEqual([event["action"] for event in page["items"]], [entry["action"] for entry in items])
        self.assertEqual([event for event in gateway.get("/v1/events?after=0").json["items"]
                          if event["kind"] == "audit"], [])

    def test_nothing_acknowledged_is_missing(self):
        gateway = self.gateway()
        for i in range(20):
            self.assertEqual(gateway.put(f"/v1/groups/g{i}", {"observe": []}).status // 100, 2)
        self.assertEqual(gateway.put("/v1/join", {"minutes": 1}).status // 100, 2)  # has no row of its own
        gateway.kill()
        gateway.start()
        items, _ = self.trail(gateway)
        self.check_chain(items)
        self.assertEqual([entry["action"] for entry in items[:21]], ["putGroup"] * 20 + ["openJoin"])
        events = gateway.get("/v1/events?kind=audit&after=0").json["items"]  # which the journal has from the trail
        self.assertEqual([event["seq"] for event in events], [entry["seq"] for entry in items][:len(events)])
        self.assertGreaterEqual(len(events), 21)

    def test_no_number_comes_twice(self):
        gateway = self.gateway()
        for start in range(3):
            for name in ("a", "b", "c"):  # without events of their own
                answer = gateway.put("/v1/groups/" + name, {"observe": []})
                self.assertEqual(answer.status // 100, 2, (start, answer))
            gateway.kill()
            gateway.start()
        items, _ = self.trail(gateway)
        self.check_chain(items)
        self.assertEqual(len([entry for entry in items if entry["action"] == "putGroup"]), 9)
        numbers = [event["seq"] for event in gateway.get("/v1/events?after=0&kind=audit,gateway,device").json["items"]]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertLess(set(entry["seq"] for entry in items), set(numbers))

    def test_lack_of_right(self):
        gateway = self.gateway()
        secret = gateway.post("/v1/tokens", {"name": "guest", "role": "viewer"}).json["token"]
        guest = {"Authorization": f"Bearer {secret}"}
        self.assertEqual(gateway.get("/v1/audit", headers=guest, tcp=True).status, 403)
        self.assertEqual(gateway.get("/v1/events?kind=audit", headers=guest, tcp=True).status, 403)
        self.assertEqual(gateway.post("/v1/backup", headers=guest, tcp=True).status, 403)
        self.assertEqual(gateway.get("/v1/devices", headers={"Authorization": "Bearer wrong"}, tcp=True).status, 401)
        refused = harness.wait_for(lambda: len(self.entries(gateway, event="refused")) == 4 and
                                   self.entries(gateway, event="refused"), what="four refusals")
        self.assertEqual([(entry["who"], entry["from"], entry["status"]) for entry in refused[:3]],
                         [("token:guest", "127.0.0.1", 403)] * 3)
        self.assertEqual((refused[3]["status"], refused[3]["from"]), (401, "127.0.0.1"))
        self.assertNotIn(secret, json.dumps(self.trail(gateway)[0]))

    def test_refusals_do_not_fill_the_disk(self):
        gateway = self.gateway()
        for i in range(60):
            gateway.delete(f"/v1/devices/none-{i}")
        gateway.stop()
        gateway.start()
        refused = self.entries(gateway, event="refused")
        self.assertEqual(len([entry for entry in refused if entry["action"] == "removeDevice"]), 10)
        self.assertEqual([entry["count"] for entry in refused if entry["action"] == "more"], [50])

    def test_what_is_too_much_goes(self):
        gateway = self.gateway("audit.max_entries=100")
        for i in range(250):
            gateway.put(f"/v1/groups/g{i % 5}", {"observe": []})
        gateway.stop()
        gateway.start()

        def base():
            return [anchor for anchor in self.trail(gateway)[1] if anchor.get("base")]

        harness.wait_for(base, what="the oldest entries to go")
        items, anchors = self.trail(gateway)
        self.assertEqual(len(items), 100)
        self.check_chain(items, bytes.fromhex(base()[0]["hash"]))
        self.assertEqual(anchors[0], base()[0])


class Proof(AuditTest):
    """A trail of some entries, and what becomes of it in the hands of somebody who can write to the database."""

    @classmethod
    def setUpClass(cls):
        cls.gateway_ = harness.Gateway().start()
        cls.addClassCleanup(cls.gateway_.close)
        for i in range(12):
            cls.gateway_.put(f"/v1/groups/g{i}", {"observe": []})
        cls.directory = cls.gateway_.directory
        cls.key = cls.gateway_.get("/v1/key").json["public_key"]
        cls.anchor = cls.write("anchor.json", cls.gateway_.get("/v1/audit/anchor").body)
        cls.gateway_.stop()  # which signs the last entry
        cls.gateway_.start()
        cls.gateway_.put("/v1/groups/last", {"observe": []})
        done = cls.tcgw("audit", "export", "-o", os.path.join(cls.directory, "export"))
        assert done.returncode == 0, done.stderr
        cls.online = cls.tcgw("audit", "verify", "--anchor", cls.anchor)
        cls.gateway_.stop()

    @classmethod
    def write(cls, name, data):
        path = os.path.join(cls.directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    @classmethod
    def tcgw(cls, *arguments):
        return subprocess.run([harness.program("tcgw"), "--socket", cls.gateway_.socket, *arguments],
                              capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)

    def lines(self):
        with open(os.path.join(self.directory, "export"), encoding="utf-8") as file:
            return file.read().splitlines()

    def verify(self, path, *options, status=0, says=""):
        done = self.tcgw("audit", "verify", path, "--key", self.key, *options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(says, done.stdout + done.stderr)

    def verify_changed(self, *statements, options=(), status=1, says="was changed"):
        """Of a copy of the database in which somebody has done this."""
        path = os.path.join(self.directory, "copy.db")
        with sqlite3.connect(os.path.join(self.gateway_.state, "tcgw.db")) as database:
            if os.path.exists(path):
                os.unlink(path)
            database.execute("VACUUM INTO ?", (path,))
        with sqlite3.connect(path) as database:
            for statement in statements:
                self.assertGreater(database.execute(statement).rowcount, 0, statement)
        self.verify(path, *options, status=status, says=says)

    def verify_export(self, lines, status=1, options=(), says="was changed"):
        self.verify(self.write("changed", ("\n".join(lines) + "\n").encode()), *options, status=status, says=says)

    def test_what_nobody_changed(self):
        self.assertEqual(self.online.returncode, 0, self.online.stderr)
        self.assertIn("lead on from the anchor", self.online.stdout)
        self.verify(os.path.join(self.directory, "export"), "--anchor", self.anchor, says="13 entries")
        self.verify_changed("UPDATE audit SET seq = seq WHERE seq > 0", status=0, says="13 entries")
        self.assertEqual(self.tcgw("audit", "verify", os.path.join(self.gateway_.state, "tcgw.db")).returncode, 2)

    def test_database(self):
        middle = "(SELECT seq FROM audit ORDER BY seq LIMIT 1 OFFSET 5)"
        self.verify_changed(f"UPDATE audit SET body = replace(body, '\"who\":\"', '\"who\":\"x') WHERE seq = {middle}")
        self.verify_changed(f"DELETE FROM audit WHERE seq = {middle}")
        self.verify_changed("DELETE FROM audit WHERE seq <= " + middle)
        self.verify_changed(f"UPDATE audit SET hash = zeroblob(32) WHERE seq = {middle}")
        self.verify_changed(f"UPDATE audit SET seq = seq + 100000 WHERE seq = {middle}")
        self.verify_changed(f"INSERT INTO audit SELECT 900000, time, hash, body FROM audit WHERE seq = {middle}")
        last = "(SELECT max(seq) FROM audit_anchor)"
        self.verify_changed(f"DELETE FROM audit WHERE seq >= {last}", says="is missing")
        self.verify_changed("UPDATE audit_anchor SET hash = zeroblob(32)", says="was not signed")
        self.verify_changed("UPDATE audit_anchor SET base = 1", says="was not signed")

    def test_the_end_cut_off(self):
        cut = ("DELETE FROM audit WHERE seq >= (SELECT seq FROM audit ORDER BY seq DESC LIMIT 1 OFFSET 3)",
               "DELETE FROM audit_anchor")
        self.verify_changed(*cut, status=0, says="9 entries")  # one that is whole by itself
        self.verify_changed(*cut, options=("--anchor", self.anchor), says="is missing")
        lines = [line for line in self.lines() if "anchor" not in line]
        self.verify_export(lines[:-4], options=("--anchor", self.anchor), says="is missing")
        self.verify_export(lines[:-1] + [lines[-1][:40]], says="no JSON")

    def test_a_trail_that_was_made_anew(self):
        """Somebody computes all hashes again, and has no key."""
        with sqlite3.connect(os.path.join(self.gateway_.state, "tcgw.db")) as database:
            rows = database.execute("SELECT seq, body FROM audit ORDER BY seq").fetchall()
        previous, updates = bytes(32), []
        for seq, body in rows:
            body = body.replace("putGroup", "getGroup")
            previous = hashlib.sha256(previous + body.encode()).digest()
            updates.append(f"UPDATE audit SET body = '{body}', hash = x'{previous.hex()}' WHERE seq = {seq}")
        self.verify_changed(*updates, says="signed an anchor")
        self.verify_changed(*updates, "DELETE FROM audit_anchor", options=("--anchor", self.anchor),
                            says="is not the one")

    def test_export(self):
        lines = self.lines()
        entries = [i for i, line in enumerate(lines) if '"action"' in line]
        a, b = entries[3], entries[4]
        self.verify_export(lines[:a] + [lines[b], lines[a]] + lines[b + 1:])
        self.verify_export(lines[:a] + lines[a + 1:])
        self.verify_export(lines[:a] + [lines[a]] + lines[a:], says="does not follow")
        self.verify_export(lines[:a] + ['{"seq": true}'] + lines[a:])
        self.verify_export(lines[:a] + ["not json"] + lines[a:], says="no JSON")
        self.verify_export([lines[0].replace(self.key, "00" * 32)] + lines[1:], status=0, says="13 entries")
        self.key = "11" * 32  # of another gateway
        self.verify_export(lines, says="was not signed")


if __name__ == "__main__":
    unittest.main()
