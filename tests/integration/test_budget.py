#!/usr/bin/env python3
"""Budgets, quarantine and emergency stops, with real agents: what may not be sent is not sent, what may not be relayed is
not relayed, and what must not run is stopped."""
import subprocess

import harness
from harness import wait_for


class Budget(harness.GatewayTest):
    def begin(self, *settings, count=1, agent=("--agent", "v2")):
        self.gw = self.gateway("reconcile.retry_min=200ms", "reconcile.retry_max=1s", *settings)
        self.agent_ = self.agent(*agent, count=count)
        for i in range(count):
            self.gw.add_device(f"box-{i}", self.agent_, i)
        self.artifact = self.gw.push(harness.example_bytes("counter.rbpf"), harness.example_description("counter"))

    def events(self, name):
        items = self.gw.get("/v1/events?kind=security&after=0&limit=1000").json["items"]
        return [item for item in items if item.get("event") == name]

    def tcgw(self, *arguments):
        done = subprocess.run([harness.program("tcgw"), "--socket", self.gw.socket, *arguments], capture_output=True,
                              text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def ask(self, device="box-0", path="tc"):
        return self.gw.get(f"/v1/devices/{device}/resources/{path}", headers={"Cache-Control": "no-cache"})

    def reported(self, device, uid="job"):
        return self.gw.container(device, uid).json["reported"]["state"]

    def test_a_device_has_so_many_requests(self):
        self.begin()
        self.assertEqual(self.ask().status, 200)
        used = self.gw.get("/v1/budgets/box-0").json["used"]
        self.assertGreater(used["requests"], 0)
        self.assertGreater(used["bytes"], used["requests"] * 10)
        answer = self.gw.put("/v1/budgets/box-0", {"requests": used["requests"] + 2})
        self.assertEqual(answer.json["limits"]["requests"], used["requests"] + 2, answer)
        answers = [self.ask() for _ in range(6)]
        self.assertLessEqual(sum(answer.status == 200 for answer in answers), 2)
        self.assert_problem(answers[-1], 429, "budget-exceeded", "box-0")
        self.assertGreaterEqual(self.gw.metrics()['tcgw_budget_refused_total{budget="requests"}'], 1)
        self.assertEqual(self.gw.delete("/v1/budgets/box-0").status, 204)
        self.assertEqual(self.ask().status, 200)

    def test_a_period_ends(self):
        self.begin("budget.period=3s")
        self.gw.put("/v1/budgets/box-0", {"bytes": 1})
        wait_for(lambda: self.ask().status == 429, what="the budget to be used up")
        wait_for(lambda: self.ask().status == 200, timeout=30, what="the next period")

    def test_a_container_has_a_budget(self):
        """A deploy is refused, tried again, and made when there is a budget; stopping is never refused."""
        self.begin("budget.container_requests=1")
        self.assert_problem(self.gw.deploy("box-0", "job", self.artifact), 429, "budget-exceeded", "job")
        self.gw.put("/v1/budgets/box-0", {"containers": {"job": {"requests": 0}}})
        wait_for(lambda: self.reported("box-0") == "running", timeout=30, what="the container to run")
        self.gw.put("/v1/budgets/box-0", {"requests": 1})
        answer = self.gw.post("/v1/devices/box-0/containers/job/stop", headers={"Prefer": "wait=10"})
        self.assertEqual(answer.json["state"], "succeeded", answer)

    def test_bad_bodies(self):
        self.begin()
        for body in ({"requests": -1}, {"bytes": "many"}, {"wakeup": 1}, {"containers": {"a/b": {}}},
                     {"containers": {"a": {"wakeups": 1}}}, {"containers": []}):
            answer = self.gw.put("/v1/budgets/box-0", body)
            self.assertEqual(answer.status, 400, (body, answer))
        for path in ("emergency-stops/x", "quarantines/box-0"):
            self.assertEqual(self.gw.put(f"/v1/{path}", {"reason": 1}).status, 400)
            self.assertEqual(self.gw.delete(f"/v1/{path}").status, 404)
        self.assertEqual(self.gw.get("/v1/budgets/nobody").status, 404)

    def test_telemetry_over_the_budget_is_refused(self):
        """The device is told to wait (4.29 with Max-Age), and somebody is told of the device."""
        self.gw = self.gateway("budget.requests=5")
        peer = self.protected_agent(self.gw, "--agent", "v2", "--telemetry", "200ms")
        wait_for(lambda: self.gw.metrics()['tcgw_coap_refused_total{reason="budget"}'] > 0, what="a refusal")
        wait_for(lambda: self.gw.get("/v1/budgets/d0").json["used"]["requests"] >= 5)
        wait_for(lambda: any(item["device"] == "d0" for item in self.events("budget_exceeded")), what="the event")
        self.assertEqual(len(self.events("budget_exceeded")), 1)  # once a period
        peer.stop()

    def test_quarantine(self):
        self.begin()
        self.gw.deploy("box-0", "job", self.artifact)
        self.tcgw("device", "quarantine", "box-0", "--reason", "sends too much")
        answer = self.gw.get("/v1/quarantines/box-0").json
        self.assertEqual((answer["device"], answer["reason"]), ("box-0", "sends too much"))
        self.assert_problem(self.ask(), 403, "device-quarantined", "box-0")
        self.assert_problem(self.gw.deploy("box-0", "two", self.artifact), 403, "device-quarantined", "box-0")
        self.gw.kill()
        self.gw.start()
        self.assert_problem(self.ask(), 403, "device-quarantined", "box-0")
        answer = self.gw.post("/v1/devices/box-0/containers/job/stop", headers={"Prefer": "wait=10"})
        self.assertEqual(answer.json["state"], "succeeded", answer)
        self.tcgw("device", "release", "box-0")
        self.assertEqual(self.ask().status, 200)
        self.assertEqual(self.gw.get("/v1/quarantines").json["items"], [])

    def test_a_device_in_quarantine_is_not_heard(self):
        self.gw = self.gateway()
        peer = self.protected_agent(self.gw, "--agent", "v2", "--telemetry", "200ms")
        stored = lambda: self.gw.metrics()["tcgw_telemetry_messages_total"]
        wait_for(lambda: stored() > 0, what="telemetry")
        self.assertEqual(self.gw.put("/v1/quarantines/d0", {}).status, 200)
        wait_for(lambda: self.gw.metrics()['tcgw_coap_refused_total{reason="budget"}'] > 0, what="a refusal")
        before = stored()
        self.assertGreater(self.gw.metrics()["tcgw_quarantine_refused_total"], 0)
        self.assert_problem(self.ask("d0"), 403, "device-quarantined", "d0")
        self.assertEqual(stored(), before)
        self.assertEqual(self.gw.delete("/v1/quarantines/d0").status, 204)
        wait_for(lambda: stored() > before, timeout=30, what="telemetry again")
        peer.stop()

    def test_emergency_stop(self):
        """Of all that run, of a device that was off, and of one that comes later; until it is lifted."""
        self.begin(count=3)
        for i in range(2):
            self.assertEqual(self.gw.deploy(f"box-{i}", "job", self.artifact).json["state"], "succeeded")
        self.assertEqual(self.gw.deploy("box-0", "other", self.artifact).json["state"], "succeeded")
        self.tcgw("container", "stop-everywhere", "job", "--reason", "leaks")
        for i in range(2):
            wait_for(lambda: self.reported(f"box-{i}") == "stopped", timeout=30, what=f"box-{i} to be stopped")
        self.assertEqual(self.reported("box-0", "other"), "running")
        stop = self.gw.get("/v1/emergency-stops/job").json
        self.assertEqual((stop["containers"], stop["running"], stop["reason"]), (2, 0, "leaks"))
        self.assert_problem(self.gw.deploy("box-2", "job", self.artifact), 403, "emergency-stop", "job")
        answer = self.gw.post("/v1/devices/box-0/containers/job/start")
        self.assert_problem(answer, 403, "emergency-stop", "job")
        why = self.gw.get("/v1/devices/box-0/containers/job/explain").json["why"]
        self.assertIn("emergency stop", why)
        self.gw.kill()
        self.gw.start()
        self.assert_problem(self.gw.deploy("box-2", "job", self.artifact), 403, "emergency-stop", "job")
        self.assertEqual(self.reported("box-1"), "stopped")
        self.tcgw("emergency", "lift", "job")
        for i in range(2):
            wait_for(lambda: self.reported(f"box-{i}") == "running", timeout=30, what=f"box-{i} to run again")

    def test_emergency_stop_by_digest(self):
        self.begin()
        self.assertEqual(self.gw.deploy("box-0", "job", self.artifact).json["state"], "succeeded")
        self.assertEqual(self.gw.put(f"/v1/emergency-stops/{self.artifact}", {}).status, 200)
        wait_for(lambda: self.reported("box-0") == "stopped", timeout=30, what="it to be stopped")
        self.assert_problem(self.gw.deploy("box-0", "again", self.artifact), 403, "emergency-stop", self.artifact)

    def test_a_sudden_change_is_told(self):
        self.begin("budget.period=1s", "budget.alarm_factor=2")
        self.ask()
        wait_for(lambda: self.gw.get("/v1/budgets/box-0").json["usual"], what="a period to end")

        def hurry():
            for _ in range(150):
                self.gw.get("/v1/devices/box-0/resources/tc", headers={"Cache-Control": "no-cache"})
            return self.gw.metrics()["tcgw_behaviour_alarms_total"] > 0
        wait_for(hurry, timeout=30, what="an alarm")
        event = wait_for(lambda: self.events("behaviour_changed"), what="the event")[0]
        self.assertEqual((event["device"], event["what"]), ("box-0", "requests"))


if __name__ == "__main__":
    harness.main()
