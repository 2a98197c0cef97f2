"""HTTPS: what it speaks, whom it trusts, and certificates that change and end while it runs."""
import json
import hashlib
import http.client
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

from authority import Authority
from harness import GatewayTest, free_port, main, program, wait_for

if not shutil.which("openssl"):
    print("skipped: this needs openssl")
    sys.exit(77)


class HttpsTest(GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="tcgw-https-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.authority = Authority(cls.directory)
        cls.server = cls.authority.issue("localhost")

    def serve(self, *settings, pair=None, start=True, **more):
        """A gateway with HTTPS; the pair is copied, so that a test may change it."""
        port = free_port()
        gateway = self.gateway(f"http.tls_listen=127.0.0.1:{port}", start=False, **more)
        gateway.tls_port = port
        if pair is not False:
            os.makedirs(gateway.directory, exist_ok=True)
            gateway.pair = [os.path.join(gateway.directory, name) for name in ("server.pem", "server.key")]
            self.install(gateway, pair or self.server)
            gateway.settings += [f"http.tls_certificate={gateway.pair[0]}", f"http.tls_key={gateway.pair[1]}"]
        gateway.settings += settings
        return gateway.start() if start else gateway

    @staticmethod
    def install(gateway, pair):
        """As certbot does: other files take their places."""
        for source, to in zip(pair, gateway.pair):
            shutil.copy(source, to + ".new")
            os.replace(to + ".new", to)

    def context(self, certificate=None, authority=None):
        context = ssl.create_default_context(cafile=(authority or self.authority).certificate)
        if certificate:
            context.load_cert_chain(*certificate)
        return context

    def connect(self, gateway, context=None, timeout=30):
        connection = http.client.HTTPSConnection("localhost", gateway.tls_port, timeout=timeout,
                                                 context=context or self.context())
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection, path="/healthz", method="GET", body=None, headers=None):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()

    def assert_refused(self, gateway, context):
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            self.ask(self.connect(gateway, context))

    def serial(self, gateway):
        connection = self.connect(gateway)
        connection.connect()
        return connection.sock.getpeercert()["serialNumber"]

    def test_only_modern_tls(self):
        gateway = self.serve()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context()
            context.minimum_version = context.maximum_version = version
            connection = self.connect(gateway, context)
            self.assertEqual(self.ask(connection), (200, b'{"status":"ok"}'))
            self.assertEqual(connection.sock.selected_alpn_protocol(), None)
        for version, ciphers in (("TLSv1", "ALL:@SECLEVEL=0"), ("TLSv1_1", "ALL:@SECLEVEL=0"),
                                 ("TLSv1_2", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"),
                                 ("TLSv1_2", "AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:NULL:@SECLEVEL=0")):
            context = self.context()
            context.set_ciphers(ciphers)
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = getattr(ssl.TLSVersion, version)
            self.assert_refused(gateway, context)
        self.assertGreaterEqual(gateway.metrics()['tcgw_http_connections_dropped_total{reason="handshake"}'], 4)

    def test_everything_of_rest_goes_through_it(self):
        gateway = self.serve("http.max_json=4K")
        agent = self.agent()
        connection = self.connect(gateway)
        body = json.dumps({"id": "box", "address": agent.address()})
        status, _ = self.ask(connection, "/v1/devices", "POST", body, {"Content-Type": "application/json"})
        self.assertEqual(status, 201)
        status, text = self.ask(connection, "/openapi.json")  # larger than a record
        self.assertEqual(status, 200)
        self.assertGreater(len(text), 1 << 15)
        json.loads(text)
        status, _ = self.ask(connection, "/v1/devices/box/probe", "POST", headers={"Prefer": "wait=20"})  # suspended
        self.assertLess(status, 300)
        stream = self.connect(gateway)
        stream.request("GET", "/v1/events", headers={"Accept": "text/event-stream"})
        events = stream.getresponse()
        self.ask(connection, "/v1/devices/box", "DELETE")
        while b'"removed"' not in events.readline():
            pass
        # A name other than an address is good here: the certificate says who this is.
        self.assertEqual(self.ask(connection, headers={"Host": "gateway.example"})[0], 200)
        self.assertEqual(self.ask(connection, "/v1/devices", "POST", "[" * 10000, {"Content-Type": "application/json"})[0],
                         413)
        gateway.stop()

    def test_a_body_without_end_is_answered_and_cut(self):
        gateway = self.serve("http.max_json=4K")
        with self.context().wrap_socket(socket.create_connection(("127.0.0.1", gateway.tls_port), 20),
                                        server_hostname="localhost") as connection:
            connection.sendall(b"POST /v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n")
            answer = b""
            try:
                for _ in range(100):
                    connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                self.fail("it took more than 6 MB")
            except OSError:
                pass
            try:
                while part := connection.recv(4096):
                    answer += part
            except OSError:
                pass
        self.assertIn(answer[:12], (b"", b"HTTP/1.1 413"))  # a reset may overtake the answer
        self.assertEqual(self.ask(self.connect(gateway))[0], 200)

    def test_the_own_authority_is_good_enough_to_begin_with(self):
        gateway = self.serve(pair=False)
        context = ssl.create_default_context(cafile=os.path.join(gateway.state, "ca", "ca.pem"))
        context.hostname_checks_common_name = True
        context.check_hostname = False
        connection = self.connect(gateway, context)
        self.assertEqual(self.ask(connection)[0], 200)
        self.assertEqual(dict(pair[0] for pair in connection.sock.getpeercert()["subject"])["commonName"], "tcgw-gateway")

    def test_certificates_of_clients(self):
        other = Authority(os.path.join(self.directory, "other"), "Another CA")
        good = self.authority.issue("ops.example", "clientAuth")
        gateway = self.serve(f"http.tls_client_ca={self.authority.certificate}")
        self.assertEqual(self.ask(self.connect(gateway))[0], 200)
        self.assertEqual(self.ask(self.connect(gateway, self.context(good)))[0], 200)
        bad = {"another authority's": other.issue("ops.example", "clientAuth"),
               "a server's": self.server,
               "an old one": self.authority.issue("old.example", "clientAuth", seconds=-3600, since=-7200),
               "one of the future": self.authority.issue("new.example", "clientAuth", since=7200)}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for what, pair in bad.items():
                with self.subTest(what, version=version):
                    context = self.context(pair)
                    context.maximum_version = version
                    self.assert_refused(gateway, context)
        gateway.stop()
        gateway.settings.append("http.tls_require_client=yes")
        gateway.start()
        self.assert_refused(gateway, self.context())
        self.assertEqual(self.ask(self.connect(gateway, self.context(good)))[0], 200)

    def test_the_command_line_over_https(self):
        gateway = self.serve(f"http.tls_client_ca={self.authority.certificate}", "http.tls_require_client=yes",
                             "auth.anonymous=none")
        gateway.put("/v1/grants/cli", {"certificate": "cli.example", "role": "viewer"})
        certificate, key = self.authority.issue("cli.example", "clientAuth")

        def tcgw(**environment):
            return subprocess.run([program("tcgw"), "--url", f"https://localhost:{gateway.tls_port}", "device", "list"],
                                  env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False)
        done = tcgw(TCGW_CA=self.authority.certificate, TCGW_CERTIFICATE=certificate, TCGW_KEY=key)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(tcgw(TCGW_CA=self.authority.certificate).returncode, 0)
        done = tcgw(TCGW_CERTIFICATE=certificate, TCGW_KEY=key)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("certificate", done.stderr)

    def who(self, connection, **headers):
        status, text = self.ask(connection, "/v1/whoami", headers=headers)
        return json.loads(text)["name"] if status == 200 else status

    def test_who_a_certificate_is(self):
        gateway = self.serve(f"http.tls_client_ca={self.authority.certificate}", "auth.anonymous=none")
        ops = self.authority.issue("ops.example", "clientAuth")
        grant = gateway.put("/v1/grants/ops", {"certificate": "ops.example", "role": "viewer"})
        self.assertIn(grant.status, (200, 201), grant)
        connection = self.connect(gateway, self.context(ops))
        self.assertEqual(self.who(connection), "certificate:ops.example")
        self.assertEqual(self.ask(connection, "/v1/devices")[0], 200)
        self.assertEqual(self.ask(connection, "/v1/devices/box", "DELETE")[0], 403)
        self.assertEqual(self.ask(self.connect(gateway), "/v1/devices")[0], 401)  # no certificate
        stranger = self.connect(gateway, self.context(self.authority.issue("stranger.example", "clientAuth")))
        self.assertIn(self.ask(stranger, "/v1/devices")[0], (401, 403))

        # A name that may be read in two ways is none.
        for subject in ("/CN=stranger.example/CN=ops.example", "/CN=ops.example/CN=stranger.example", "/CN=ops.example\\x00.bad",
                        "/CN=ops.example\\x0a", "/O=ops.example/CN=x", "/CN=OPS.EXAMPLE"):
            with self.subTest(subject):
                pair = self.authority.issue("odd.example", "clientAuth", subject=subject, to="odd")
                self.assertIn(self.ask(self.connect(gateway, self.context(pair)), "/v1/devices")[0], (401, 403))

        # The audit trail has whoever acts: without a name, and with one that is longer than the caller's.
        long = "x" + "\u00e4" * 29
        for subject, name in (("/CN=a/CN=b", None), (f"/CN={long}", long)):
            pair = self.authority.issue("odd.example", "clientAuth", subject=subject, to="odd")
            with open(pair[0], encoding="ascii") as file:
                fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
            self.assertIn(gateway.put("/v1/grants/odd", {"fingerprint": fingerprint, "role": "owner"}).status, (200, 201))
            there = self.connect(gateway, self.context(pair))
            who = self.who(there)
            self.assertTrue(who.startswith(f"certificate:{'x' if name else fingerprint}"), who)
            self.assertEqual(self.ask(there, "/v1/grants/none", "DELETE")[0], 404)
            self.assertEqual(self.ask(there, "/v1/grants/odd", "DELETE")[0], 204)
            said = [(e["who"], e["event"]) for e in gateway.get("/v1/audit?limit=1000").json["items"] if e["who"] == who]
            self.assertEqual(said, [(who, "refused"), (who, "done")])

        # A certificate that ends while its connection is open.
        short = self.connect(gateway, self.context(self.authority.issue("ops.example", "clientAuth", seconds=4, to="brief")))
        self.assertEqual(self.ask(short, "/v1/devices")[0], 200)
        own = short.sock
        wait_for(lambda: self.ask(short, "/v1/devices")[0] == 401, 20, 0.3, "the certificate to count no longer")
        self.assertIs(short.sock, own)
        self.assertEqual(self.ask(short)[0], 200)  # what everybody may ask

    def test_new_files_are_taken_without_dropping_anything(self):
        gateway = self.serve()
        before = self.serial(gateway)
        old = self.connect(gateway)
        self.assertEqual(self.ask(old)[0], 200)
        own = old.sock
        stream = self.connect(gateway)
        stream.request("GET", "/v1/events?kind=gateway", headers={"Accept": "text/event-stream"})
        events = stream.getresponse()
        self.install(gateway, self.authority.issue("localhost", to="second"))
        wait_for(lambda: self.serial(gateway) != before, 20, 0.2, "the new certificate to be shown")
        line = events.readline()
        while b"certificate_loaded" not in line:
            line = events.readline()
        self.assertEqual(self.ask(old)[0], 200)
        self.assertIs(old.sock, own, "the connection was opened anew")

        # What cannot be used changes nothing, whether it is noticed or a reload asks for it.
        shown = self.serial(gateway)
        with open(gateway.pair[0], "w", encoding="utf-8") as file:
            file.write("-----BEGIN CERTIFICATE-----\nnothing\n")
        wait_for(lambda: "was not reloaded" in gateway.log(), 20, what="the bad file to be noticed")
        self.assertEqual(self.serial(gateway), shown)
        os.unlink(gateway.pair[1])
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "configuration reloaded" in gateway.log(), what="the reload")
        self.assertEqual(self.serial(gateway), shown)
        self.install(gateway, self.authority.issue("localhost", to="third"))
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.serial(gateway) != shown, 20, what="the third certificate")
        self.assertEqual(self.ask(old)[0], 200)
        gateway.stop()

    def test_a_certificate_that_ends_while_it_is_shown(self):
        gateway = self.serve()
        self.install(gateway, self.authority.issue("localhost", seconds=6, to="short"))
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "ends within a day" in gateway.log(), what="the reload")
        connection = self.connect(gateway)
        self.assertEqual(self.ask(connection)[0], 200)
        metric = "tcgw_https_certificate_seconds"
        self.assertGreaterEqual(6, gateway.metrics()[metric])
        wait_for(lambda: "has ended" in gateway.log(), 40, what="the end of the certificate to be told")
        self.assertLessEqual(gateway.metrics()[metric], 0)

        def told():  # the log is ahead of the journal
            events = gateway.get("/v1/events?kind=gateway").json["items"]
            return [event["expired"] for event in events if event["event"] == "certificate_expires"][-2:]

        wait_for(lambda: told() == [False, True], what="the events")
        self.assertEqual(self.ask(connection)[0], 200)  # who was there stays
        self.assert_refused(gateway, self.context())  # by the client
        self.install(gateway, self.server)
        wait_for(lambda: gateway.metrics()[metric] > 0, 20, what="the new certificate")
        self.assertEqual(self.ask(self.connect(gateway))[0], 200)

    def test_files_that_cannot_be_used_prevent_the_start(self):
        other = self.authority.issue("other.example")
        public = os.path.join(self.directory, "public.key")
        shutil.copy(self.server[1], public)
        os.chmod(public, 0o644)
        garbage = os.path.join(self.directory, "garbage.key")
        with open(garbage, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("-----BEGIN PRIVATE KEY-----\nnothing\n")
        for pair, ca, word in (((self.server[0], "/nonexistent.key"), None, "/nonexistent.key: No such file"),
                               ((self.server[0], other[1]), None, "is of another certificate"),
                               ((self.server[0], public), None, "everybody may read this key"),
                               ((self.server[0], garbage), None, "cannot be used"),
                               ((self.server[1], self.server[1]), None, "no certificate in this file"),
                               (self.server, self.server[1], "no certificate in this file")):
            with self.subTest(word):
                gateway = self.serve(f"http.tls_certificate={pair[0]}", f"http.tls_key={pair[1]}",
                                     *([f"http.tls_client_ca={ca}"] if ca else []), start=False)
                gateway.spawn()
                self.assertEqual(gateway.process.wait(20), 78, gateway.log())
                self.assertIn(word, gateway.log())

    def test_no_renegotiation(self):
        gateway = self.serve()
        with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", "-tls1_2"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              bufsize=1) as client:
            self.addCleanup(client.kill)
            for line in client.stdout:
                if "Verify return code" in line:
                    break
            client.stdin.write("R\n")
            output = client.stdout.read()  # it ends, without a second handshake
            client.wait(20)
        self.assertIn("RENEGOTIATING", output)
        self.assertNotIn("verify return", output)
        self.assertEqual(self.ask(self.connect(gateway))[0], 200)

    def test_handshakes_of_one_address_are_bounded(self):
        gateway = self.serve("http.tls_rate=5")
        held = [socket.create_connection(("127.0.0.1", gateway.tls_port), 20) for _ in range(200)]
        for connection in held:
            self.addCleanup(connection.close)
        dropped = 'tcgw_http_connections_dropped_total{reason="rate"}'
        wait_for(lambda: gateway.metrics()[dropped] >= 100, what="connections to be refused")
        self.assertEqual(gateway.get("/healthz", tcp=True).status, 200)

        def served():
            try:
                return self.ask(self.connect(gateway))[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        wait_for(served, 20, 0.3, "the next second")

    def test_garbage_instead_of_tls(self):
        gateway = self.serve("http.connection_timeout=1s", "http.tls_rate=1000")
        source = random.Random(6)
        hello = self.hello()
        broken = [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x80\x2e\x01",
                  source.randbytes(4096), hello[:40], hello + source.randbytes(500)]
        broken += [hello[:i] + bytes([hello[i] ^ 0xff]) + hello[i + 1:] for i in range(0, len(hello), 9)]
        held = []
        for data in broken:
            connection = socket.create_connection(("127.0.0.1", gateway.tls_port), 20)
            self.addCleanup(connection.close)
            try:
                connection.sendall(data)
            except OSError:
                pass
            held.append(connection)
        self.assertEqual(self.ask(self.connect(gateway))[0], 200)
        for connection in held:  # those that might still become something end by time
            try:
                while connection.recv(4096):
                    pass
            except ConnectionError:
                pass
        gateway.stop()

    @staticmethod
    def hello():
        """What a client says first."""
        context = ssl.create_default_context()
        outgoing = ssl.MemoryBIO()
        try:
            context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()


class ListenTest(GatewayTest):
    def test_other_machines_need_tls_or_a_decision(self):
        gateway = self.gateway("http.listen=0.0.0.0:0", start=False).spawn()
        self.assertEqual(gateway.process.wait(20), 78)
        self.assertIn("use http.tls_listen, or set http.allow_remote", gateway.log())
        gateway = self.gateway("http.listen=0.0.0.0:0", "http.allow_remote=yes")
        self.assertIn("tokens can be read on the way", gateway.log())

    def passed(self, gateway, *sockets, names):
        """Has a gateway started with these sockets as systemd does it."""
        launcher = ("import os,sys\n"
                    f"fds = {[s.fileno() for s in sockets]}\n"
                    "kept = [os.dup(fd) for fd in fds]\n"
                    "for i, fd in enumerate(kept): os.dup2(fd, 3 + i)\n"
                    f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='{len(sockets)}', "
                    f"LISTEN_FDNAMES='{names}')\n"
                    "os.execv(sys.argv[1], sys.argv[1:])\n")
        with open(gateway.log_path, "ab") as log:
            gateway.process = subprocess.Popen([sys.executable, "-c", launcher, *gateway.command()], stdout=log, stderr=log,
                                               stdin=subprocess.DEVNULL, pass_fds=[s.fileno() for s in sockets])
        return gateway

    def test_sockets_of_systemd(self):
        gateway = self.gateway(start=False)
        local, https = socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 0))
        devices = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        for each in (local, https, devices):
            self.addCleanup(each.close)
        path = os.path.join(gateway.directory, "passed.sock")
        local.bind(path)
        local.listen(16)
        devices.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        devices.bind(("::", 0))
        gateway.settings.append(f"http.socket={path}")
        gateway.socket = path
        gateway.coap_port = devices.getsockname()[1]
        self.passed(gateway, local, https, devices, names="http:https:coap")
        wait_for(gateway.is_up, 30, what="the gateway to serve")
        self.assertEqual(gateway.get("/healthz", tcp=True).status, 200)  # http.listen is still the configuration's
        context = ssl.create_default_context(cafile=os.path.join(gateway.state, "ca", "ca.pem"))
        context.check_hostname = False
        connection = http.client.HTTPSConnection(*https.getsockname(), timeout=30, context=context)
        connection.request("GET", "/healthz")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        agent = self.protected_agent(gateway, kind="v2")
        artifact = gateway.push_example("door-watch")
        self.assertLess(gateway.deploy("d0", "watch", artifact).status, 300)
        self.assert_running(gateway, "d0", "watch")
        agent.stop()
        gateway.stop()
        self.assertTrue(os.path.exists(path), "a socket of systemd's was removed")

    def test_an_exposed_socket_of_systemd_is_refused(self):
        gateway = self.gateway(start=False)
        exposed = socket.create_server(("0.0.0.0", 0))
        self.addCleanup(exposed.close)
        self.passed(gateway, exposed, names="http")
        self.assertEqual(gateway.process.wait(20), 78, gateway.log())
        self.assertIn("FileDescriptorName", gateway.log())


if __name__ == "__main__":
    main()
