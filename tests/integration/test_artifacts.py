"""Uploads that go on after an interruption, what is kept, and what is not."""
import hashlib
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

import harness

DATA = bytes(i * 7 % 251 for i in range(70000))
CODE = bytes(i * 31 % 256 for i in range(150000))
TYPE = "application/offset+octet-stream"


def part(content):
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def plan(code=CODE, data=DATA, **description):
    return {"description": {"type": "native", "name": "large", **description}, "code": part(code), "data": part(data)}


def patch(gateway, upload, offset, content, **headers):
    return gateway.request("PATCH", "/v1/uploads/" + upload, content,
                           headers={"Content-Type": TYPE, "Upload-Offset": str(offset), **headers})


class Uploads(harness.GatewayTest):
    def begin(self, gateway, **more):
        answer = gateway.post("/v1/uploads", plan(**more))
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(answer.headers["Location"], "/v1/uploads/" + answer.json["id"])
        return answer.json["id"]

    def test_an_upload_goes_on_after_a_break_and_a_kill(self):
        gateway = self.gateway()
        upload = self.begin(gateway)
        self.assertEqual(patch(gateway, upload, 0, CODE[:1000]).headers["Upload-Offset"], "1000")
        # The connection breaks in the middle of a body: what came stays.
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(gateway.socket)
            raw.sendall(f"PATCH /v1/uploads/{upload} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE}\r\n"
                        f"Upload-Offset: 1000\r\nContent-Length: 100000\r\n\r\n".encode() + CODE[1000:31000])
            harness.wait_for(lambda: int(gateway.request("HEAD", f"/v1/uploads/{upload}").headers["Upload-Offset"]) ==
                             31000, what="30,000 bytes of a body that does not end")
            self.assert_problem(patch(gateway, upload, 31000, b"x"), 409, "conflict")
        harness.wait_for(lambda: patch(gateway, upload, 31000, CODE[31000:32000]).status == 204, what="the break")
        gateway.kill()
        gateway.start()
        again = gateway.post("/v1/uploads", plan())
        self.assertEqual((again.status, again.json["id"], again.json["offset"]), (200, upload, 32000))
        rest = (CODE + DATA)[32000:]
        answer = patch(gateway, upload, 32000, rest)
        self.assertEqual(answer.status, 204, answer)
        artifact = gateway.get(answer.headers["Location"]).json
        self.assertEqual((artifact["code"], artifact["data"]), (part(CODE), part(DATA)))
        self.assertEqual(gateway.get(answer.headers["Location"] + "/code").body, CODE)
        self.assertEqual(gateway.get(answer.headers["Location"] + "/data").body, DATA)
        gateway.kill()
        gateway.start()
        self.assertEqual(gateway.post("/v1/uploads", plan()).json["artifact"], artifact["id"])
        self.assertEqual(gateway.post("/v1/uploads", plan()).json["offset"], len(CODE) + len(DATA))

    def test_what_is_not_as_it_was_said_to_be(self):
        gateway = self.gateway()
        wrong = bytes(len(CODE))
        upload = self.begin(gateway)
        self.assert_problem(patch(gateway, upload, 0, wrong), 422, "digest-mismatch", "code")
        self.assert_problem(gateway.get(f"/v1/uploads/{upload}"), 404, "not-found")
        upload = self.begin(gateway)
        self.assert_problem(patch(gateway, upload, 5, CODE), 409, "conflict", "0 bytes")
        self.assert_problem(patch(gateway, upload, 0, CODE + DATA + b"x"), 413, "body-too-large")
        self.assert_problem(patch(gateway, upload, 0, CODE, **{"Tus-Resumable": "0.2.2"}), 412, "precondition-failed")
        answer = gateway.request("PATCH", "/v1/uploads/" + upload, CODE,
                                 headers={"Content-Type": "text/plain", "Upload-Offset": "0"})
        self.assert_problem(answer, 415, "unsupported-media-type")
        answer = gateway.request("PATCH", "/v1/uploads/" + upload, CODE, headers={"Content-Type": TYPE})
        self.assert_problem(answer, 400, "invalid-parameter")
        self.assertEqual(gateway.delete("/v1/uploads/" + upload).status, 204)
        self.assert_problem(patch(gateway, upload, 0, CODE), 404, "not-found")
        self.assertEqual(gateway.get("/v1/uploads").json["items"], [])

    def test_tcgw_sends_a_large_file_in_pieces_that_go_on(self):
        gateway = self.gateway()
        code = CODE * 4
        name = gateway.directory + "/large.bin"
        with open(name, "wb") as file:
            file.write(code)
        description = {"name": "large", "type": "native"}
        begun = gateway.post("/v1/uploads", {"description": description, "code": part(code)}).json["id"]
        self.assertEqual(patch(gateway, begun, 0, code[:5000]).status, 204)
        for _ in range(2):  # the second time it is there already
            pushed = subprocess.run([harness.program("tcgw"), "--socket", gateway.socket, "--json", "artifact", "push",
                                     name, "--name", "large", "--type", "native"], capture_output=True, check=True)
            self.assertEqual(json.loads(pushed.stdout)["code"], part(code))
        uploads = gateway.get("/v1/uploads").json["items"]
        self.assertEqual([upload["id"] for upload in uploads], [begun])  # went on with what was begun

    def test_plans_that_are_refused(self):
        gateway = self.gateway()
        for change, status, slug in (({"code": {"size": 0, "sha256": "0" * 64}}, 400, "invalid-field"),
                                     ({"code": {"size": 1, "sha256": "x" * 64}}, 400, "invalid-field"),
                                     ({"code": {"size": 1 << 40, "sha256": "0" * 64}}, 413, "body-too-large"),
                                     ({"description": {"type": "cobol"}}, 400, "invalid-field"),
                                     ({"more": 1}, 400, "unknown-field")):
            with self.subTest(str(change)):
                self.assert_problem(gateway.post("/v1/uploads", {**plan(), **change}), status, slug)

    def test_code_that_is_refused_ends_the_upload(self):
        gateway = self.gateway()
        upload = gateway.post("/v1/uploads", {"description": {"type": "wasm"}, "code": part(CODE)}).json["id"]
        self.assert_problem(patch(gateway, upload, 0, CODE), 422, "invalid-wasm")
        self.assertEqual(gateway.get("/v1/uploads").json["items"], [])


