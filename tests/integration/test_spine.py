"""The main job, for a WebAssembly and an rBPF container: upload, deploy, output, restart, stop, delete."""
import harness
from harness import wait_for


class Spine(harness.GatewayTest):
    def check_main_job(self, name, has_log):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        artifact = gateway.push_example(name)

        answer = gateway.deploy("box", "job", artifact)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["state"], "succeeded")
        self.assertEqual(gateway.get("/v1/devices/box").json["agent"], "v2")
        self.assert_running(gateway, "box", "job")
        self.assertEqual(len(agent.loads("job")), 1)
        if has_log:
            wait_for(lambda: gateway.get("/v1/devices/box/containers/job/log").body, what="the container's output")

        gateway.stop()
        gateway.start()
        kept = gateway.container("box", "job").json
        self.assertEqual(kept["desired"], {"artifact": artifact, "state": "running"})
        self.assertEqual(kept["reported"]["state"], "running")
        self.assert_running(gateway, "box", "job")
        self.assertEqual(gateway.get(f"/v1/operations/{answer.json['id']}").json["state"], "succeeded")
        self.assertEqual(len(agent.loads("job")), 1)

        stopped = gateway.post("/v1/devices/box/containers/job/stop", headers={"Prefer": "wait=10"})
        self.assertEqual(stopped.status, 200, stopped)
        self.assertEqual(gateway.container("box", "job", fresh=True).json["reported"]["state"], "stopped")
        self.assertEqual(len(agent.events("stop", uid="job")), 1)

        removed = gateway.delete("/v1/devices/box/containers/job", headers={"Prefer": "wait=10"})
        self.assertEqual(removed.status, 200, removed)
        self.assert_problem(gateway.container("box", "job"), 404, "not-found")
        self.assertEqual(len(agent.events("remove", uid="job")), 1)
        self.assertLess(gateway.stop(), 1.0 if not gateway.wrapper else 10.0)
        agent.stop()

    def test_wasm_door_watch(self):
        self.check_main_job("door-watch", True)

    def test_wasm_temp_average(self):
        self.check_main_job("temp-average", True)

    def test_rbpf_counter(self):
        self.check_main_job("counter", False)

    def test_both_on_an_agent_of_kind_v1(self):
        gateway = self.gateway()
        agent = self.agent("--agent", "v1", "--slots", "3")
        gateway.add_device("box", agent)
        for uid, name in (("door", "door-watch"), ("count", "counter")):
            answer = gateway.deploy("box", uid, gateway.push_example(name))
            self.assertEqual(answer.status, 200, answer)
            self.assert_running(gateway, "box", uid)
        self.assertEqual(gateway.get("/v1/devices/box").json["agent"], "v1")
        self.assertEqual([event["uid"] for event in agent.loads()], ["door", "count"])

    def test_deploy_again_changes_nothing(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        artifact = gateway.push_example("counter")
        for _ in range(3):
            self.assertEqual(gateway.deploy("box", "job", artifact).status, 200)
        self.assertEqual(len(agent.loads("job")), 1)

    def test_replace_on_v2(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        first, second = gateway.push_example("counter"), gateway.push_example("door-watch")
        self.assertEqual(gateway.deploy("box", "job", first).status, 200)
        self.assertEqual(gateway.deploy("box", "job", second).status, 200)
        self.assertEqual(gateway.container("box", "job", fresh=True).json["reported"],
                         {**gateway.container("box", "job").json["reported"], "artifact": second, "state": "running"})
        self.assertEqual(len(agent.loads("job")), 2)

    def test_large_container_goes_block_wise(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        data = bytes(range(256)) * 64
        artifact = gateway.push(harness.example_bytes("door-watch.wasm"), harness.example_description("door-watch"),
                                data)
        answer = gateway.deploy("box", "large", artifact)
        self.assertEqual(answer.status, 200, answer)
        self.assert_running(gateway, "box", "large")

    def test_two_transports_one_route_table(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        for path in ("/v1/devices", "/v1/devices/box", "/v1/info", "/v1/key", "/openapi.json", "/nowhere"):
            over_unix, over_tcp = gateway.get(path), gateway.get(path, tcp=True)
            self.assertEqual(over_unix.status, over_tcp.status, path)
            if path not in ("/v1/info",):
                self.assertEqual(over_unix.body, over_tcp.body, path)

    def test_many_devices_at_once(self):
        gateway = self.gateway()
        agent = self.agent(count=30)
        artifact = gateway.push_example("counter")
        operations = []
        for i in range(30):
            gateway.add_device(f"box-{i}", agent, i)
            answer = gateway.deploy(f"box-{i}", "job", artifact, wait=0)
            self.assertEqual(answer.status, 202, answer)
            operations.append(answer.json["id"])
        for operation in operations:
            self.assertEqual(gateway.ended(operation)["state"], "succeeded")
        self.assertEqual(len(agent.loads("job")), 30)


if __name__ == "__main__":
    harness.main()
