#!/usr/bin/env python3
"""A thousand devices, three of ten datagrams lost, a broker that is away for a while, and kill -9 of the daemon at random
moments: every record that was acknowledged to a device is in the history exactly once, and reaches the broker at least
once, in order per device.

TCGW_LOSS_DEVICES, TCGW_LOSS_SECONDS, TCGW_LOSS_KILLS and TCGW_LOSS_SEED make it longer, or the same again."""
import bisect
import concurrent.futures
import datetime
import json
import os
import random
import time

import broker
import harness

DEVICES = int(os.environ.get("TCGW_LOSS_DEVICES", "100" if harness.is_sanitized() else "1000"))
SECONDS = float(os.environ.get("TCGW_LOSS_SECONDS", "30"))
KILLS = int(os.environ.get("TCGW_LOSS_KILLS", "4"))
SEED = int(os.environ.get("TCGW_LOSS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
RECORDS = 10  # in a message
LOSS = 30  # percent, in each direction
PAGE = 1000
CLIENTS = 8  # that enrol at once
DRAIN = 60 + SECONDS  # seconds that the broker may take to get what it missed


def microseconds(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) /
               datetime.timedelta(microseconds=1))


class Loss(harness.GatewayTest):
    def setUp(self):
        if not broker.find():
            self.skipTest("mosquitto is not installed")
        self.dice = random.Random(SEED)
        self.gw = self.gateway(start=False, plain=False)
        self.broker = broker.Broker(self.gw.directory)
        self.addCleanup(self.broker.close)
        self.broker.start()
        self.broker.subscribe("tcgw/+/telemetry/#")
        self.gw.config = os.path.join(self.gw.directory, "tcgw.conf")
        with open(self.gw.config, "w", encoding="utf-8") as file:
            file.write(f"[sink platform]\ntype = mqtt\nhost = 127.0.0.1\nport = {self.broker.port}\n"
                       "allow_insecure = yes\nkinds = telemetry\nbackoff_max = 2s\n")
        self.gw.start()

    def enrol_all(self):
        """Credentials of all devices, made over REST by several clients at once."""
        def one(i):
            answer = self.gw.post("/v1/devices", {"id": f"d{i}", "address": "coap://127.0.0.1:9", "agent": "v2"})
            self.assertEqual(answer.status, 201, answer)
            return self.gw.enrol(f"d{i}")
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(one, range(DEVICES)))

    def start_devices(self):
        peer = self.agent(start=False, count=DEVICES)
        credentials = os.path.join(peer.directory, "credentials.json")
        with open(credentials, "w", encoding="utf-8") as file:
            json.dump(self.enrol_all(), file)
        interval = max(1000, DEVICES * 4)  # ms: at most 250 messages a second
        peer.options = ["--oscore", credentials, "--gateway", f"127.0.0.1:{self.gw.coap_port}", "--register",
                        "--telemetry", f"{interval}ms", "--telemetry-records", str(RECORDS), "--lose", str(LOSS),
                        "--reorder", "5", "--duplicate", "5", "--ack-timeout", "300", "--seed", str(SEED % 2**31)]
        return peer.start()

    def test_loss(self):
        print(f"seed {SEED}, {DEVICES} devices, {SECONDS:.0f} s", flush=True)
        begin = time.monotonic()
        self.peer = self.start_devices()
        print(f"enrolled in {time.monotonic() - begin:.1f} s", flush=True)
        self.disturb()
        self.peer.process.terminate()  # the devices say goodbye, which takes a few seconds under loss
        self.assertEqual(self.peer.process.wait(30), 0)
        acknowledged = self.acknowledged()
        self.assertGreater(len(acknowledged), DEVICES * RECORDS // 2, "too little was acknowledged to prove anything")
        self.drain()
        self.check_history(acknowledged)
        self.check_broker(acknowledged)
        self.gw.stop(30)
        self.check_chunks()
        self.assertEqual(self.gw.check_database(), "ok")

    def disturb(self):
        """The daemon dies at random moments; the broker is away for the second quarter of the time, or so."""
        begin = time.monotonic()
        events = sorted([(self.dice.uniform(0.1, 0.95) * SECONDS, self.kill_daemon) for _ in range(KILLS)] +
                        [(0.25 * SECONDS, self.broker.stop), (0.5 * SECONDS, self.broker.start)],
                        key=lambda event: event[0])
        for at, act in events:
            time.sleep(max(0.0, begin + at - time.monotonic()))
            act()
        time.sleep(max(0.0, begin + SECONDS - time.monotonic()))

    def kill_daemon(self):
        self.gw.kill()
        self.gw.start(60)

    def acknowledged(self):
        """Device, name and time of each record that a device was told to be stored, with its value."""
        found, messages = {}, 0
        for event in self.peer.events("telemetry"):
            self.assertIn(event["outcome"], ("acknowledged", "delayed", "dropping"), event)
            if event["outcome"] != "acknowledged":
                continue
            device = f"d{int(event['device']) - self.peer.port}"
            messages += 1
            for name, at, value in event["records"]:
                self.assertNotIn((device, name, at), found, "the agent said it twice")
                found[device, name, at] = value
        print(f"{len(found)} records in {messages} messages acknowledged", flush=True)
        return found

    def drain(self):
        begin = time.monotonic()
        harness.wait_for(lambda: self.gw.get("/v1/sinks/platform").json["behind"] == 0, DRAIN, 0.2,
                         what="the broker to get everything")
        print(f"drained in {time.monotonic() - begin:.1f} s", flush=True)

    def history(self):
        """All records, over REST, page by page."""
        path = f"/v1/telemetry?limit={PAGE}"
        cursor = ""
        while True:
            answer = self.gw.get(path + (f"&cursor={cursor}" if cursor else ""))
            self.assertEqual(answer.status, 200, answer)
            yield from answer.json["items"]
            cursor = answer.json["next"]
            if not cursor:
                return

    def check_history(self, acknowledged):
        begin, stored = time.monotonic(), {}
        for item in self.history():
            key = item["device"], item["name"], microseconds(item["time"])
            self.assertNotIn(key, stored, "twice in the history")
            stored[key] = item["value"]
        missing = [key for key in acknowledged if key not in stored]
        self.assertEqual(missing[:5], [], f"{len(missing)} acknowledged records are not in the history")
        for key, value in acknowledged.items():
            self.assertEqual(stored[key], value, key)
        print(f"{len(stored)} records in the history, read in {time.monotonic() - begin:.1f} s", flush=True)
        self.times = {}
        for device, name, at in sorted(stored):
            self.times.setdefault((device, name), []).append(at)

    def arrivals(self):
        """Per device the records in the order in which the broker gave them."""
        arrived = {}
        for topic, payload in self.broker.received():
            device = topic.rsplit("/", 1)[1]
            self.assertEqual(payload["device"], device)
            for record in payload["records"]:
                arrived.setdefault(device, []).append((microseconds(record["time"]), record["name"]))
        return arrived

    def check_broker(self, acknowledged):
        def complete():
            self.arrived = self.arrivals()
            there = {(device, name, at) for device, records in self.arrived.items() for at, name in records}
            return not set(acknowledged) - there
        harness.wait_for(complete, 30, 0.5, what="the subscriber to get every acknowledged record")
        repeats = 0
        for device, records in self.arrived.items():
            seen, last = set(), 0
            for at, name in records:
                if (at, name) in seen:
                    repeats += 1  # at least once
                    continue
                seen.add((at, name))
                self.assertGreater(at, last, f"{device}: out of order")
                last = at
        total = sum(len(records) for records in self.arrived.values())
        print(f"{total} records at the broker, {repeats} of them repeated", flush=True)

    def check_chunks(self):
        """What is sealed has no record twice: then a chunk would hold more than the history gave of its time."""
        sealed = 0
        with harness.sqlite3.connect(f"file:{self.gw.state}/tcgw.db?mode=ro", uri=True) as database:
            for device, name, first, last, count in database.execute(
                    "SELECT device, name, first, last, count FROM chunk JOIN series ON series.number = chunk.series "
                    "WHERE downsampled = 0"):
                times = self.times[device, name]
                self.assertLessEqual(count, bisect.bisect_right(times, last) - bisect.bisect_left(times, first))
                sealed += count
        size = os.path.getsize(f"{self.gw.state}/tcgw.db")
        print(f"{sealed} records sealed; the database has {size} bytes", flush=True)


if __name__ == "__main__":
    harness.main()
