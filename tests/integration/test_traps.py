"""Each trap of the public agent's protocol (docs/device-protocol.md), against an agent that has it."""
import time

import harness
from harness import wait_for

# Waits that are short enough for a test and long enough for a loaded machine.
QUICK = ("coap.load_timeout=1s", "coap.ack_timeout=1s", "coap.max_retransmit=1", "coap.answer_timeout=2s")


class Traps(harness.GatewayTest):
    def v1(self, *options, settings=(), **device):
        gateway = self.gateway(*QUICK, *settings)
        agent = self.agent("--agent", "v1", *options)
        gateway.add_device("box", agent, agent="v1", **device)
        return gateway, agent

    def deploy_counter(self, gateway, uid="job", **more):
        return gateway.deploy("box", uid, gateway.push_example("counter"), **more)

    def test_too_large_for_the_pdu_is_refused_before_anything_is_sent(self):
        gateway, agent = self.v1()
        artifact = gateway.push(harness.example_bytes("counter.rbpf"), harness.example_description("counter"),
                                bytes(1200))
        self.assert_problem(gateway.deploy("box", "job", artifact), 422, "package-too-large", "1204", "box")
        self.assertEqual(agent.events("load"), [])
        gateway.request("PATCH", "/v1/devices/box", {"capabilities": {"pdu_size": 8192}},
                        headers={"Content-Type": "application/merge-patch+json"})
        # The gateway now believes in a larger buffer; the agent has none and stays silent: told apart from a refusal.
        answer = gateway.deploy("box", "job", artifact, ttl=4)
        self.assertEqual(answer.status, 504, answer)
        self.assertEqual(agent.loads(), [])

    def test_larger_buffer(self):
        gateway, agent = self.v1("--pdu-size", "4096", capabilities={"pdu_size": 4096})
        artifact = gateway.push(harness.example_bytes("counter.rbpf"), harness.example_description("counter"),
                                bytes(2000))
        self.assertEqual(gateway.deploy("box", "job", artifact).status, 200)
        self.assertEqual(len(agent.loads("job")), 1)

    def test_uid_length(self):
        gateway, agent = self.v1()
        artifact = gateway.push_example("counter")
        self.assertEqual(gateway.deploy("box", "u" * 63, artifact).status, 200)
        self.assert_problem(gateway.deploy("box", "u" * 64, artifact), 400, "invalid-id")
        self.assertIn(gateway.deploy("box", "", artifact).status, (400, 404, 405))
        self.assertEqual(len(agent.loads("u" * 63)), 1)
        self.assertEqual(agent.events("damaged"), [])

    def test_lost_answer_to_a_load_is_settled_without_a_second_load(self):
        gateway, agent = self.v1("--bug", "no-dedup,lose-load-answer=1")
        answer = self.deploy_counter(gateway)
        self.assertEqual(answer.status, 200, answer)
        self.assert_running(gateway, "box", "job")
        self.assertEqual(len(agent.loads("job")), 1)

    def test_lost_answer_with_stopped_as_desired_state_stays_unknown(self):
        gateway, agent = self.v1("--bug", "no-dedup,lose-load-answer=1")
        answer = self.deploy_counter(gateway, state="stopped")
        self.assert_problem(answer, 504, "outcome-unknown")
        self.assertEqual(len(agent.loads("job")), 1)
        self.assertEqual(gateway.container("box", "job").json["reported"]["state"], "unknown")
        # What is wanted next settles it: start proves the load.
        answer = self.deploy_counter(gateway)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(len(agent.loads("job")), 1)

    def test_slow_load_is_not_sent_again(self):
        gateway, agent = self.v1("--bug", "no-dedup,slow-load=2500")
        answer = self.deploy_counter(gateway)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(len(agent.loads("job")), 1)

    def test_device_that_was_away_gets_one_load(self):
        gateway, agent = self.v1("--bug", "no-dedup")
        agent.pause()
        operation = self.deploy_counter(gateway, wait=0).json["id"]
        time.sleep(2.5)
        agent.resume()
        ended = gateway.ended(operation)
        self.assertLessEqual(len(agent.loads("job")), 1)
        if ended["state"] != "succeeded":
            self.assertEqual(self.deploy_counter(gateway).status, 200)
        self.assertEqual(len(agent.loads("job")), 1)
        self.assert_running(gateway, "box", "job")

    def test_start_is_believed_only_after_it_still_runs(self):
        gateway, agent = self.v1("--bug", "start-dies")
        self.assert_problem(self.deploy_counter(gateway), 502, "stopped-early", "job", "box")
        state = gateway.container("box", "job").json
        self.assertNotEqual(state["reported"]["state"], "running")
        self.assertTrue(state["error"]["type"].endswith("/stopped-early"))
        self.assertEqual(len(agent.loads("job")), 1)

    def test_no_slot_left_is_told_apart_when_the_slots_are_known(self):
        gateway, agent = self.v1("--slots", "2", capabilities={"slots": 2})
        for uid in ("one", "two"):
            self.assertEqual(self.deploy_counter(gateway, uid).status, 200)
        self.assert_problem(self.deploy_counter(gateway, "three"), 503, "no-slot", "box")

    def test_load_refused_without_a_reason(self):
        gateway, agent = self.v1("--slots", "1")
        self.assertEqual(self.deploy_counter(gateway, "one").status, 200)
        self.assert_problem(self.deploy_counter(gateway, "two"), 502, "load-refused", "two")

    def test_stop_and_delete_are_not_supported(self):
        gateway, agent = self.v1()
        self.assertEqual(self.deploy_counter(gateway).status, 200)
        path = "/v1/devices/box/containers/job"
        self.assert_problem(gateway.post(path + "/stop"), 501, "agent-unsupported", "box")
        self.assert_problem(gateway.delete(path), 501, "agent-unsupported", "box")
        self.assert_problem(gateway.get(path + "/log"), 501, "agent-unsupported", "box")
        self.assertEqual(agent.events("stop", "remove"), [])

    def test_occupied_uid_is_refused_before_anything_is_sent(self):
        gateway, agent = self.v1("--bug", "duplicate-uid")
        self.assertEqual(self.deploy_counter(gateway).status, 200)
        other = gateway.push_example("door-watch")
        self.assert_problem(gateway.deploy("box", "job", other), 409, "uid-occupied", "job")
        self.assertEqual(len(agent.loads("job")), 1)

    def test_ended_container_cannot_be_started_again(self):
        gateway, agent = self.v1("--bug", "ended-not-restartable")
        answer = gateway.deploy("box", "job", gateway.push_example("counter", limits={"loop_period_ms": 50,
                                                                                      "loop_max_lifetime": 8}))
        self.assertEqual(answer.status, 200, answer)
        wait_for(lambda: gateway.container("box", "job", fresh=True).json["reported"]["state"] == "stopped",
                 what="the container to end")
        again = gateway.post("/v1/devices/box/containers/job/start", headers={"Prefer": "wait=20"})
        self.assert_problem(again, 502, "stopped-early")
        self.assertEqual(len(agent.loads("job")), 1)

    def test_device_restart_is_seen_and_mended(self):
        gateway, agent = self.v1()
        artifact = gateway.push_example("counter")
        self.assertEqual(gateway.deploy("box", "job", artifact).status, 200)
        agent.restart_devices()
        wait_for(lambda: agent.events("restart"), what="the restart")
        self.assertNotEqual(gateway.container("box", "job", fresh=True).json["reported"]["state"], "running")
        self.assertEqual(gateway.deploy("box", "job", artifact).status, 200)
        self.assert_running(gateway, "box", "job")
        self.assertEqual(len(agent.loads("job")), 2)

    def test_garbage_answers_fail_and_the_daemon_goes_on(self):
        gateway, agent = self.v1("--bug", "garbage-answer=1000")
        answer = self.deploy_counter(gateway)
        self.assertEqual(answer.status, 502, answer)
        self.assertEqual(gateway.get("/healthz").status, 200)
        good = self.agent("--agent", "v1")
        gateway.add_device("other", good)
        self.assertEqual(gateway.deploy("other", "job", gateway.push_example("counter")).status, 200)

    def test_empty_acknowledgement_and_separate_response(self):
        gateway, agent = self.v1("--bug", "empty-ack-then-separate=300")
        answer = self.deploy_counter(gateway)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(len(agent.loads("job")), 1)

    def test_unreachable_device(self):
        gateway, agent = self.v1()
        agent.stop()
        begin = time.monotonic()
        answer = self.deploy_counter(gateway, ttl=3)
        self.assertIn(answer.slug, ("device-unreachable", "device-timeout", "expired"), answer)
        self.assertEqual(answer.status, 504)
        self.assertLess(time.monotonic() - begin, 10)

    def test_silent_device_expires_with_the_time_to_live(self):
        gateway, agent = self.v1("--bug", "silent", settings=("coap.answer_timeout=60s", "coap.load_timeout=60s"))
        begin = time.monotonic()
        answer = self.deploy_counter(gateway, ttl=2)
        self.assertEqual(answer.status, 504, answer)
        self.assertLess(time.monotonic() - begin, 6)
        self.assertIn(gateway.get("/v1/operations?device=box").json["items"][0]["state"], ("expired", "failed"))

    def test_one_outstanding_exchange_per_device(self):
        gateway, agent = self.v1("--slots", "8", "--bug", "slow-load=200")
        artifact = gateway.push_example("counter")
        operations = [gateway.deploy("box", f"job-{i}", artifact, wait=0).json["id"] for i in range(6)]
        for operation in operations:
            self.assertEqual(gateway.ended(operation)["state"], "succeeded")
        self.assertEqual([event["uid"] for event in agent.loads()], [f"job-{i}" for i in range(6)])

    def test_probe_tells_the_kinds_apart(self):
        gateway = self.gateway(*QUICK)
        for kind in ("v1", "v2"):
            agent = self.agent("--agent", kind, "--device-id", f"unit-{kind}")
            gateway.add_device(kind, agent)
            answer = gateway.post(f"/v1/devices/{kind}/probe", headers={"Prefer": "wait=10"})
            self.assertEqual(answer.status, 200, answer)
            device = gateway.get(f"/v1/devices/{kind}").json
            self.assertEqual(device["agent"], kind)
            self.assertEqual(device["reported_id"], f"unit-{kind}")

    def test_signatures_are_verified_by_a_device_that_trusts_the_gateway(self):
        gateway = self.gateway(*QUICK)
        key = gateway.get("/v1/key").json["public_key"]
        for kind in ("v1", "v2"):
            good = self.agent("--agent", kind, "--trust-key", key)
            other = self.agent("--agent", kind, "--trust-key", "00" * 31 + "01")
            gateway.add_device(f"good-{kind}", good)
            gateway.add_device(f"other-{kind}", other)
            artifact = gateway.push_example("counter")
            self.assertEqual(gateway.deploy(f"good-{kind}", "job", artifact).status, 200)
            refused = gateway.deploy(f"other-{kind}", "job", artifact)
            self.assert_problem(refused, 502, {"v1": "load-refused", "v2": "verification-refused"}[kind])


if __name__ == "__main__":
    harness.main()
