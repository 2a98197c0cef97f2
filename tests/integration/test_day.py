#!/usr/bin/env python3
"""A day in the life of a gateway, with the programs as `make install` puts them: devices are enrolled, get containers, are
away for a while, get a new version from a new version of the gateway, and then the machine is lost and a backup goes on at
another one."""
import json
import os
import shutil
import subprocess
import tempfile

import harness

DEVICES = 4


def install(build, directory):
    """The tree that a package would have; returns the directory of its programs."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "-s", "-C", build, "install", f"DESTDIR={directory}", "prefix=/usr",
                           "sysconfdir=/etc"], env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    programs = os.path.join(directory, "programs")
    os.mkdir(programs)
    for name in ("usr/sbin/tcgwd", "usr/bin/tcgw", "usr/bin/tcagent"):
        os.symlink(os.path.join(directory, name), os.path.join(programs, os.path.basename(name)))
    return programs


class Day(harness.GatewayTest):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="tcgw-day-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.build = harness.BUILD
        self.addCleanup(setattr, harness, "BUILD", self.build)
        harness.BUILD = install(self.build, os.path.join(self.directory, "morning"))
        self.machine = self.gateway(plain=False)

    def tcgw(self, *arguments):
        done = subprocess.run([harness.program("tcgw"), "--socket", self.machine.socket, *arguments], timeout=120,
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def tcgw_json(self, *arguments):
        return json.loads(self.tcgw("--json", *arguments))

    def runs(self, device, uid, artifact=None):
        """Whether the device itself says so."""
        answer = self.machine.container(device, uid, fresh=True)
        reported = answer.json.get("reported") or {} if answer.status == 200 else {}
        return reported.get("state") == "running" and artifact in (None, reported.get("artifact"))

    def wait_until_all_run(self, uid, artifact=None):
        for i in range(DEVICES):
            harness.wait_for(lambda: self.runs(f"d{i}", uid, artifact), 60, what=f"{uid} on d{i}")

    def telemetry_goes_on(self):
        """A message of each device that was not there before."""
        def newest(device):
            items = self.machine.get(f"/v1/devices/{device}/telemetry?order=desc&limit=1").json["items"]
            return items[0] if items else None

        before = {f"d{i}": newest(f"d{i}") for i in range(DEVICES)}
        for device, last in before.items():
            harness.wait_for(lambda: newest(device) != last, 60, what=f"telemetry of {device}")

    def test_day(self):
        self.enrol_and_deploy()
        self.outage()
        self.upgrade()
        self.move()

    def enrol_and_deploy(self):
        self.devices = self.protected_agent(self.machine, "--register", "--telemetry", "300ms", "--observe-desired",
                                            count=DEVICES)
        self.artifacts = [self.machine.push_example("counter", limits={"loop_period_ms": period})
                          for period in (60000, 50000)]
        for i in range(DEVICES):
            self.tcgw("deploy", f"d{i}", "counter", self.artifacts[0])
        self.tcgw("deploy", "d0", "climate", harness.example("room-climate.wasm"), "--description",
                  os.path.join(harness.SOURCE, "examples/room-climate.json"))
        self.wait_until_all_run("counter", self.artifacts[0])
        self.telemetry_goes_on()

    def outage(self):
        """Devices are out of reach, and meanwhile the power of the gateway fails. What was asked for comes about."""
        self.devices.pause()
        asked = self.tcgw_json("container", "stop", "d1", "counter", "--no-wait")["id"]
        wish = os.path.join(self.directory, "wish")
        with open(wish, "w", encoding="utf-8") as file:
            json.dump({"temperature": 19}, file)
        self.tcgw("shadow", "set", "d2", wish)
        self.machine.kill()
        self.machine.start()
        self.devices.resume()
        self.assertEqual(self.machine.ended(asked)["state"], "succeeded")
        self.assertEqual(self.machine.container("d1", "counter", fresh=True).json["reported"]["state"], "stopped")
        self.tcgw("container", "start", "d1", "counter")
        harness.wait_for(lambda: any("19" in json.dumps(event) for event in self.devices.events("desired")), 60,
                         what="what is wished of d2 to reach it")
        self.wait_until_all_run("counter", self.artifacts[0])
        self.telemetry_goes_on()

    def upgrade(self):
        """New programs over the old state, in the middle of a rollout."""
        rollout = self.tcgw_json("rollout", "create", "counter", self.artifacts[1], "--all", "--canaries", "1",
                                 "--running-for", "1")["id"]
        harness.wait_for(lambda: self.runs("d0", "counter", self.artifacts[1]), 60, what="the canary")
        self.machine.stop()
        harness.BUILD = install(self.build, os.path.join(self.directory, "evening"))
        self.machine.start()
        harness.wait_for(lambda: self.tcgw_json("rollout", "show", rollout)["state"] == "succeeded", 60,
                         what="the rollout to end")
        self.wait_until_all_run("counter", self.artifacts[1])

    def move(self):
        """The machine is lost. A backup, older than the last exchanges, goes on at another one at the same address."""
        backup = os.path.join(self.directory, "backup")
        self.tcgw("backup", backup)
        self.telemetry_goes_on()
        self.wait_until_all_run("counter", self.artifacts[1])  # sequence numbers that the backup does not know of
        lost = self.machine
        lost.kill()
        shutil.rmtree(lost.state)
        self.machine = self.gateway(plain=False, start=False)
        self.machine.coap_port = lost.coap_port
        self.restore(backup)
        self.machine.start()
        self.wait_until_all_run("counter", self.artifacts[1])
        self.assertTrue(self.runs("d0", "climate"))
        self.telemetry_goes_on()
        self.tcgw("deploy", "d3", "late", self.artifacts[0])
        self.assertTrue(self.runs("d3", "late"))
        self.devices.check_nonces()
        self.machine.stop()
        self.assertEqual(self.machine.check_database(), "ok")

    def restore(self, backup):
        done = subprocess.run([*self.machine.command(), "--restore", backup], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    harness.main()