# A module whose loop() gives an i64 where its type says i32.
MISTYPED = bytes.fromhex("0061736d01000000 010501600001 7f 03020100 0708 01046c6f6f700000 0a06010400 4200 0b".replace(" ", ""))


class Checks(harness.GatewayTest):
    def refused(self, gateway, name, code, description, slug, text):
        answer = gateway.upload(description=json.dumps(description).encode(), code=code)
        with self.subTest(name):
            self.assert_problem(answer, 422, slug, text)

    def test_code_is_checked_before_it_is_stored(self):
        gateway = self.gateway()
        module, program = harness.example_bytes("door-watch.wasm"), harness.example_bytes("counter.rbpf")
        self.refused(gateway, "validation", MISTYPED, {"type": "wasm"}, "invalid-wasm", "i64 in place of i32")
        self.refused(gateway, "imports", module, {"type": "wasm", "syscalls": []}, "invalid-wasm", "does not ask for")
        self.refused(gateway, "runtime", program, {"type": "wasm"}, "invalid-wasm", "no WebAssembly module")
        self.refused(gateway, "verifier", program[:-8], {"type": "rbpf"}, "invalid-rbpf", "refused")
        self.assertEqual(gateway.get("/v1/artifacts").json["items"], [])

    def test_memory_and_runtime_are_those_of_the_device(self):
        gateway = self.gateway()
        agent = self.agent()
        gateway.add_device("box", agent)
        artifact = gateway.push_example("door-watch")
        memory = gateway.get("/v1/artifacts/" + artifact).json["memory"]["initial"]
        for capabilities, slug in (({"memory": memory - 1}, "package-too-large"),
                                   ({"memory": None, "runtimes": ["rbpf"]}, "runtime-unsupported")):
            answer = gateway.request("PATCH", "/v1/devices/box", {"capabilities": capabilities},
                                     headers={"Content-Type": "application/merge-patch+json"})
            self.assertEqual(answer.status, 200, answer)
            self.assert_problem(gateway.deploy("box", "job", artifact), 422, slug)
        self.assertEqual(agent.events("load"), [])


