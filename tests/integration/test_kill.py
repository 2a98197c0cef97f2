"""kill -9 at random moments during a series of deployments: nothing acknowledged is lost, nothing is loaded twice."""
import os
import random
import threading
import time

import harness

ROUNDS = int(os.environ.get("TCGW_KILL_ROUNDS", "100"))
SEED = int(os.environ.get("TCGW_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
DEVICES = 4


class Kill(harness.GatewayTest):
    def deploy_until_killed(self, gateway, artifact, stop, acknowledged, kind):
        """Deploys new containers one after the other and notes what was acknowledged."""
        number = len(acknowledged[kind])
        while not stop.is_set():
            uid = f"c{number}"
            device = f"{kind}-{number % DEVICES}"
            try:
                answer = gateway.deploy(device, uid, artifact, wait=0)
            except (OSError, harness.http.client.HTTPException):
                acknowledged[kind].append((device, uid, None))  # may or may not be there
                return
            self.assertEqual(answer.status, 202, answer)
            acknowledged[kind].append((device, uid, answer.json["id"]))
            number += 1
            time.sleep(0.01)

    def test_kill(self):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        dice = random.Random(SEED)
        agents = {"v1": self.agent("--agent", "v1", "--slots", "2000", "--bug", "no-dedup,duplicate-uid",
                                   count=DEVICES),
                  "v2": self.agent("--slots", "2000", count=DEVICES)}
        gateway = self.gateway("limits.containers_per_device=1000", "limits.queue_per_device=1000",
                               "operations.verify_delay=20ms", "operations.settle_delay=50ms")
        artifact = gateway.push_example("counter", limits={"loop_period_ms": 60000})
        for kind, agent in agents.items():
            for i in range(DEVICES):
                gateway.add_device(f"{kind}-{i}", agent, i, agent=kind)
        acknowledged = {"v1": [], "v2": []}
        for _ in range(ROUNDS):
            stop = threading.Event()
            threads = [threading.Thread(target=self.deploy_until_killed,
                                        args=(gateway, artifact, stop, acknowledged, kind)) for kind in agents]
            for thread in threads:
                thread.start()
            time.sleep(dice.uniform(0.0, 0.25))
            gateway.kill()
            stop.set()
            for thread in threads:
                thread.join()
            gateway.start()
        self.check(gateway, agents, acknowledged)

    def check(self, gateway, agents, acknowledged):
        certain = 0
        for deployments in acknowledged.values():
            for device, uid, operation in deployments:
                if operation is None:
                    continue
                certain += 1
                ended = gateway.ended(operation, timeout=120)
                self.assertEqual(ended["state"], "succeeded", ended)
                state = gateway.container(device, uid).json
                self.assertEqual(state["desired"]["state"], "running", state)
                self.assertEqual(state["reported"]["state"], "running", state)
        self.assertGreater(certain, ROUNDS, "too few deployments to prove anything")
        for kind, agent in agents.items():
            seen = set()
            for event in agent.loads():
                key = (event["device"], event["uid"])
                # A v2 agent takes the same package again as the same container and says so.
                self.assertNotIn(key, seen, f"{kind}: loaded twice: {event}")
                seen.add(key)
            self.assertGreater(len(seen), 0)
        gateway.stop()
        self.assertEqual(gateway.check_database(), "ok")
        print(f"{certain} acknowledged deployments, {sum(len(a.loads()) for a in agents.values())} loads", flush=True)


if __name__ == "__main__":
    harness.main()
