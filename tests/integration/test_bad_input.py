"""Every bad input that a user can send over REST, with the error that tells what to change."""
import http.client
import json
import socket
import subprocess
import tempfile
import time

import harness

PATCH = {"Content-Type": "application/merge-patch+json"}
UNKNOWN_ARTIFACT = "ab" * 32


class BadInput(harness.GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Gateway("limits.artifact_size=64K", "http.max_json=8K").start()
        cls.device = harness.Agent().start()
        cls.daemon.add_device("box", cls.device)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()
        cls.daemon.close()
        cls.device.close()

    def test_unknown_resources(self):
        for method, path in (("GET", "/v1/devices/none"), ("DELETE", "/v1/devices/none"),
                             ("GET", "/v1/devices/none/containers"), ("GET", "/v1/devices/none/containers/job"),
                             ("GET", "/v1/devices/box/containers/none"), ("DELETE", "/v1/devices/box/containers/none"),
                             ("POST", "/v1/devices/box/containers/none/start"),
                             ("POST", "/v1/devices/none/probe"), ("GET", f"/v1/artifacts/{UNKNOWN_ARTIFACT}"),
                             ("DELETE", f"/v1/artifacts/{UNKNOWN_ARTIFACT}"),
                             ("GET", "/v1/operations/01890a5d-ac96-774b-bcce-b302099a8057"),
                             ("POST", "/v1/operations/01890a5d-ac96-774b-bcce-b302099a8057/cancel"),
                             ("GET", "/nowhere"), ("GET", "/v1"), ("GET", "/v1/devices/box/nothing")):
            with self.subTest(f"{method} {path}"):
                self.assert_problem(self.daemon.request(method, path), 404, "not-found")

    def test_unknown_artifact_in_a_container(self):
        answer = self.daemon.put("/v1/devices/box/containers/job", {"artifact": UNKNOWN_ARTIFACT})
        self.assert_problem(answer, 404, "not-found", UNKNOWN_ARTIFACT[:12])

    def test_malformed_json(self):
        for body in ("", "{", "[1,2", '{"id": }', "nonsense", '{"id": "a"} x', '{"id": "\ud800"}'.encode("utf-8", "surrogatepass"),
                     '{"id": "a", "id": "b"}', "[" * 5000):
            with self.subTest(str(body)[:20]):
                answer = self.daemon.post("/v1/devices", body, headers={"Content-Type": "application/json"})
                self.assert_problem(answer, 400, "malformed-json")

    def test_wrong_types_and_unknown_fields_name_the_place(self):
        good = {"id": "new", "address": "coap://127.0.0.1:9"}
        for change, slug, pointer in (({"id": 7}, "invalid-field", "/id"),
                                      ({"address": 7}, "invalid-field", "/address"),
                                      ({"address": "no address"}, "invalid-field", "/address"),
                                      ({"address": "coap://127.0.0.1:99999"}, "invalid-field", "/address"),
                                      ({"address": "http://127.0.0.1"}, "invalid-field", "/address"),
                                      ({"agent": "v9"}, "invalid-field", "/agent"),
                                      ({"name": "x" * 1000}, "invalid-field", "/name"),
                                      ({"capabilities": []}, "invalid-field", "/capabilities"),
                                      ({"capabilities": {"pdu_size": "big"}}, "invalid-field", "/capabilities/pdu_size"),
                                      ({"capabilities": {"pdu_size": -1}}, "invalid-field", "/capabilities/pdu_size"),
                                      ({"capabilities": {"pdu_size": 1e30}}, "invalid-field", "/capabilities/pdu_size"),
                                      ({"capabilities": {"runtimes": ["cobol"]}}, "invalid-field",
                                       "/capabilities/runtimes/0"),
                                      ({"capabilities": {"colour": 1}}, "unknown-field", "/capabilities/colour"),
                                      ({"colour": "red"}, "unknown-field", "/colour"),
                                      ({"a/b~c": 1}, "unknown-field", "/a~1b~0c")):
            with self.subTest(str(change)):
                answer = self.daemon.post("/v1/devices", {**good, **change})
                self.assert_problem(answer, 400, slug)
                self.assertEqual(answer.json["pointer"], pointer)
        self.assert_problem(self.daemon.post("/v1/devices", {"id": "new"}), 400, "invalid-field")
        self.assert_problem(self.daemon.post("/v1/devices", [good]), 400, "invalid-field")
        self.assert_problem(self.daemon.get("/v1/devices/new"), 404, "not-found")

    def test_container_bodies(self):
        for body, pointer in (({}, "/artifact"), ({"artifact": 1}, "/artifact"), ({"artifact": "short"}, "/artifact"),
                              ({"artifact": UNKNOWN_ARTIFACT, "state": "flying"}, "/state"),
                              ({"artifact": UNKNOWN_ARTIFACT, "state": 1}, "/state"),
                              ({"artifact": UNKNOWN_ARTIFACT, "more": 1}, "/more")):
            with self.subTest(str(body)):
                answer = self.daemon.put("/v1/devices/box/containers/job", body)
                self.assertEqual(answer.status, 400, answer)
                self.assertEqual(answer.json["pointer"], pointer)

    def test_bad_ids(self):
        for identifier in ("a" * 64, "..", "a b", "a/b", "é", "a\u0000b", "a?b", ""):
            with self.subTest(identifier):
                answer = self.daemon.post("/v1/devices", {"id": identifier, "address": "coap://127.0.0.1:9"})
                self.assertEqual(answer.status, 400, answer)
        for path in ("/v1/devices/" + "a" * 64, "/v1/devices/a%20b", "/v1/devices/a%2Fb", "/v1/devices/%00",
                     "/v1/devices/box/containers/" + "u" * 64, "/v1/devices/box/containers/a%2Fb",
                     "/v1/devices/%zz"):
            with self.subTest(path):
                self.assertEqual(self.daemon.get(path).status, 400)
        self.assert_problem(self.daemon.get("/v1/artifacts/xyz"), 400, "invalid-id")
        self.assert_problem(self.daemon.get("/v1/operations/xyz"), 400, "invalid-id")

    def test_json_body_over_the_limit(self):
        body = json.dumps({"id": "new", "name": "x" * 9000, "address": "coap://127.0.0.1:9"})
        answer = self.daemon.post("/v1/devices", body, headers={"Content-Type": "application/json"})
        self.assert_problem(answer, 413, "body-too-large")

    def test_announced_upload_over_the_limit_is_refused_without_reading_it(self):
        connection = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(b"POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/wasm\r\n"
                           b"Content-Length: 1000000000\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        self.assertEqual(response.status, 413)

    def test_chunked_upload_over_the_limit(self):
        connection = self.daemon.connection(tcp=True)
        self.addCleanup(connection.close)
        try:
            connection.request("POST", "/v1/artifacts", iter([b"\0asm\1\0\0\0" + bytes(4096)] * 64),
                               {"Content-Type": "application/wasm"}, encode_chunked=True)
            self.assertEqual(connection.getresponse().status, 413)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the daemon may also hang up on what goes on and on
        self.assertEqual(self.daemon.get("/healthz").status, 200)

    def test_wrong_content_type(self):
        for method, path, kind in (("POST", "/v1/devices", "text/plain"), ("POST", "/v1/devices", "application/xml"),
                                   ("PUT", "/v1/devices/box/containers/job", "text/plain"),
                                   ("POST", "/v1/artifacts", "text/html")):
            with self.subTest(f"{method} {path} {kind}"):
                answer = self.daemon.request(method, path, "{}", headers={"Content-Type": kind})
                self.assert_problem(answer, 415, "unsupported-media-type")

    def test_wrong_method_tells_the_right_ones(self):
        for method, path, allowed in (("PUT", "/v1/devices", {"GET", "POST"}), ("POST", "/v1/devices/box", {"GET", "PATCH", "DELETE"}),
                                      ("DELETE", "/healthz", {"GET"}), ("GET", "/v1/devices/box/probe", {"POST"}),
                                      ("PATCH", "/v1/artifacts", {"GET", "POST"})):
            with self.subTest(f"{method} {path}"):
                answer = self.daemon.request(method, path)
                self.assert_problem(answer, 405, "method-not-allowed")
                self.assertLessEqual(allowed, {word.strip() for word in answer.headers["Allow"].split(",")})

    def test_code_that_no_device_could_run(self):
        truncated = harness.example_bytes("door-watch.wasm")[:-20]
        bad_rbpf = bytearray(harness.example_bytes("counter.rbpf"))
        bad_rbpf[4] = 9  # version
        no_exit = bytes.fromhex("72425046" + "00000000" * 4 + "08000000" + "00000000" + "b70000002a000000")
        for kind, code, slug in (("wasm", b"not wasm at all", "invalid-wasm"), ("wasm", truncated, "invalid-wasm"),
                                 ("wasm", b"\0asm\1\0\0\0", "invalid-wasm"),
                                 ("wasm", harness.example_bytes("counter.rbpf"), "invalid-wasm"),
                                 ("rbpf", b"rBPF", "invalid-rbpf"), ("rbpf", bytes(bad_rbpf), "invalid-rbpf"),
                                 ("rbpf", no_exit, "invalid-rbpf"),
                                 ("rbpf", harness.example_bytes("door-watch.wasm"), "invalid-rbpf")):
            with self.subTest(f"{kind} {code[:8]!r}"):
                answer = self.daemon.post(f"/v1/artifacts?type={kind}", code,
                                          headers={"Content-Type": "application/octet-stream"})
                self.assert_problem(answer, 422, slug)
        self.assertEqual(self.daemon.get("/v1/artifacts").json["items"], [])
        self.assertEqual(self.device.events("load"), [])

    def test_descriptions_that_do_not_parse(self):
        code = harness.example_bytes("door-watch.wasm")
        for description, status in (({"type": "wasm", "endpoints": [{"id": 1}]}, 400),
                                    ({"type": "wasm", "endpoints": [{"id": 1, "peer": "container", "peer_endpoint": 1,
                                                                     "direction": "in"}]}, 400),
                                    ({"type": "wasm", "syscalls": ["format-disk"]}, 400),
                                    ({"type": "cobol"}, 400), ({"limits": {"loop_period_ms": "fast"}}, 400),
                                    ({"type": "wasm", "x": 1}, 400)):
            with self.subTest(str(description)):
                answer = self.daemon.upload(description=json.dumps(description).encode(), code=code)
                self.assertEqual(answer.status, status, answer)
                self.assertIn("pointer", answer.json)

    def test_metadata_that_does_not_parse(self):
        code = harness.example_bytes("counter.rbpf")
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([harness.program("tcgw"), "metadata", "build", "--uid", "job", "--key",
                            self.daemon.state + "/gateway-key.pem", "--output", directory + "/metadata",
                            harness.example("counter.rbpf")], check=True, capture_output=True)
            with open(directory + "/metadata", "rb") as file:
                good = file.read()
        for metadata in (b"", b"nonsense", good[:-1], good + b"\0", good[9:], b"\xff" * 300):
            with self.subTest(metadata[:12]):
                self.assert_problem(self.daemon.upload(metadata=metadata, code=code), 422, "invalid-metadata")
        other = harness.example_bytes("door-watch.wasm")
        self.assert_problem(self.daemon.upload(metadata=good, code=other), 422, "invalid-metadata", "digests")
        self.assert_problem(self.daemon.upload(metadata=good, code=code, data=b"x"), 422, "invalid-metadata", "digests")
        answer = self.daemon.upload(metadata=good, description=b"{}", code=code)
        self.assert_problem(answer, 400, "malformed-request")
        self.assertEqual(self.device.events("load"), [])
        answer = self.daemon.upload(metadata=good, code=code)
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual((answer.json["type"], answer.json["name"]), ("rbpf", "job"))
        self.assertEqual(self.daemon.delete("/v1/artifacts/" + answer.json["id"]).status, 204)

    def test_bad_parameters(self):
        for path in ("/v1/devices?limit=0", "/v1/devices?limit=x", "/v1/devices?limit=100000", "/v1/operations?state=odd"):
            with self.subTest(path):
                self.assert_problem(self.daemon.get(path), 400, "invalid-parameter")

    def test_existing_device(self):
        answer = self.daemon.post("/v1/devices", {"id": "box", "address": "coap://127.0.0.1:9"})
        self.assert_problem(answer, 409, "already-exists", "box")

    def test_preconditions(self):
        answer = self.daemon.request("PATCH", "/v1/devices/box", {"name": "x"}, headers={**PATCH, "If-Match": '"stale"'})
        self.assert_problem(answer, 412, "precondition-failed")
        etag = self.daemon.get("/v1/devices/box").headers["ETag"]
        self.assertEqual(self.daemon.get("/v1/devices/box", headers={"If-None-Match": etag}).status, 304)
        answer = self.daemon.request("PATCH", "/v1/devices/box", {"name": "x"}, headers={**PATCH, "If-Match": etag})
        self.assertEqual(answer.status, 200, answer)

    def test_idempotency_key(self):
        headers = {"Idempotency-Key": f"key-{time.time_ns()}"}
        body = {"id": "twice", "address": "coap://127.0.0.1:9"}
        first = self.daemon.post("/v1/devices", body, headers=headers)
        second = self.daemon.post("/v1/devices", body, headers=headers)
        self.assertEqual((first.status, second.status), (201, 201))
        self.assertEqual(second.headers["Idempotency-Replayed"], "true")
        other = self.daemon.post("/v1/devices", {**body, "id": "other"}, headers=headers)
        self.assert_problem(other, 422, "idempotency-key-reused")
        self.assertEqual(self.daemon.delete("/v1/devices/twice").status, 204)

    def test_cross_site_writes(self):
        answer = self.daemon.post("/v1/devices", {"id": "evil", "address": "coap://127.0.0.1:9"},
                                  headers={"Origin": "http://evil.example"}, tcp=True)
        self.assertEqual(answer.status, 403, answer)
        answer = self.daemon.get("/v1/devices", headers={"Host": "evil.example"}, tcp=True)
        self.assertIn(answer.status, (400, 403, 421), answer)

    def test_garbage_on_the_socket(self):
        for garbage in (b"\0" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n",
                        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=10) as connection:
                try:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(65536)
                except OSError:
                    pass
        self.assertEqual(self.daemon.get("/healthz").status, 200)


if __name__ == "__main__":
    harness.main()