class Collection(harness.GatewayTest):
    def test_what_nobody_needs_goes_by_the_policy(self):
        gateway = self.gateway("artifacts.keep_count=1")
        agent = self.agent()
        gateway.add_device("box", agent)
        ids = [gateway.push(b"%d" % i, {"type": "native", "name": f"a{i}"}) for i in range(5)]
        used = gateway.push_example("counter")
        self.assertEqual(gateway.deploy("box", "job", used).json["state"], "succeeded")
        self.assertTrue(gateway.put(f"/v1/artifacts/{ids[2]}/pin").json["pinned"])
        gateway.kill()
        gateway.start()
        self.assertTrue(gateway.get(f"/v1/artifacts/{ids[2]}").json["pinned"])
        self.assert_problem(gateway.delete(f"/v1/artifacts/{ids[2]}"), 409, "in-use", "pinned")
        # ids[2] is pinned; of the others the newest stays.
        dry = gateway.post("/v1/artifacts/gc?dry_run=true").json
        self.assertEqual(dry, {"artifacts": [ids[0], ids[1], ids[3]], "bytes": 3, "dry_run": True})
        self.assertEqual(gateway.get(f"/v1/artifacts/{ids[0]}").status, 200)
        done = gateway.post("/v1/artifacts/gc").json
        self.assertEqual(done, {**dry, "dry_run": False})
        left = {artifact["id"] for artifact in gateway.get("/v1/artifacts").json["items"]}
        self.assertEqual(left, {ids[2], ids[4], used})
        self.assertFalse(gateway.delete(f"/v1/artifacts/{ids[2]}/pin").json["pinned"])
        self.assertEqual(gateway.post("/v1/artifacts/gc").json["artifacts"], [ids[2]])
        gateway.kill()
        gateway.start()
        left = {artifact["id"] for artifact in gateway.get("/v1/artifacts").json["items"]}
        self.assertEqual(left, {ids[4], used})
        self.assertEqual(gateway.check_database(), "ok")
        self.assert_problem(gateway.post("/v1/artifacts/gc?dry_run=maybe"), 400, "invalid-parameter")


class Store(http.server.ThreadingHTTPServer):
    """The platform's store with one artifact, and ways to be a bad one."""
    daemon_threads = True

    def __init__(self, code, data, **bad):
        super().__init__(("127.0.0.1", 0), Handler)
        limits = {"start_max_duration_ms": 0, "loop_period_ms": 1000, "loop_max_duration_ms": 0,
                  "loop_max_lifetime": 0, "stop_max_duration_ms": 0}
        manifest = {"type": "native", "syscalls": [], "endpoints": [], "limits": limits, "code": part(code),
                    "data": part(data)}
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
        self.id = hashlib.sha256(text).hexdigest()
        self.bad, self.parts, self.asked, self.scheme = bad, {"code": code, "data": data}, [], "http"
        self.manifest = {**manifest, "name": "from afar", "users": 3, "id": self.id, **bad.get("manifest", {})}
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self):
        return f"{self.scheme}://localhost:{self.server_address[1]}/store/"

    def protect(self, directory):
        """HTTPS from now on; the certificate, which is its own CA."""
        name = directory + "/store.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", directory + "/store.key", "-out", name, "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost", "-days", "2"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(name, directory + "/store.key")
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "https"
        return name

    def handle_error(self, request, client_address):
        pass  # the gateway hangs up on a store that says too much


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def send(self, status, content, length=None, extra=None):
        self.send_response(status)
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        store, path = self.server, self.path.removeprefix("/store/")
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        store.asked.append((path.partition("/")[2], begin))
        if store.bad.get("token") and self.headers.get("Authorization") != "Bearer " + store.bad["token"]:
            self.send(401, b"who are you?")
        elif store.bad.get("busy"):
            store.bad["busy"] -= 1
            self.send(503, b"later")
        elif store.bad.get("status"):
            self.send(store.bad["status"], b"no", extra=store.bad.get("headers", {}))
        elif path == store.id:
            self.send(200, json.dumps(store.manifest).encode())
        elif path.startswith(store.id + "/"):
            content = store.bad.get("parts", store.parts)[path.partition("/")[2]]
            if store.bad.get("endless"):
                self.send_response(200)
                self.end_headers()
                for _ in range(1 << 10):
                    self.wfile.write(bytes(1 << 20))
            elif store.bad.get("stops") and begin < 100000 and path.endswith("code"):
                self.send(206 if begin else 200, content[begin:begin + 60000], len(content) - begin)
                self.close_connection = True
            else:
                whole = store.bad.get("no_range") or not begin
                self.send(200 if whole else 206, content if whole else content[begin:])
        else:
            self.send(404, b"")


