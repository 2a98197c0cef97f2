"""Uploads that go on after an interruption, what is kept, and what is not."""
import hashlib
import json
import socket

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


if __name__ == "__main__":
    harness.main()
