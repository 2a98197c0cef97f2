"""Rollouts with real devices: a canary that fails pauses one, it is rolled back, another goes through, and the gateway
is killed all the time."""
import time

import harness

DEVICES = 12
SETTINGS = ("reconcile.retry_min=200ms", "reconcile.retry_max=2s", "operations.verify_delay=50ms")


class Rollout(harness.GatewayTest):
    def fleet(self, *options):
        agent = self.agent(*options, count=DEVICES)
        gateway = self.gateway(*SETTINGS)
        for i in range(DEVICES):
            gateway.add_device(f"box-{i:02}", agent, i, agent="v2", labels={"site": "paris" if i < 8 else "rome"})
        return gateway, agent

    def create(self, gateway, artifact, status=201, **more):
        body = {"container": "app", "artifact": artifact, "devices": {"all": True}, **more}
        answer = gateway.post("/v1/rollouts", body)
        self.assertEqual(answer.status, status, answer)
        return answer.json

    def becomes(self, gateway, rollout, *states, timeout=40):
        def look():
            found = gateway.get(f"/v1/rollouts/{rollout['id']}").json
            return found if found["state"] in states else None
        return harness.wait_for(look, timeout, 0.1, f"the rollout to be {states}")

    def running(self, gateway, artifact):
        found = [gateway.container(f"box-{i:02}", "app").json for i in range(DEVICES)]
        return sum(c.get("reported", {}).get("artifact") == artifact and c["reported"]["state"] == "running"
                   for c in found)

    def artifacts(self, gateway, count):
        return [gateway.push_example("counter", limits={"loop_period_ms": 60000 + i}) for i in range(count)]

    def test_waves_pause_and_rollback(self):
        gateway, _ = self.fleet()
        dying = self.agent("--bug", "start-dies", count=1)
        one, two, three = self.artifacts(gateway, 3)
        rollout = self.create(gateway, one)
        self.becomes(gateway, rollout, "succeeded")
        self.assertEqual(self.running(gateway, one), DEVICES)
        gateway.add_device("a-canary", dying, agent="v2")
        plan = gateway.post("/v1/rollouts?dry_run=true", {"container": "app", "artifact": two,
                                                          "devices": {"all": True}, "canaries": 1}).json
        self.assertEqual(plan["counts"], {"install": 1, "update": DEVICES, "keep": 0, "refuse": 0, "waves": 2})
        self.assertEqual(plan["devices"][0]["device"], "a-canary")
        rollout = self.create(gateway, two, canaries=1, max_attempts=1, success={"running_for_s": 1})
        found = self.becomes(gateway, rollout, "paused")
        self.assertEqual((found["counts"]["failed"], found["counts"]["pending"]), (1, DEVICES))
        failed = gateway.get(f"/v1/rollouts/{rollout['id']}/devices?state=failed").json["items"]
        self.assertEqual([item["device"] for item in failed], ["a-canary"])
        self.assertEqual(gateway.post(f"/v1/rollouts/{rollout['id']}/rollback").status, 200)
        self.becomes(gateway, rollout, "rolled-back")
        self.assertEqual(self.running(gateway, one), DEVICES)
        rollout = self.create(gateway, three, devices={"expression": "site in (paris,rome)"}, waves=[{"percent": 10}])
        self.becomes(gateway, rollout, "succeeded")
        self.assertEqual(self.running(gateway, three), DEVICES)

    def test_killed_all_the_time(self):
        gateway, agent = self.fleet()
        one, two = self.artifacts(gateway, 2)
        for artifact in (one, two):
            rollout = self.create(gateway, artifact, canaries=1, waves=[{"percent": 30}], max_parallel=3)
            for _ in range(6):
                time.sleep(0.2)
                gateway.kill()
                gateway.start()
            self.becomes(gateway, rollout, "succeeded")
            self.assertEqual(self.running(gateway, artifact), DEVICES)
        self.assertEqual(len(agent.loads()), 2 * DEVICES, "something was loaded twice")
        gateway.stop()
        self.assertEqual(gateway.check_database(), "ok")

    def test_refused(self):
        gateway, _ = self.fleet()
        one, = self.artifacts(gateway, 1)
        for body, status, slug in (
                ({"devices": {"expression": "site=oslo"}}, None, "nothing-selected"),
                ({"devices": {"expression": "site=("}}, 400, "invalid-field"),
                ({"devices": {"all": True}, "window": {"from": "x", "to": "y"}}, 400, "invalid-field")):
            answer = gateway.post("/v1/rollouts", {"container": "app", "artifact": one, **body})
            self.assertEqual(answer.slug, slug, answer)
            if status:
                self.assertEqual(answer.status, status)
        rollout = self.create(gateway, one, success={"running_for_s": 600})
        answer = gateway.post("/v1/rollouts", {"container": "app", "artifact": one, "devices": {"devices": ["box-01"]}})
        self.assert_problem(answer, 409, "conflict", rollout["id"])
        answer = gateway.delete(f"/v1/rollouts/{rollout['id']}")
        self.assert_problem(answer, 409, "conflict")
        self.assertEqual(gateway.post(f"/v1/rollouts/{rollout['id']}/abort").status, 200)
        self.assertEqual(gateway.delete(f"/v1/rollouts/{rollout['id']}").status, 204)
        self.assertEqual(gateway.get(f"/v1/rollouts/{rollout['id']}").status, 404)


if __name__ == "__main__":
    harness.main()
