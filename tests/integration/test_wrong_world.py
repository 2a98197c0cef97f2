#!/usr/bin/env python3
"""Clocks that jump by years, and disks that are full or read-only: nothing is lost, and what is wrong is said."""
import errno
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import wait_for

YEAR = 365 * 86400


class WrongWorld(harness.GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="tcgw-shim-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, True)
        cls.shim = os.path.join(cls.directory, "wrong_world.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrong_world.c")
        if not shutil.which("cc") or struct.calcsize("P") != 8:
            raise unittest.SkipTest("there is no compiler, or no machine of 64 bits")
        subprocess.run(["cc", "-O1", "-fPIC", "-shared", "-o", cls.shim, source, "-ldl"], check=True)

    def set_world(self, seconds=0, error=0):
        with open(self.world, "r+b") as file:
            file.write(struct.pack("=qq", seconds, error))

    def world_gateway(self, *settings, **more):
        self.world = os.path.join(tempfile.mkdtemp(dir=self.directory), "world")
        with open(self.world, "wb") as file:
            file.write(bytes(16))
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        gateway = self.gateway(*settings, env={"LD_PRELOAD": self.shim, "WRONG_WORLD": self.world,
                                               "ASAN_OPTIONS": options}, **more)
        self.set_world(20 * YEAR)
        probe = gateway.post("/v1/devices", {"id": "probe", "address": "coap://127.0.0.1:9"}).json
        self.set_world()
        if probe["created_at"] < "2040":
            self.skipTest("the programs cannot be given another clock")
        self.assertEqual(gateway.delete("/v1/devices/probe").status, 204)
        return gateway

    def checks(self, gateway):
        answer = gateway.get("/readyz")
        return answer.status, {name: check["status"] for name, check in answer.json["checks"].items()}

    def assert_works(self, gateway, uid, artifact):
        answer = gateway.deploy("d0", uid, artifact)
        self.assertEqual(answer.status, 200, answer)
        self.assert_running(gateway, "d0", uid)

    def assert_goes_on(self, gateway, uid, artifact):
        self.assert_works(gateway, uid, artifact)
        answer = gateway.delete(f"/v1/devices/d0/containers/{uid}", headers={"Prefer": "wait=20"})
        self.assertEqual(answer.status, 200, answer)

    def test_clock_jumps_by_years(self):
        """Forward, far back, and over a restart: devices are spoken to, and nothing goes for its age."""
        gateway = self.world_gateway("journal.max_age=1d", "artifacts.keep_age=1d", plain=False)
        agent = self.protected_agent(gateway)
        unused = gateway.push_example("counter")
        artifact = gateway.push_example("door-watch")
        self.assert_works(gateway, "before", artifact)
        first = int(gateway.metrics()["tcgw_journal_first"])
        for name, years in (("future", 20), ("past", -40), ("now", 0)):
            self.set_world(years * YEAR)
            self.assert_goes_on(gateway, name, artifact)
            self.assertEqual(gateway.post("/v1/artifacts/gc").status, 200)
            self.assertEqual(gateway.get(f"/v1/artifacts/{unused}").status, 200, name)
            self.assertEqual(self.checks(gateway)[0], 200)
        for name, years in (("future-start", 20), ("past-start", -40), ("start", 0)):
            gateway.kill()
            self.set_world(years * YEAR)
            gateway.start()
            self.assert_goes_on(gateway, name, artifact)
            self.assertEqual(gateway.post("/v1/artifacts/gc").status, 200)
            self.assertEqual(gateway.get(f"/v1/artifacts/{unused}").status, 200, name)
            self.assert_running(gateway, "d0", "before")
        self.assertEqual(int(gateway.metrics()["tcgw_journal_first"]), first)
        agent.check_nonces()
        gateway.stop()
        gateway.check_database()

    def test_clock_jump_expires_no_waiting_operation(self):
        """An operation's time goes by the monotonic clock."""
        gateway = self.world_gateway()
        agent = self.agent()
        gateway.add_device("d0", agent, agent="v2")
        artifact = gateway.push_example("door-watch")
        agent.pause()
        answer = gateway.put("/v1/devices/d0/containers/job?ttl=300", {"artifact": artifact, "state": "running"})
        self.assertEqual(answer.status, 202, answer)
        self.set_world(20 * YEAR)
        agent.resume()
        ended = gateway.ended(answer.json["id"])
        self.assertEqual(ended["state"], "succeeded", ended)

    def disk(self, error, word):
        gateway = self.world_gateway()
        agent = self.agent()
        gateway.add_device("kept", agent)
        self.set_world(error=error)
        status, checks = self.checks(gateway)
        self.assertEqual((status, checks["disk"]), (503, "failing"))
        answer = gateway.post("/v1/devices", {"id": "lost", "address": "coap://127.0.0.1:9"})
        self.assertIn(answer.status, (500, 507), answer)
        self.assertEqual(gateway.get("/v1/devices/lost").status, 404)
        self.assertEqual(gateway.get("/v1/devices/kept").status, 200)
        answer = gateway.get("/healthz")
        self.assertEqual(answer.status, 503, answer)
        detail = gateway.get("/readyz").json["checks"]["disk"]["detail"]
        self.assertIn(word, detail)
        self.assertEqual(gateway.metrics()["tcgw_ready"], 0)
        self.set_world()
        wait_for(lambda: self.checks(gateway)[0] == 200, 20, what="the gateway to be ready again")
        answer = gateway.post("/v1/devices", {"id": "found", "address": "coap://127.0.0.1:9"})
        self.assertEqual(answer.status, 201, answer)
        gateway.stop()
        gateway.check_database()

    def test_full_disk(self):
        self.disk(errno.ENOSPC, "left")

    def test_read_only_disk(self):
        self.disk(errno.EROFS, "read-only")

    def test_start_on_a_read_only_disk_says_so(self):
        gateway = self.world_gateway()
        gateway.stop()
        self.set_world(error=errno.EROFS)
        gateway.spawn()
        self.assertNotEqual(gateway.process.wait(30), 0)
        self.assertIn("cannot start", gateway.log())
        self.set_world()
        gateway.start()


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit(harness.SKIP)
    unittest.main()
