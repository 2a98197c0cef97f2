"""Desired state with real devices: those that forget get everything back, services go where they belong, what nobody
asked for is seen, and everything is explained."""
import harness

SETTINGS = ("reconcile.retry_min=200ms", "reconcile.retry_max=2s", "reconcile.interval=1s",
            "operations.verify_delay=50ms")


class Reconcile(harness.GatewayTest):
    def artifact(self, gateway, period=60000):
        return gateway.push_example("counter", limits={"loop_period_ms": period})

    def runs(self, gateway, device, uid, timeout=60):
        def look():
            answer = gateway.container(device, uid)
            return answer.status == 200 and answer.json["reported"]["state"] == "running"
        harness.wait_for(look, timeout, 0.1, f"{uid} on {device} to run")

    def explain(self, gateway, device, uid):
        answer = gateway.get(f"/v1/devices/{device}/containers/{uid}/explain")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def test_devices_that_forget(self):
        gateway = self.gateway(*SETTINGS)
        agents = {kind: self.agent("--agent", kind) for kind in ("v1", "v2")}
        for kind, agent in agents.items():
            gateway.add_device(kind, agent, agent=kind, labels={"room": "lab"})
        artifact = self.artifact(gateway)
        answer = gateway.put("/v1/services/pair", {
            "devices": {"expression": "room=lab"},
            "containers": [{"uid": "app", "artifact": artifact, "needs": ["db"]}, {"uid": "db", "artifact": artifact}]})
        self.assertIn(answer.status, (200, 201), answer)
        for kind in agents:
            self.runs(gateway, kind, "app")
        for kind, agent in agents.items():
            self.assertEqual([event["uid"] for event in agent.loads()], ["db", "app"], kind)
            agent.restart_devices()
            harness.wait_for(lambda: len(agent.loads()) == 4, 60, 0.1, f"{kind} to get everything back")
            self.assertEqual(sorted(event["uid"] for event in agent.loads()[2:]), ["app", "db"], kind)
            self.runs(gateway, kind, "app")
        harness.wait_for(lambda: gateway.get("/v1/services/pair").json["status"]["converged"] == 2, 30, 0.1,
                         "the service to be as desired")
        for kind in agents:
            found = self.explain(gateway, kind, "app")
            self.assertEqual((found["converged"], found["why"], found["desired"]["service"]),
                             (True, "It is as desired.", "pair"))

    def test_device_that_is_away(self):
        gateway = self.gateway(*SETTINGS, "coap.ack_timeout=1s", "coap.max_retransmit=1")
        agent = self.agent()
        gateway.add_device("box", agent, agent="v2")
        agent.stop()
        agent.process.stdout.close()
        self.assertNotEqual(gateway.deploy("box", "app", self.artifact(gateway)).status, 200)
        harness.wait_for(lambda: self.explain(gateway, "box", "app")["attempts"] >= 2, 30, 0.1, "it to be tried again")
        found = harness.wait_for(lambda: next((f for f in (self.explain(gateway, "box", "app"),)
                                               if f["next_attempt_at"]), None), 30, 0.05, "a pause between attempts")
        self.assertFalse(found["converged"])
        self.assertEqual(found["waits_for"], "time")
        self.assertIsNotNone(found["error"])
        agent.start()
        self.runs(gateway, "box", "app")
        self.assertEqual(len(agent.loads()), 1)

    def test_what_nobody_asked_for(self):
        agent = self.agent()
        first = self.gateway(*SETTINGS)
        first.add_device("box", agent, agent="v2")
        artifact = self.artifact(first)
        self.assertEqual(first.deploy("box", "stray", artifact).status, 200)
        first.stop()
        for policy in ("report", "adopt", "remove"):
            gateway = self.gateway(*SETTINGS, f"reconcile.unasked={policy}")
            self.assertEqual(self.artifact(gateway), artifact)
            gateway.add_device("box", agent, agent="v2")
            if policy == "remove":
                harness.wait_for(lambda: agent.events("remove", uid="stray"), 60, 0.1,
                                 "it to be removed")
                harness.wait_for(lambda: gateway.container("box", "stray").status == 404, 60, 0.1, "its record to go")
            else:
                self.runs(gateway, "box", "stray")
                found = self.explain(gateway, "box", "stray")
                self.assertEqual(found["waits_for"], "decision" if policy == "report" else None, found)
                self.assertEqual(found["desired"]["artifact"], artifact if policy == "adopt" else None, found)
            gateway.stop()
        self.assertEqual(len(agent.loads()), 1)


if __name__ == "__main__":
    harness.main()
