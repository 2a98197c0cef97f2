#!/usr/bin/env python3
"""kill -9 at random moments under protected traffic in both directions: no sequence number is used twice, no device is
locked out, and nothing that was acknowledged is lost."""
import json
import os
import random
import threading
import time

import harness

ROUNDS = int(os.environ.get("TCGW_KILL_ROUNDS", "200"))
SEED = int(os.environ.get("TCGW_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
DEVICES = 16


class KillProtected(harness.GatewayTest):
    def setUp(self):
        self.gw = self.gateway("limits.containers_per_device=1000", "limits.queue_per_device=1000",
                               "operations.settle_delay=50ms", plain=False)
        self.artifact = self.gw.push_example("counter", limits={"loop_period_ms": 60000})
        self.peer = self.protected_agent(self.gw, "--slots", "2000", "--report", "20ms", count=DEVICES)
        self.acknowledged = []
        self.read, self.last = 0, {}

    def deploy_until_killed(self, stop):
        while not stop.is_set():
            number = len(self.acknowledged)
            device, uid = f"d{number % DEVICES}", f"c{number}"
            try:
                answer = self.gw.deploy(device, uid, self.artifact, wait=0)
            except (OSError, harness.http.client.HTTPException):
                self.acknowledged.append((device, uid, None))  # may or may not be there
                return
            self.assertEqual(answer.status, 202, answer)
            self.acknowledged.append((device, uid, answer.json["id"]))
            time.sleep(0.01)

    def reports(self):
        """The last acknowledged counter of each device, by port. Reads on where it stopped the last time."""
        with open(self.peer.journal, "rb") as file:
            file.seek(self.read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.read += len(line)
                event = json.loads(line)
                if event["event"] == "report" and event.get("outcome") == "acknowledged":
                    self.last[event["device"]] = max(self.last.get(event["device"], 0), event["counter"])
        return dict(self.last)

    def test_kill(self):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        dice = random.Random(SEED)
        for _ in range(ROUNDS):
            stop = threading.Event()
            thread = threading.Thread(target=self.deploy_until_killed, args=(stop,))
            thread.start()
            time.sleep(dice.uniform(0.0, 0.3))
            self.gw.kill()
            stop.set()
            thread.join()
            self.check_durable()
            self.gw.start()
        self.check_alive()
        self.check_deployments()
        self.peer.check_nonces()
        used = self.peer.protected()
        self.assertGreater(len(used), ROUNDS)
        self.gw.stop()
        self.assertEqual(self.gw.check_database(), "ok")
        print(f"{len(self.acknowledged)} deployments, {sum(self.reports().values())} reports, "
              f"{len(used)} verified messages", flush=True)

    def check_durable(self):
        """What the devices were told to be stored is in the database, or something newer."""
        told = self.reports()
        with harness.sqlite3.connect(f"file:{self.gw.state}/tcgw.db?mode=ro", uri=True) as database:
            stored = {device: json.loads(body) for device, body in
                      database.execute("SELECT device, body FROM shadow WHERE kind = 'reported'")}
        for i in range(DEVICES):
            counter = told.get(str(self.peer.port + i))
            if counter:
                self.assertGreaterEqual(stored[f"d{i}"]["counter"], counter)

    def check_alive(self):
        """Each device is heard and can be asked."""
        before = self.reports()
        harness.wait_for(lambda: all(self.reports().get(str(self.peer.port + i), 0) > before.get(str(self.peer.port + i), 0)
                                     for i in range(DEVICES)), 60, what="a report of each device to be acknowledged")
        for i in range(DEVICES):
            answer = self.gw.get(f"/v1/devices/d{i}/resources/tc")
            self.assertEqual(answer.status, 200, answer)

    def check_deployments(self):
        certain = 0
        for device, uid, operation in self.acknowledged:
            if operation is None:
                continue
            certain += 1
            ended = self.gw.ended(operation, timeout=120)
            self.assertEqual(ended["state"], "succeeded", ended)
            self.assertEqual(self.gw.container(device, uid).json["reported"]["state"], "running")
        self.assertGreater(certain, ROUNDS, "too few deployments to prove anything")


if __name__ == "__main__":
    harness.main()
