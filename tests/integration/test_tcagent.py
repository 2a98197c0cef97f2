#!/usr/bin/env python3
"""What the reference agent says by itself reaches a real gateway: telemetry in each format, what containers write,
registrations, wake-ups, sensors; over good and bad links."""
import datetime

import harness


def microseconds(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) /
               datetime.timedelta(microseconds=1))


class Tcagent(harness.GatewayTest):
    def setUp(self):
        self.gw = self.gateway(plain=False)

    def acknowledged(self, peer, event="telemetry"):
        return [entry for entry in peer.events(event) if entry["outcome"] == "acknowledged"]

    def wait_for(self, peer, event, count=1):
        return harness.wait_for(lambda: len(self.acknowledged(peer, event)) >= count and self.acknowledged(peer, event),
                                30, what=f"{count} of {event}")

    def told(self):
        """All telemetry that the gateway has, in its order."""
        records, after = [], 0
        while True:
            page = self.gw.get(f"/v1/events?kind=telemetry&after={after}").json
            for entry in page["items"]:
                records += [(record["name"], record["time"], record["value"]) for record in entry["records"]]
            if not page["items"]:
                return records
            after = page["next_after"]

    def check_format(self, *options):
        peer = self.protected_agent(self.gw, "--telemetry", "200ms", *options)
        entries = self.wait_for(peer, "telemetry", 6)
        peer.stop()
        told = self.told()
        stored = {(name, microseconds(time)): value for name, time, value in told}
        untimed = {(name, value) for name, _, value in told}
        for entry in entries:
            for name, time, value in entry["records"]:
                if time is None:
                    self.assertIn((name, value), untimed)
                else:
                    self.assertEqual(stored.get((name, time)), value, (name, time))
        return entries

    def test_cbor(self):
        self.assertEqual(len(self.check_format("--telemetry-records", "10")[0]["records"]), 10)

    def test_json(self):
        self.check_format("--telemetry-records", "10", "--telemetry-format", "json")

    def test_text(self):
        self.assertIsNone(self.check_format("--telemetry-format", "text")[0]["records"][0][1])

    def test_no_clock(self):
        self.check_format("--no-clock", "--telemetry-records", "8")

    def test_large_packs_over_a_bad_link(self):
        """In blocks, of which many are lost, overtaken and doubled."""
        self.check_format("--telemetry-records", "200", "--lose", "20", "--reorder", "10", "--duplicate", "10",
                          "--ack-timeout", "100")

    def test_containers_write(self):
        peer = self.protected_agent(self.gw, "--telemetry-records", "10")
        answer = self.gw.deploy("d0", "climate", self.gw.push_example("room-climate", limits={"loop_period_ms": 50}))
        self.assertEqual(answer.json["state"], "succeeded", answer)
        self.wait_for(peer, "telemetry", 20)
        told = self.told()
        numbers = [value for name, _, value in told if name == "climate/3"]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        degrees = [value for name, _, value in told if name == "climate/2"]
        self.assertGreater(len(degrees), 10)
        self.assertTrue(all(18 < value < 24 for value in degrees), degrees)

    def test_registers_and_leaves(self):
        peer = self.protected_agent(self.gw, "--register", "--lifetime", "2")
        location = self.wait_for(peer, "register")[0]["detail"]
        self.assertTrue(location.startswith("/rd/"), location)
        self.wait_for(peer, "update", 2)
        peer.stop()
        self.assertEqual(len(self.acknowledged(peer, "deregister")), 1)

    def test_registers_again_after_a_crash_of_the_gateway(self):
        peer = self.protected_agent(self.gw, "--register", "--lifetime", "4", "--ack-timeout", "200")
        self.wait_for(peer, "register")
        self.gw.kill()
        before = len(self.acknowledged(peer, "update"))
        self.gw.start()
        self.wait_for(peer, "update", before + 1)  # the entry is durable

    def test_sleeps(self):
        peer = self.protected_agent(self.gw, "--register", "--sleep", "1", "--awake", "100")
        self.wait_for(peer, "update", 2)
        harness.wait_for(lambda: self.gw.get("/v1/devices/d0").json["presence"]["state"] == "asleep", 10,
                         what="the device to be seen asleep")

    def test_deploys_to_a_sleeper(self):
        """What it is told waits until it wakes up, and fits into the time that it listens."""
        self.protected_agent(self.gw, "--register", "--sleep", "2", "--awake", "500")
        harness.wait_for(lambda: self.gw.get("/v1/devices/d0").json["presence"]["state"] == "asleep", 20,
                         what="the device to be seen asleep")
        answer = self.gw.deploy("d0", "job", self.gw.push_example("counter"), wait=0)
        self.assertEqual(self.gw.ended(answer.json["id"])["state"], "succeeded")

    def test_sensors(self):
        self.protected_agent(self.gw, "--sensor-period", "600000")
        first = self.gw.get("/v1/devices/d0/resources/sensors/temperature")
        self.assertEqual(first.status, 200, first)
        self.assertTrue(18 < float(first.body) < 24, first)
        self.assertTrue(first.headers["ETag"])
        self.assertEqual(self.gw.get("/v1/devices/d0/resources/sensors/temperature").body, first.body)
        json = self.gw.get("/v1/devices/d0/resources/sensors/door", headers={"Accept": "application/senml+json"})
        self.assertEqual(json.status, 200, json)
        self.assertEqual(json.json[0]["n"], "door")


if __name__ == "__main__":
    harness.main()
