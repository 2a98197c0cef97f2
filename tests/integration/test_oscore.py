#!/usr/bin/env python3
"""Devices that speak OSCORE: the main job, restarts of either side, attacks, what devices send by themselves."""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

import harness
from harness import wait_for

# What each attack must come to: accepted, and unprotected or protected refusals; the rest must be unanswered at most.
HONEST = {"duplicate": 3, "replay": 2, "replay-after-reorder": 3, "reorder": 8, "reorder-beyond": 1, "old-sequence": 1,
          "corrupt": 1, "truncate": 1}
HOSTILE = ["malformed-option", "unknown-kid", "wrong-kid-context", "other-identity", "nested", "inner-garbage"]


def stable(body):
    """Starts and state in a container's map; how often it ran and such change all the time."""
    return re.search(rb"\x0a(.)\x0b\x83", body, re.S)[1], re.search(rb"\x03.\x04(.)", body, re.S)[1]


class Protected(harness.GatewayTest):
    def reports(self, agent, outcome="acknowledged"):
        return [event for event in agent.events("report") if event["outcome"] == outcome]

    def reported(self, gateway, device="d0"):
        answer = gateway.get(f"/v1/devices/{device}/shadow/reported")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def next_report(self, agent, timeout=30):
        """Waits until one more report was acknowledged."""
        before = len(self.reports(agent))
        return wait_for(lambda: self.reports(agent)[before:], timeout, what="a report to be acknowledged")[-1]

    def ask(self, gateway, device="d0"):
        """A request to the device that is not answered from what is known."""
        answer = gateway.get(f"/v1/devices/{device}/resources/tc")
        self.assertEqual(answer.status, 200, answer)

    # the main job

    def test_spine(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway)
        artifact = gateway.push_example("door-watch")
        answer = gateway.deploy("d0", "job", artifact)
        self.assertEqual(answer.status, 200, answer)
        self.assert_running(gateway, "d0", "job")
        wait_for(lambda: gateway.get("/v1/devices/d0/containers/job/log").body, what="the container's output")
        stopped = gateway.post("/v1/devices/d0/containers/job/stop", headers={"Prefer": "wait=10"})
        self.assertEqual(stopped.status, 200, stopped)
        removed = gateway.delete("/v1/devices/d0/containers/job", headers={"Prefer": "wait=10"})
        self.assertEqual(removed.status, 200, removed)
        self.assertEqual([event["event"] for event in agent.events("load", "start", "stop", "remove")],
                         ["load", "start", "stop", "remove"])
        self.assertEqual(agent.events("unprotected"), [])
        self.assertEqual(agent.protected("refused"), [])
        self.assertGreater(agent.check_nonces(), 5)
        self.assertEqual(gateway.get("/v1/devices/d0").json["security"], "oscore")
        agent.stop()
        gateway.stop()

    def test_agent_of_kind_v1(self):
        """The public protocol, under OSCORE."""
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--agent", "v1", kind="v1")
        self.assertEqual(gateway.deploy("d0", "job", gateway.push_example("counter")).status, 200)
        self.assert_running(gateway, "d0", "job")
        self.assertEqual(agent.events("unprotected"), [])
        agent.check_nonces()

    def test_without_credentials(self):
        gateway = self.gateway(plain=False)
        agent = self.agent()
        gateway.add_device("box", agent)
        artifact = gateway.push_example("counter")
        self.assert_problem(gateway.deploy("box", "job", artifact), 403, "credentials-required")
        self.assertEqual(agent.loads(), [])

    def test_plain_requests_are_refused_by_the_device(self):
        gateway = self.gateway()
        other = self.gateway(plain=False)
        agent = self.protected_agent(other)
        gateway.add_device("box", agent)
        answer = gateway.deploy("box", "job", gateway.push_example("counter"))
        self.assertNotEqual(answer.status, 200)
        self.assertEqual(agent.loads(), [])

    def test_under_valgrind(self):
        gateway = self.start_under_valgrind(self.gateway(start=False, plain=False))
        agent = self.protected_agent(gateway, "--report", "300ms", "--report-size", "2000", "--observe-desired")
        answer = gateway.deploy("d0", "job", gateway.push_example("counter"), wait=60)
        self.assertEqual(answer.status, 200, answer)
        self.next_report(agent)
        self.assertEqual(gateway.put("/v1/devices/d0/shadow/desired", {"wish": 1}).status, 201)
        wait_for(lambda: agent.events("desired"), what="the wish to arrive")
        agent.process.send_signal(signal.SIGUSR2)  # loses its state: a new context by Appendix B.2
        wait_for(lambda: agent.events("context"), 30, what="a new context")
        self.next_report(agent)
        self.ask(gateway)
        gateway.enrol("d0")  # overlaps with the old ones
        self.ask(gateway)
        self.assertEqual(gateway.delete("/v1/devices/d0/credentials").status, 204)
        gateway.stop(timeout=60)

    # restarts

    def test_restarts_of_the_gateway(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--report", "200ms")
        self.next_report(agent)
        self.ask(gateway)
        gateway.stop()
        gateway.start()
        self.next_report(agent)
        self.ask(gateway)
        self.assertEqual(self.challenges(gateway), 0)  # the window survived
        for _ in range(3):
            gateway.kill()
            gateway.start()
            self.next_report(agent)
            self.ask(gateway)
            self.assertEqual(self.challenges(gateway), 1)
        self.assertEqual(agent.protected("refused"), [])
        self.assertEqual(agent.events("context"), [])  # nobody needed a new one
        agent.check_nonces()

    def challenges(self, gateway):
        return gateway.metrics()['tcgw_oscore_echo_total{event="sent"}']

    def test_restarts_of_the_agent(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway)
        self.ask(gateway)
        agent.stop()
        agent.start()
        self.ask(gateway)
        self.assertEqual(agent.protected("challenged"), [])  # a clean end keeps the window
        agent.process.kill()
        agent.process.wait()
        agent.start()
        self.ask(gateway)
        self.assertEqual(len(agent.protected("challenged")), 1)
        agent.restart_devices()
        wait_for(lambda: agent.events("restart"), what="the devices to restart")
        self.ask(gateway)
        self.assertEqual(len(agent.protected("challenged")), 2)
        self.assertEqual(agent.events("context"), [])
        agent.check_nonces()

    def test_agent_that_lost_its_state(self):
        """It comes back by Appendix B.2, whoever speaks first."""
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway)
        for i in range(3):
            self.ask(gateway)
            agent.process.send_signal(signal.SIGUSR2)
            wait_for(lambda i=i: len(agent.events("restart")) > i, what="the devices to restart")
        self.ask(gateway)
        self.assertEqual([event["outcome"] for event in agent.events("context")], ["server"] * 3)
        agent.stop()
        agent.options += ["--report", "300ms"]
        agent.start()
        self.next_report(agent)
        agent.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: len(agent.events("restart")) > 3, what="the devices to restart")
        self.next_report(agent)
        self.assertIn("client", [event["outcome"] for event in agent.events("context")])
        self.ask(gateway)
        gateway.stop()
        gateway.start()
        self.next_report(agent)
        self.ask(gateway)
        agent.check_nonces()

    def test_distrusted_contexts(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--report", "300ms")
        self.next_report(agent)
        answer = gateway.post("/v1/gateway/distrust-contexts")
        self.assertIn(answer.status, (200, 204), answer)
        self.next_report(agent)
        self.ask(gateway)
        self.assertTrue(agent.events("context"))
        agent.check_nonces()

    # attacks

    def test_attacks(self):
        """Honest requests are accepted, all else changes nothing; each kind is counted."""
        gateway = self.gateway(plain=False)
        names = [*HONEST, *HOSTILE, "outer-inner-contradiction", "oversized-outer-block", "abandon-blocks:300"]
        agent = self.protected_agent(gateway, "--attack", ",".join(names), count=2)
        wait_for(lambda: len(agent.events("attacks-done")) == 2, 180, what="the attacks to end")
        self.assertIsNone(gateway.process.poll())
        for device in range(2):
            events = [event for event in agent.events("attack") if event["device"] == str(agent.port + device)]
            self.check_outcomes(events)
            accepted = [event["counter"] for event in events if event["outcome"] == "accepted" and "counter" in event]
            self.assertEqual(self.reported(gateway, f"d{device}")["n"], accepted[-1])
        for device in range(2):
            self.ask(gateway, f"d{device}")
        agent.check_nonces()
        self.check_counted(gateway)
        gateway.stop()

    def check_outcomes(self, events):
        def outcomes(name):
            return [event["outcome"] for event in events if event["detail"].startswith(name + ":")]
        for name, honest in HONEST.items():
            self.assertEqual(outcomes(name).count("accepted"), honest, name)
        for name in HOSTILE:
            self.assertTrue(outcomes(name), name)
            self.assertNotIn("accepted", outcomes(name), name)
        self.assertNotIn("accepted", outcomes("oversized-outer-block"))
        self.assertNotIn("failed", [event["outcome"] for event in events])
        self.assertNotIn("unverified", [event["outcome"] for event in events])

    def check_counted(self, gateway):
        metrics = gateway.metrics()
        for reason in ("option", "context", "replay", "decrypt", "inner"):
            self.assertGreater(metrics[f'tcgw_oscore_refused_total{{reason="{reason}"}}'], 0, reason)
        for reason in ("abandoned", "too_large"):
            self.assertGreater(metrics[f'tcgw_coap_refused_total{{reason="{reason}"}}'], 0, reason)
        self.assertGreater(metrics["tcgw_coap_duplicates_total"], 0)
        self.assertLess(metrics["tcgw_coap_transfer_bytes"], 1 << 20)

    def test_end_of_the_sequence_numbers(self):
        """After the last number only a new context helps, which is made."""
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--attack", "last-sequence", "--report", "300ms")
        wait_for(lambda: agent.events("attacks-done"), 30, what="the attack to end")
        self.assertEqual([event["outcome"] for event in agent.events("attack")][0], "accepted")
        self.next_report(agent, 60)
        self.assertTrue(agent.events("context"))
        agent.check_nonces()

    def test_hostile_answers(self):
        """Answers that are not the device's, or not to this request, never count."""
        gateway = self.gateway("coap.ack_timeout=1s", "coap.max_retransmit=1", "coap.answer_timeout=3s", plain=False)
        agent = self.protected_agent(gateway)
        self.ask(gateway)
        for bug in ("flip-answer", "unprotected-answer", "other-answer", "other-token"):
            agent.stop()
            agent.options = [option for option in agent.options if not option.startswith("--bug")] + [f"--bug={bug}=1"]
            agent.start()
            for _ in range(2):  # "other-answer" has none to give at first
                answer = gateway.get("/v1/devices/d0/resources/tc", timeout=60)
                if answer.status == 200:
                    self.assertEqual(answer.headers["Content-Type"], "application/cbor")
            self.ask(gateway)
        agent.stop()
        agent.options[-1] = "--bug=false-hint"
        agent.start()
        self.ask(gateway)  # the true answer comes right behind the false one
        agent.check_nonces()

    def test_hostile_notifications(self):
        """Notifications that come again, or late, do not bring the past back."""
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway)
        artifact = gateway.push_example("counter")
        for bug in ("replay-notification", "reorder-notification"):
            agent.stop()
            agent.options = [option for option in agent.options if not option.startswith("--bug")] + [f"--bug={bug}"]
            agent.start()
            self.assertEqual(gateway.deploy("d0", "job", artifact).status, 200)
            seen = self.watch(gateway, "/v1/devices/d0/resources/tc/c/job")
            for action in ("stop", "start") * 3:
                answer = gateway.post(f"/v1/devices/d0/containers/job/{action}", headers={"Prefer": "wait=10"})
                self.assertEqual(answer.status, 200, answer)
            last = stable(gateway.get("/v1/devices/d0/resources/tc/c/job").body)
            wait_for(lambda seen=seen, last=last: last in seen, what="the last state to arrive")
            time.sleep(0.3)
            self.assertEqual(seen[-1], last)
            starts = [state[0] for state in seen]
            self.assertEqual(starts, sorted(starts))
        agent.check_nonces()

    def watch(self, gateway, path):
        """What an observed container has been; the list grows."""
        connection = gateway.connection()
        connection.request("GET", path, headers={"Accept": "text/event-stream"})
        stream, seen = connection.getresponse(), []
        self.addCleanup(connection.sock.shutdown, harness.socket.SHUT_RDWR)
        self.assertEqual(stream.status, 200)

        def read():
            try:
                for line in stream:
                    if line.startswith(b"data: "):
                        seen.append(stable(base64.b64decode(json.loads(line[6:])["payload_base64"])))
            except (OSError, AttributeError, KeyError):
                pass  # the test is over
        threading.Thread(target=read, daemon=True).start()
        return seen

    # what devices send

    def test_device_moves(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--report", "300ms")
        self.next_report(agent)
        agent.stop()
        agent.port = harness.free_port(harness.socket.SOCK_DGRAM)
        agent.start()
        self.next_report(agent)
        self.assertEqual(gateway.get("/v1/devices/d0").json["address"], agent.address())
        self.ask(gateway)

    def test_another_device_moves_nothing(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--attack", "other-identity,unknown-kid", count=2)
        wait_for(lambda: len(agent.events("attacks-done")) == 2, 30, what="the attacks to end")
        for i in range(2):
            self.assertEqual(gateway.get(f"/v1/devices/d{i}").json["address"], agent.address(i))

    def test_desired_is_observed(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--observe-desired")
        wait_for(lambda: agent.events("observe"), what="the registration")
        for i in range(100):
            answer = gateway.put("/v1/devices/d0/shadow/desired", {"wish": i})
            self.assertIn(answer.status, (200, 201, 204), answer)
        wait_for(lambda: any('"wish": 99' in event.get("detail", "") for event in agent.events("desired")), 10,
                 what="the last wish to arrive")
        wishes = [json.loads(event["detail"])["wish"] for event in agent.events("desired") if event.get("detail")]
        self.assertEqual(wishes, sorted(wishes))  # one may be left out for a newer one
        for i in range(3):  # one at a time: each arrives
            self.assertIn(gateway.put("/v1/devices/d0/shadow/desired", {"slow": i}).status, (200, 201, 204))
            wait_for(lambda i=i: any(f'"slow": {i}' in event.get("detail", "") for event in agent.events("desired")),
                     what="each wish to arrive")
        large = {"large": "x" * 5000}
        self.assertIn(gateway.put("/v1/devices/d0/shadow/desired", large).status, (200, 201, 204))
        wait_for(lambda: any('"large"' in event.get("detail", "") for event in agent.events("desired")),
                 what="a wish of several blocks")
        agent.check_nonces()

    def test_observation_survives_restarts_of_the_gateway(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--observe-desired", "--report", "300ms")
        wait_for(lambda: agent.events("observe"), what="the registration")
        gateway.kill()
        gateway.start()
        self.assertIn(gateway.put("/v1/devices/d0/shadow/desired", {"after": 1}).status, (200, 201, 204))
        wait_for(lambda: any('"after"' in event.get("detail", "") for event in agent.events("desired")), 30,
                 what="the wish to arrive with the new registration")

    def test_large_reports(self):
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--report", "500ms", "--report-size", "5000")
        report = self.next_report(agent)
        kept = gateway.get("/v1/devices/d0/shadow/reported")
        self.assertEqual(len(kept.body), 5000)
        self.assertGreaterEqual(kept.json["counter"], report["counter"])
        agent.check_nonces()

    def test_revoked_device(self):
        """From the next datagram on."""
        gateway = self.gateway(plain=False)
        agent = self.protected_agent(gateway, "--report", "100ms")
        self.next_report(agent)
        answer = gateway.delete("/v1/devices/d0/credentials")
        self.assertIn(answer.status, (200, 204), answer)
        last = self.reports(agent)[-1]["counter"]
        before = gateway.get("/v1/devices/d0/shadow/reported").body
        time.sleep(1.5)
        self.assertEqual(gateway.get("/v1/devices/d0/shadow/reported").body, before)
        self.assertLessEqual(self.reports(agent)[-1]["counter"], last + 1)
        self.assert_problem(gateway.deploy("d0", "job", gateway.push_example("counter")), 403, "credentials-required")

    def test_join(self):
        gateway = self.gateway(plain=False)
        agent = self.agent("--gateway", f"127.0.0.1:{gateway.coap_port}", "--join", "--device-id", "newcomer")
        wait_for(lambda: agent.events("join"), what="the request to join")
        self.assertEqual(agent.events("join")[0]["outcome"], "refused")  # nobody opened the window
        self.assertIn(gateway.put("/v1/join", {"minutes": 5}).status, (200, 201, 204))
        wait_for(lambda: [e for e in agent.events("join") if e["outcome"] == "acknowledged"], 15, what="to be listed")
        listed = gateway.get("/v1/join").json
        self.assertIn("newcomer", json.dumps(listed))
        self.assertEqual(gateway.get("/v1/devices").json["items"], [])


class Capture(harness.GatewayTest):
    """What somebody sees who listens on the way."""

    def setUp(self):
        if not shutil.which("tshark"):
            self.skipTest("tshark is not installed (scripts/test installs it)")
        probe = subprocess.run(["tshark", "-i", "lo", "-c", "1", "-a", "duration:1", "-w", os.devnull],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if probe.returncode != 0:
            self.skipTest("tshark may not capture on the loopback interface: " + probe.stdout.strip()[-200:])

    def capture(self, path, port):
        """Of one port's messages only: other tests may speak plainly on this interface at the same time."""
        process = subprocess.Popen(["tshark", "-q", "-i", "lo", "-f", f"udp port {port}", "-w", path],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, what="the capture to begin")
        return process

    def test_nothing_in_clear(self):
        gateway = self.gateway(plain=False)
        path = os.path.join(gateway.directory, "capture.pcap")
        agent = self.protected_agent(gateway, "--report", "200ms", "--observe-desired")
        process = self.capture(path, gateway.coap_port)
        code = harness.example_bytes("door-watch.wasm")
        answer = gateway.deploy("d0", "secret-uid", gateway.push_example("door-watch"))
        self.assertEqual(answer.status, 200, answer)
        wait_for(lambda: gateway.get("/v1/devices/d0/containers/secret-uid/log").body, what="the container's output")
        self.assertIn(gateway.put("/v1/devices/d0/shadow/desired", {"wish": "secret-wish"}).status, (200, 201, 204))
        wait_for(lambda: any("secret-wish" in e.get("detail", "") for e in agent.events("desired")), what="the wish")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(10)
        with open(path, "rb") as file:
            seen = file.read()
        self.assertGreater(len(seen), len(code))  # it was there
        for word in (b"secret-uid", b"shadow", b"reported", b"desired", b"counter", b"secret-wish", b"padding",
                     b"\x00asm"):
            self.assertNotIn(word, seen)
        for at in range(0, len(code) - 16, 16):
            piece = code[at:at + 16]
            if len(set(piece)) > 4:  # zeros may stand anywhere
                self.assertNotIn(piece, seen)


if __name__ == "__main__":
    harness.main()
