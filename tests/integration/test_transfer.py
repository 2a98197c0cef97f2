#!/usr/bin/env python3
"""A container on its way to a device: requests go between its blocks, a gateway that is killed goes on where it stood,
and a link lets through what it may."""
import os
import sqlite3
import time

import harness

DATA = os.urandom(30000)


class Transfer(harness.GatewayTest):
    def begin(self, delay, *settings):
        gw = self.gateway(*settings)
        agent = self.agent("--agent", "v2", "--delay", str(delay))
        gw.add_device("box", agent)
        return gw, agent, self.send(gw, "box")

    def send(self, gw, device):
        artifact = gw.push(harness.example_bytes("counter.rbpf"), harness.example_description("counter"), data=DATA)
        return gw.put(f"/v1/devices/{device}/containers/job", {"artifact": artifact, "state": "running"}).json["id"]

    def reach(self, gw, least):
        def look():
            items = gw.get("/v1/transfers").json["items"]
            return items[0] if items and items[0]["bytes"] >= least else None
        return harness.wait_for(look, 30, what=f"{least} bytes to be there")

    def test_requests_go_between_blocks(self):
        gw, _agent, operation = self.begin(50)
        transfer = self.reach(gw, 2048)
        self.assertEqual((transfer["container"], transfer["state"], transfer["link"]), ("job", "running", "default"))
        progress = gw.get(f"/v1/operations/{operation}").json["progress"]
        self.assertGreater(progress["total"], len(DATA))
        answer = gw.get("/v1/devices/box/resources/.well-known/core", headers={"Cache-Control": "no-cache"})
        self.assertEqual(answer.status, 200, answer)
        self.assertIsNotNone(gw.get(f"/v1/operations/{operation}").json["progress"], "the load was over before")
        self.assertEqual(gw.ended(operation)["state"], "succeeded")
        self.assertEqual(gw.get("/v1/transfers").json, {"items": [], "count": 0})

    def written(self, gw):
        with sqlite3.connect(os.path.join(gw.state, "tcgw.db")) as database:
            return database.execute("SELECT transfer_done FROM container WHERE transfer_done > 0").fetchone()

    def test_goes_on_after_a_kill(self):
        gw, agent, operation = self.begin(60)
        self.survive_a_kill(gw, agent, operation)

    def test_goes_on_protected_after_a_kill(self):
        gw = self.gateway(plain=False)
        agent = self.protected_agent(gw, "--delay", "60")
        self.survive_a_kill(gw, agent, self.send(gw, "d0"))
        self.assertGreater(agent.check_nonces(), len(DATA) // 1024)

    def survive_a_kill(self, gw, agent, operation):
        harness.wait_for(lambda: self.written(gw), 30, what="something of it to be written")
        total = self.reach(gw, 8192)["total"]
        gw.kill()
        gw.start()
        self.assertEqual(gw.ended(operation)["state"], "succeeded")
        load, = agent.loads("job")
        self.assertLess(load["counter"], 1.2 * total)  # bytes that came

    def test_goes_on_after_a_lost_link(self):
        gw, agent, operation = self.begin(60, "coap.ack_timeout=1s", "coap.max_retransmit=1",
                                          "reconcile.retry_min=200ms", "reconcile.retry_max=1s", "operations.ttl=60s")
        before = self.reach(gw, 8192)
        agent.pause()
        lost = harness.wait_for(lambda: next((t for t in gw.get("/v1/transfers").json["items"] if t["breaks"]), None),
                                60, what="the transfer to break off")
        self.assertGreaterEqual(lost["bytes"], before["bytes"])
        agent.resume()
        harness.wait_for(lambda: gw.container("box", "job").json["reported"]["state"] == "running", 60,
                         what="the container to run in the end, by whatever operation")
        self.assertEqual(gw.get("/v1/transfers").json["items"], [])
        self.assertIn(gw.ended(operation)["state"], ("succeeded", "failed"))  # once it was seen to stay so
        load, = agent.loads("job")
        self.assertLess(load["counter"], 1.1 * lost["total"])

    def test_link_keeps_its_rate(self):
        gw = self.gateway()
        agent = self.agent("--agent", "v2", count=4)
        link = {"prefixes": ["127.0.0.0/8"], "parallel": 2, "rate": 40000, "block": 256}
        self.assertEqual(gw.put("/v1/links/loop", link).status, 200)
        for i in range(4):
            gw.add_device(f"box-{i}", agent, i)
        artifact = gw.push(harness.example_bytes("counter.rbpf"), harness.example_description("counter"), data=DATA)
        begin = time.monotonic()
        operations = [gw.put(f"/v1/devices/box-{i}/containers/job", {"artifact": artifact}).json["id"]
                      for i in range(4)]
        seen = harness.wait_for(lambda: [t for t in gw.get("/v1/transfers?link=loop").json["items"]
                                         if t["state"] == "waiting"], what="a transfer that waits")
        self.assertLessEqual(gw.get("/v1/links/loop").json["running"] + gw.get("/v1/links/loop").json["waiting"], 8)
        self.assertTrue(seen)
        for operation in operations:
            self.assertEqual(gw.ended(operation)["state"], "succeeded")
        self.assertGreater(time.monotonic() - begin, 4 * len(DATA) / 40000 * 0.8)

    def test_bad_links(self):
        gw = self.gateway()
        for bad in ({"prefixes": ["elsewhere"]}, {"prefixes": ["::/129"]}, {"prefixes": ["10.0.0.0/33"]},
                    {"rate": -1}, {"block": 8}, {"parallel": "many"}, {"zones": ["a-name-that-is-too-long"]},
                    {"prefixes": ["::/0"] * 17}):
            self.assert_problem(gw.put("/v1/links/bad", bad), 400, "invalid-field")
        self.assertEqual(gw.get("/v1/links/bad").status, 404)
        self.assertEqual(gw.delete("/v1/links/bad").status, 404)


if __name__ == "__main__":
    harness.main()
