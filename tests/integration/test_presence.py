#!/usr/bin/env python3
"""Presence with the real daemon and real agents: who goes away is late, then offline, and comes back; after kill -9
nobody is online before he was heard."""
import subprocess

import harness
from harness import wait_for


class Presence(harness.GatewayTest):
    def presence(self, gateway, device="d0"):
        return gateway.get(f"/v1/devices/{device}").json["presence"]

    def wait_state(self, gateway, state, device="d0", timeout=20):
        return wait_for(lambda: self.presence(gateway, device)["state"] == state and self.presence(gateway, device),
                        timeout, what=f"{device} to be {state}; it is {self.presence(gateway, device)}")

    def ask(self, gateway, device="d0"):
        return gateway.get(f"/v1/devices/{device}/resources/tc", headers={"Cache-Control": "no-cache"})

    def states(self, gateway, device="d0"):
        answer = gateway.get(f"/v1/events?kind=presence&device={device}&limit=100")
        self.assertEqual(answer.status, 200, answer)
        return [entry["state"] for entry in answer.json["items"]]

    def test_goes_away_and_comes_back(self):
        gateway = self.gateway("presence.online=2s", "presence.late=2s")
        agent = self.protected_agent(gateway)
        self.assertEqual(self.presence(gateway)["state"], "unknown")
        self.assertIsNone(self.presence(gateway)["since"])
        self.assertEqual(self.ask(gateway).status, 200)
        heard = self.wait_state(gateway, "online")
        self.assertEqual(heard["reason"], "heard")
        agent.pause()
        late = self.wait_state(gateway, "late")
        self.assertEqual((late["reason"], late["last_heard_at"]), ("not heard for long", heard["last_heard_at"]))
        self.wait_state(gateway, "offline")
        self.assertEqual([d["id"] for d in gateway.get("/v1/devices?presence=offline").json["items"]], ["d0"])
        self.assertEqual(gateway.get("/v1/devices?presence=online").json["items"], [])
        self.assert_problem(gateway.get("/v1/devices?presence=away"), 400, "invalid-parameter")
        listed = subprocess.run([harness.program("tcgw"), "--socket", gateway.socket, "device", "list", "--presence",
                                 "offline"], capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertRegex(listed, "d0 .*offline")
        self.assertEqual(gateway.metrics()['tcgw_devices_by_presence{state="offline"}'], 1)
        agent.resume()
        self.assertEqual(self.ask(gateway).status, 200)
        self.wait_state(gateway, "online")
        wait_for(lambda: self.states(gateway)[:4] == ["online", "late", "offline", "online"], what="the events")

    def test_failures(self):
        gateway = self.gateway("coap.ack_timeout=1s", "coap.max_retransmit=1")
        agent = self.protected_agent(gateway)
        self.assertEqual(self.ask(gateway).status, 200)
        agent.pause()
        self.assertEqual(self.ask(gateway).status, 504)
        self.assertEqual(self.wait_state(gateway, "late")["reason"], "no answer")
        self.assertEqual(self.ask(gateway).status, 504)
        self.wait_state(gateway, "offline")
        agent.resume()
        self.assertEqual(self.ask(gateway).status, 200)
        self.wait_state(gateway, "online")

    def test_lifetime_ends(self):
        gateway = self.gateway()
        agent = self.protected_agent(gateway, "--register", "--lifetime", "3")
        wait_for(lambda: self.presence(gateway)["expected_at"], what="the registration")
        self.assertEqual(self.presence(gateway)["state"], "online")
        agent.pause()
        gone = self.wait_state(gateway, "offline")
        self.assertEqual(gone["reason"], "registration expired")
        self.assertEqual(gateway.get("/v1/directory").json["items"], [])
        agent.resume()
        self.wait_state(gateway, "online")

    def test_nobody_is_online_after_a_crash(self):
        gateway = self.gateway()
        agent = self.protected_agent(gateway, "--register", "--lifetime", "3600", count=3)
        for i in range(3):
            self.wait_state(gateway, "online", f"d{i}")
        agent.pause()
        gateway.kill()
        gateway.start()
        devices = gateway.get("/v1/devices").json["items"]
        self.assertEqual([device["presence"]["state"] for device in devices], ["unknown"] * 3)
        for device in devices:
            self.assertIsNotNone(device["presence"]["last_heard_at"])
            self.assertIsNotNone(device["endpoint"])
        agent.resume()
        self.assertEqual(self.ask(gateway, "d1").status, 200)
        self.wait_state(gateway, "online", "d1")
        self.assertEqual(self.presence(gateway, "d2")["state"], "unknown")

    def test_sleeper(self):
        gateway = self.gateway("presence.late=2s")
        agent = self.protected_agent(gateway, "--register", "--sleep", "2", "--awake", "300")
        asleep = self.wait_state(gateway, "asleep")
        self.assertTrue(asleep["sleepy"])
        self.assertIsNotNone(asleep["expected_at"])
        agent.pause()
        self.assertEqual(self.wait_state(gateway, "late")["reason"], "did not wake up as expected")
        self.wait_state(gateway, "offline")
        agent.resume()
        self.wait_state(gateway, "asleep")


if __name__ == "__main__":
    harness.main()
