#!/usr/bin/env python3
"""A thousand devices that lose a fifth of all datagrams and sleep half of the time, fifty of them rebooting at random
and forgetting what they held, and kill -9 of the gateway every few seconds: each ends with what was desired of it last.
Nothing is loaded twice, nothing older after something newer, and hardly a block more often than it must.

TCGW_CONVERGE_DEVICES, TCGW_CONVERGE_KILLS and TCGW_CONVERGE_SEED make it longer, or the same again."""
import concurrent.futures
import hashlib
import http.client
import os
import random
import time

import harness

DEVICES = int(os.environ.get("TCGW_CONVERGE_DEVICES", "40" if harness.is_sanitized() else "1000"))
KILLS = int(os.environ.get("TCGW_CONVERGE_KILLS", "5"))
SEED = int(os.environ.get("TCGW_CONVERGE_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
REBOOTING = max(3, DEVICES // 20)
LOSS = 20  # percent, in each direction
SLEEP, AWAKE = 1, 500  # s from one wake-up to the next, ms of them awake
REBOOT = 30  # s, on average
EVERY = (3.0, 5.0)  # s between two kills
CLIENTS = 8
LIMIT = 180  # s from the last kill until all are as desired
PADDING = 2000  # bytes that make a package of several blocks
BLOCKS = 1.1 / (1 - LOSS / 100)  # how often a byte may come, on average: it must again when its answer was lost


def code_of(version):
    """An example with a custom section, which does nothing."""
    section = b"\x01v" + bytes([version]) * PADDING
    size = bytes([len(section) & 0x7f | 0x80, len(section) >> 7])
    return harness.example_bytes("door-watch.wasm") + b"\0" + size + section


class Converge(harness.GatewayTest):
    def test_converge(self):
        print(f"seed {SEED}, {DEVICES} devices, {REBOOTING} of them rebooting", flush=True)
        self.dice = random.Random(SEED)
        self.gw = self.gateway("coap.ack_timeout=1s", "coap.max_retransmit=1", "coap.load_timeout=5s",
                               "reconcile.retry_min=1s", "reconcile.retry_max=5s", "reconcile.interval=20s",
                               f"limits.devices={DEVICES + 10}")
        description = {**harness.example_description("door-watch"), "limits": {"loop_period_ms": 60000}}
        codes = [code_of(version) for version in (1, 2)]
        self.versions = [self.gw.push(code, description) for code in codes]
        self.numbers = {hashlib.sha256(code).hexdigest(): number for number, code in enumerate(codes, 1)}
        self.start_devices()
        self.desire(self.versions[0])
        for kill in range(KILLS):
            time.sleep(self.dice.uniform(*EVERY))
            self.kill()
            if kill == KILLS // 2:
                self.desire(self.versions[1])
        self.settle()
        self.check_devices()
        self.gw.stop(30)
        self.assertEqual(self.gw.check_database(), "ok")

    def start_devices(self):
        """Those that stay and those that reboot, under the names s, s-1, ... and r, r-1, ..."""
        common = ["--gateway", f"127.0.0.1:{self.gw.coap_port}", "--register", "--sleep", str(SLEEP), "--awake",
                  str(AWAKE), "--lose", str(LOSS), "--ack-timeout", "300"]
        self.peers = {
            "s": self.agent(*common, "--endpoint-name", "s", "--seed", str(SEED % 2**31), start=False,
                            count=DEVICES - REBOOTING),
            "r": self.agent(*common, "--endpoint-name", "r", "--seed", str(SEED % 2**31 + 1), "--reboot-every",
                            f"{REBOOT}s", "--forget", start=False, count=REBOOTING)}
        self.devices = {name + (f"-{i}" if i else ""): (peer, i)
                        for name, peer in self.peers.items() for i in range(peer.count)}
        self.each(lambda device: self.gw.post("/v1/devices", {"id": device, "address": "coap://127.0.0.1:9",
                                                              "agent": "v2"}))
        for peer in self.peers.values():
            peer.start()  # registrations tell where they are

    def each(self, act):
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            return dict(zip(self.devices, pool.map(act, self.devices)))

    def desire(self, artifact):
        begin = time.monotonic()

        def one(device):
            answer = self.gw.deploy(device, "job", artifact, wait=0)
            self.assertEqual(answer.status, 202, answer)
        self.each(one)
        print(f"desired in {time.monotonic() - begin:.1f} s", flush=True)

    def kill(self):
        self.gw.kill()
        self.gw.start(60)

    def is_as_desired(self, device):
        try:
            found = self.gw.container(device, "job").json
        except (OSError, http.client.HTTPException):
            return False
        return (found["reported"]["state"] == "running" and
                found["reported"].get("artifact") == self.versions[1] == found["desired"]["artifact"])

    def settle(self):
        """All are as desired, each at some moment after the last kill: those that reboot are not for ever."""
        begin, left, staying = time.monotonic(), set(self.devices), 0.0
        while left and time.monotonic() < begin + LIMIT:
            time.sleep(0.5)
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                waiting = sorted(left)
                left -= {device for device, fine in zip(waiting, pool.map(self.is_as_desired, waiting)) if fine}
            if any(device[0] == "s" for device in left):
                staying = time.monotonic() - begin
        print(f"converged {time.monotonic() - begin:.1f} s after the last kill, those that stay after {staying:.1f} s",
              flush=True)
        some = sorted(left)[:3]
        self.assertFalse(left, [self.gw.get(f"/v1/devices/{device}/containers/job").json for device in some])

    def check_devices(self):
        """What really happened, as the devices tell it."""
        came = []
        for peer in self.peers.values():
            held, newest, wanted = {}, {}, set()
            for event in peer.events("load", "restart"):
                device = event["device"]
                if event["event"] == "restart":
                    held.pop(device, None)
                    continue
                if event["outcome"] != "ok":
                    self.assertEqual(event["outcome"], "same", event)
                    continue
                version = self.numbers[event["sha256"]]
                self.assertNotEqual(held.get(device), version, f"loaded twice: {event}")
                self.assertGreaterEqual(version, newest.get(device, 0), f"older after newer: {event}")
                held[device] = newest[device] = version
                wanted.add(device)
                came.append(event["counter"])
            self.assertEqual(len(wanted), peer.count)
            self.assertEqual({newest[device] for device in wanted}, {2})
        share = sum(came) / len(came) / min(came)
        print(f"{len(came)} loads, each byte came {share:.3f} times", flush=True)
        self.assertLess(share, BLOCKS)


if __name__ == "__main__":
    harness.main()