class PullThrough(harness.GatewayTest):
    def make_store(self, **bad):
        store = Store(CODE, DATA, **bad)
        self.addCleanup(store.server_close)
        self.addCleanup(store.shutdown)
        return store

    def start(self, **bad):
        store = self.make_store(**bad)
        gateway = self.gateway("artifacts.store_url=" + store.url())
        gateway.add_device("box", self.agent())
        return gateway, store

    def desire(self, gateway, store):
        return gateway.put("/v1/devices/box/containers/job", {"artifact": store.id})

    def wait_until_here(self, gateway, store):
        self.assert_problem(self.desire(gateway, store), 503, "artifact-pending", store.id[:12])
        found = harness.wait_for(lambda: (a := gateway.get("/v1/artifacts/" + store.id)).status == 200 and a.json, 30,
                                 what="the artifact of the store; log:\n" + gateway.log()[-2000:])
        self.assertEqual((found["name"], found["code"], found["data"]), ("from afar", part(CODE), part(DATA)))
        self.assertEqual(gateway.get(f"/v1/artifacts/{store.id}/code").body, CODE)

    def wait_until_refused(self, gateway, store):
        self.assert_problem(self.desire(gateway, store), 503, "artifact-pending")
        answer = harness.wait_for(lambda: (a := self.desire(gateway, store)).slug != "artifact-pending" and a, 30,
                                  what="the end of the fetch")
        self.assertEqual(gateway.get("/v1/artifacts").json["items"], [])
        return answer

    def test_what_is_named_and_not_held_is_fetched(self):
        gateway, store = self.start()
        self.wait_until_here(gateway, store)
        self.assertEqual(self.desire(gateway, store).status, 202)
        gateway.stop()

    def test_a_release_fetches_its_artifacts(self):
        gateway, store = self.start()
        answer = gateway.post("/v1/releases", {"name": "job", "version": "1", "sequence": 1, "artifacts": [store.id]})
        self.assertEqual(answer.status, 201, answer)
        harness.wait_for(lambda: gateway.get("/v1/artifacts/" + store.id).status == 200, what="the artifact")

    def test_each_device_gets_its_build_of_a_release(self):
        """A gateway is the store of another one, where nothing was uploaded."""
        store = self.gateway()
        wasm, rbpf = store.push_example("door-watch"), store.push_example("counter")
        gateway = self.gateway(f"artifacts.store_url=http://127.0.0.1:{store.port}/v1/artifacts")
        for device, runtimes in (("small", "rbpf"), ("large", "wasm")):
            gateway.add_device(device, self.agent("--runtimes=" + runtimes))
        release = {"name": "door", "version": "1", "sequence": 1, "artifacts": [wasm, rbpf]}
        self.assertEqual(gateway.post("/v1/releases", release).status, 201)
        harness.wait_for(lambda: all(a["held"] for a in gateway.get("/v1/releases/door@1").json["artifacts"]),
                         what="both builds")
        for device, artifact in (("small", rbpf), ("large", wasm)):
            done = gateway.put(f"/v1/devices/{device}/containers/job", {"release": "door@1"},
                               headers={"Prefer": "wait=30"})
            self.assertEqual(done.json.get("state"), "succeeded", done)
            shown = gateway.container(device, "job").json["reported"]
            self.assertEqual((shown["artifact"], shown["release"]), (artifact, "door@1"))

    def test_a_store_that_stops_in_the_middle_is_asked_for_the_rest(self):
        for bad in ({"stops": True}, {"stops": True, "no_range": True}):
            with self.subTest(str(bad)):
                gateway, store = self.start(**bad)
                self.wait_until_here(gateway, store)
                self.assertEqual([begin for which, begin in store.asked if which == "code"], [0, 60000, 120000])

    def test_a_store_that_wants_a_token(self):
        store, token = self.make_store(token="t" * 2000), tempfile.mkstemp(prefix="tcgw-token-")[1]
        self.addCleanup(os.remove, token)
        gateway = self.gateway("artifacts.store_url=" + store.url(), "artifacts.store_token_file=" + token)
        gateway.add_device("box", self.agent())
        self.assert_problem(self.wait_until(gateway, store, "is empty"), 503, "artifact-pending")
        with open(token, "w", encoding="utf-8") as file:
            file.write("t" * 2000 + "\n")
        self.wait_until_here(gateway, store)

    def wait_until(self, gateway, store, detail):
        return harness.wait_for(lambda: detail in (a := self.desire(gateway, store)).json["detail"] and a,
                                what=f"'{detail}' as the reason why there is no artifact")

    def test_a_store_that_is_busy_is_asked_again(self):
        gateway, store = self.start(busy=1)
        self.assert_problem(self.desire(gateway, store), 503, "artifact-pending")
        harness.wait_for(lambda: "answers 503" in str(self.desire(gateway, store).json) or
                         gateway.get("/v1/artifacts/" + store.id).status == 200, what="the reason of the delay")
        harness.wait_for(lambda: gateway.get("/v1/artifacts/" + store.id).status == 200, what="the artifact")

    def test_a_fetch_goes_on_after_the_gateway_was_killed(self):
        gateway, store = self.start(stops=True)
        self.assert_problem(self.desire(gateway, store), 503, "artifact-pending")
        harness.wait_for(lambda: ("code", 60000) in store.asked, what="the first break")
        gateway.kill()
        gateway.start()
        self.wait_until_here(gateway, store)
        begins = [begin for which, begin in store.asked if which == "code"]
        self.assertEqual(begins.count(0), 1, begins)

    @unittest.skipUnless(shutil.which("openssl"), "this needs openssl")
    def test_https(self):
        for trusted in (True, False):
            with self.subTest(trusted=trusted), tempfile.TemporaryDirectory() as directory:
                store = self.make_store()
                certificate = store.protect(directory)
                gateway = self.gateway("artifacts.store_url=" + store.url(),
                                       *(["artifacts.store_ca=" + certificate] if trusted else []))
                gateway.add_device("box", self.agent())
                if trusted:
                    self.wait_until_here(gateway, store)
                    self.assertEqual(self.desire(gateway, store).status, 202)
                    continue
                self.assert_problem(self.wait_until(gateway, store, "certificate"), 503, "artifact-pending")
                self.assertEqual(store.asked, [])

    def test_a_store_that_lies(self):
        wrong = {"code": bytes(len(CODE)), "data": DATA}
        elsewhere = {"status": 302, "headers": {"Location": "http://localhost:1/"}}
        for bad, status, slug in (({"manifest": {"syscalls": ["open"]}}, 422, "digest-mismatch"),
                                  ({"manifest": {"padding": "x" * 100000}}, 502, "upstream-failed"),
                                  ({"parts": wrong}, 422, "digest-mismatch"),
                                  ({"parts": {"code": CODE, "data": DATA + b"x"}}, 422, "digest-mismatch"),
                                  ({"endless": True}, 422, "digest-mismatch"), (elsewhere, 502, "upstream-failed"),
                                  ({"status": 404}, 404, "not-found"), ({"status": 403}, 502, "upstream-failed")):
            with self.subTest(str(bad)[:40]):
                gateway, store = self.start(**bad)
                self.assert_problem(self.wait_until_refused(gateway, store), status, slug)
                self.assertEqual(gateway.get("/healthz").status, 200)
                gateway.stop()


if __name__ == "__main__":
    harness.main()
