"""Start, stop, reload, and everything that can be wrong at the start."""
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import harness
from harness import wait_for


class Daemon(harness.GatewayTest):
    def refused(self, gateway, status, *words):
        """The daemon ends by itself with this status and says these words."""
        gateway.spawn()
        self.assertEqual(gateway.process.wait(20), status, gateway.log())
        for word in words:
            self.assertIn(word, gateway.log())

    def run_tcgwd(self, *options):
        return subprocess.run([harness.program("tcgwd"), *options], capture_output=True, text=True, timeout=20,
                              check=False)

    def config_file(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False)
        self.addCleanup(os.unlink, file.name)
        with file:
            file.write(text)
        return file.name

    def test_no_configuration_at_all(self):
        directory = tempfile.mkdtemp(prefix="tcgw-home-")
        gateway = harness.Gateway(directory=directory)
        self.addCleanup(gateway.close)
        environment = {"HOME": directory, "PATH": os.environ["PATH"], "STATE_DIRECTORY": directory + "/s",
                       "RUNTIME_DIRECTORY": directory}
        # The port of the default may be taken on this machine, so it alone is set.
        gateway.process = subprocess.Popen([harness.program("tcgwd"), "-o", f"http.listen=127.0.0.1:{gateway.port}"],
                                           env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        gateway.socket = directory + "/tcgw.sock"
        wait_for(gateway.is_up, what="tcgwd without configuration")
        self.assertTrue(os.path.exists(directory + "/s/tcgw.db"))
        self.assertEqual(gateway.get("/v1/info", tcp=True).status, 401)
        self.assertEqual(gateway.get("/healthz", tcp=True).status, 200)
        self.assertEqual(os.stat(directory + "/s/gateway-key.pem").st_mode & 0o777, 0o600)
        gateway.stop()

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.refused(self.gateway(f"http.listen=127.0.0.1:{port}", start=False), 69, str(port), "in use")

    def test_socket_in_use(self):
        first = self.gateway()
        second = self.gateway(f"http.socket={first.socket}", start=False)
        self.refused(second, 69, first.socket, "another daemon")
        self.assertEqual(first.get("/healthz").status, 200)

    def test_stale_socket_is_replaced(self):
        gateway = self.gateway()
        gateway.kill()
        self.assertTrue(os.path.exists(gateway.socket))
        gateway.start()
        self.assertEqual(gateway.get("/healthz").status, 200)

    def test_state_directory_that_cannot_be_used(self):
        gateway = self.gateway(start=False)
        with open(gateway.state, "w", encoding="utf-8"):
            pass
        self.refused(gateway, 73, gateway.state)
        gateway = self.gateway("gateway.state_directory=/proc/tcgw", start=False)
        self.refused(gateway, 73, "/proc/tcgw")

    def test_second_daemon_on_one_state_directory(self):
        first = self.gateway()
        second = self.gateway(f"gateway.state_directory={first.state}", start=False)
        self.refused(second, 73, first.state)

    def test_database_of_a_newer_version(self):
        gateway = self.gateway()
        gateway.stop()
        with sqlite3.connect(gateway.state + "/tcgw.db") as database:
            database.execute("PRAGMA user_version = 9999")
        database.close()
        self.refused(gateway, 65, "9999")

    def test_corrupt_database(self):
        gateway = self.gateway()
        gateway.stop()
        with open(gateway.state + "/tcgw.db", "r+b") as file:
            file.seek(0)
            file.write(b"this is no database at all" * 400)
        self.refused(gateway, 65, "tcgw.db")

    def test_bad_configurations_name_file_and_line(self):
        for text, line, word in (("[gateway]\ncolour = red\n", 2, "colour"), ("[nowhere]\nkey = 1\n", 1, "nowhere"),
                                 ("[limits]\ndevices = many\n", 2, "devices"),
                                 ("[limits]\n\ndevices = -5\n", 3, "devices"),
                                 ("[log]\nlevel = loud\n", 2, "level"), ("[http]\nlisten = somewhere\n", 2, "listen"),
                                 ("garbage\n", 1, "")):
            with self.subTest(text):
                path = self.config_file(text)
                for options in (("--check-config",), ()):
                    done = self.run_tcgwd("-c", path, *options)
                    self.assertEqual(done.returncode, 78, done.stderr)
                    self.assertIn(f"{path}:{line}", done.stderr)
                    self.assertIn(word, done.stderr)
        self.assertEqual(self.run_tcgwd("-c", "/nonexistent/file", "--check-config").returncode, 78)
        self.assertEqual(self.run_tcgwd("-o", "nothing", "--check-config").returncode, 78)

    def test_check_and_print_config(self):
        good = self.config_file("[limits]\ndevices = 77\n")
        self.assertEqual(self.run_tcgwd("-c", good, "--check-config").returncode, 0)
        printed = self.run_tcgwd("-c", good, "--print-config")
        self.assertIn("devices = 77", printed.stdout)
        again = self.run_tcgwd("-c", self.config_file(printed.stdout), "--print-config")
        self.assertEqual(printed.stdout, again.stdout, again.stderr)

    def test_command_line(self):
        self.assertEqual(self.run_tcgwd("--nonsense").returncode, 64)
        self.assertEqual(self.run_tcgwd("extra").returncode, 64)
        self.assertIn("tcgwd", self.run_tcgwd("--version").stdout)
        help_text = self.run_tcgwd("--help").stdout
        with open(os.path.join(harness.SOURCE, "man/tcgwd.8"), encoding="utf-8") as file:
            manual = file.read().replace("\\-", "-")
        for word in help_text.split():
            if word.startswith("--"):
                self.assertIn(word, manual)

    def test_reload(self):
        path = self.config_file("[limits]\ndevices = 1\n")
        gateway = self.gateway(config=path)
        agent = self.agent()
        gateway.add_device("one", agent)
        body = {"id": "two", "address": agent.address()}
        self.assert_problem(gateway.post("/v1/devices", body), 507, "limit-reached")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[limits]\ndevices = none\n")
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: f"{path}:2" in gateway.log(), what="the complaint about line 2")
        self.assertEqual(gateway.post("/v1/devices", body).status, 507)
        with open(path, "w", encoding="utf-8") as file:
            file.write("[limits]\ndevices = 2\n[coap]\nmax_sessions = 32\n")
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "configuration reloaded" in gateway.log(), what="the reload")
        self.assertEqual(gateway.post("/v1/devices", body).status, 201)

    def test_stops_within_a_second_whatever_waits(self):
        gateway = self.gateway()
        agent = self.agent("--bug", "silent")
        gateway.add_device("box", agent, agent="v1")
        artifact = gateway.push_example("counter")
        operation = gateway.deploy("box", "job", artifact, wait=0).json["id"]
        waiting = gateway.connection(tcp=True)
        waiting.request("GET", f"/v1/operations/{operation}", headers={"Prefer": "wait=30"})
        idle = socket.create_connection(("127.0.0.1", gateway.port))
        time.sleep(0.3)
        limit = 1.0 if not os.environ.get("TCGW_SLOW") else 5.0
        self.assertLess(gateway.stop(), limit)
        self.assertIn(waiting.getresponse().status, (200, 202, 503))
        waiting.close()
        idle.close()
        gateway.start()
        self.assertIn(gateway.get(f"/v1/operations/{operation}").json["state"], ("queued", "running"))

    def test_systemd_protocol(self):
        directory = tempfile.mkdtemp(prefix="tcgw-notify-")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(directory + "/notify")
        notify.settimeout(20)

        def expect(word):
            seen = []
            while not any(word in text for text in seen):
                seen.append(notify.recv(4096).decode())
            return seen[-1]

        gateway = self.gateway(env={"NOTIFY_SOCKET": directory + "/notify", "WATCHDOG_USEC": "400000"})
        expect("READY=1")
        expect("WATCHDOG=1")
        gateway.process.send_signal(signal.SIGHUP)
        self.assertIn("MONOTONIC_USEC=", expect("RELOADING=1"))
        expect("READY=1")
        gateway.process.terminate()
        expect("STOPPING=1")
        self.assertEqual(gateway.process.wait(10), 0)

    def test_json_log(self):
        gateway = self.gateway("log.format=json")
        gateway.stop()
        import json
        lines = [json.loads(line) for line in gateway.log().splitlines()]
        self.assertTrue(any(line["message"] == "tcgwd is ready" for line in lines))

    def test_full_disk(self):
        gateway = self.gateway(wrapper=["prlimit", "--fsize=400000:"])
        agent = self.agent()
        added, status = 0, None
        for _ in range(400):
            answer = gateway.post("/v1/devices", {"id": f"d{added}", "name": "n" * 100, "address": agent.address()})
            if answer.status == 201:
                added += 1
                continue
            self.assertIn(answer.slug, ("storage-full", "storage-failed"), answer)
            self.assertEqual(gateway.get(f"/v1/devices/d{added}").status, 404)
            status = subprocess.run([harness.program("tcgw"), "--socket", gateway.socket, "status"],
                                    capture_output=True, text=True, timeout=20, check=False)
            # A smaller change, such as what the agent answered to a probe, may still find room.
            if status.returncode == 9 and gateway.get("/healthz").status == 503:
                break
        self.assertIsNotNone(status, "the limit on file sizes did not bite")
        self.assertEqual(status.returncode, 9, status)
        self.assertEqual(gateway.get("/v1/devices/d0").status, 200)
        self.assertIn("storage-f", gateway.log())
        self.assertIn("failing", status.stdout)
        self.assertIn("not well", status.stderr)
        subprocess.run(["prlimit", f"--pid={gateway.process.pid}", "--fsize=unlimited:"], check=True)
        answer = gateway.post("/v1/devices", {"id": f"d{added}", "address": agent.address()})
        self.assertEqual(answer.status, 201)
        wait_for(gateway.is_up, what="the health to recover")
        self.assertEqual(gateway.log().count("changes cannot be stored"), gateway.log().count("changes are stored again"))
        gateway.kill()
        gateway.wrapper = []
        gateway.start()
        self.assertEqual(len(gateway.get("/v1/devices?limit=1000").json["items"]), added + 1)
        self.assertEqual(gateway.check_database(), "ok")

    def test_under_valgrind(self):
        gateway = self.start_under_valgrind(self.gateway(start=False))
        agent = self.agent()
        gateway.add_device("box", agent)
        self.assertEqual(gateway.deploy("box", "job", gateway.push_example("counter"), wait=60).status, 200)
        self.assert_running(gateway, "box", "job")
        gateway.stop(timeout=30)


if __name__ == "__main__":
    harness.main()
