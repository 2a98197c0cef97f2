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


if __name__ == "__main__":
    unittest.main()
