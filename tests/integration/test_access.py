#!/usr/bin/env python3
"""Who may do what: every route for every role, tenants that find only what is theirs, tokens and grants."""
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pwd
import re
import signal
import threading
import time
import unittest

import harness
import jwks
import yaml
from test_telemetry import CHANGED, SENML_JSON, Plain

# Who has which right; the gateway's own table is src/core/access.c, and docs/rest-api.md shows it to people.
ROLES = {
    "viewer": {"caller", "browse", "read"},
    "publisher": {"caller", "browse", "publish"},
    "operator": {"caller", "browse", "read", "operate", "deploy", "manage", "credentials"},
    "platform": {"caller", "browse", "read", "operate", "deploy", "manage", "publish"},
    "owner": {"caller", "browse", "read", "operate", "deploy", "manage", "publish", "credentials", "owner"},
}

# What each operation of docs/openapi.yaml asks for. A route that is missing here makes the test fail: whoever adds one
# says who may.
NEEDS = {
    "public": "getHealth getReady getOpenapi getCore getCaller",
    "caller": "getInfo getKey",
    "browse": "listArtifacts getArtifact getArtifactCode getArtifactData listReleases getRelease listPublishers "
              "getPublisher listPolicies getPolicy",
    "read": "getMetrics listDevices getDevice listDirectory getRegistration listContainers getContainer "
            "getContainerLog explainContainer listServices getService listCredentials getDesired getReported "
            "listResources listObservations getResource proxyGet listGroups getGroup listTransfers listLinks getLink "
            "listRollouts getRollout listRolloutDevices listTelemetry listDeviceTelemetry listSeries "
            "listDeviceSeries getStorage getEvents listOperations getOperation listSinks getSink listDeadLetters "
            "getDeadLetter listBudgets getBudget listEmergencyStops getEmergencyStop listQuarantines getQuarantine",
    "operate": "probeDevice startContainer stopContainer execContainer putDesired removeDesired putResource "
               "postResource patchResource removeResource proxyPut proxyPost proxyPatch proxyDelete cancelOperation",
    "deploy": "putContainer removeContainer putService removeService addRollout removeRollout pauseRollout "
              "resumeRollout abortRollout rollBack putEmergencyStop removeEmergencyStop",
    "publish": "addArtifact removeArtifact pinArtifact unpinArtifact addRelease removeRelease listUploads "
               "beginUpload getUpload continueUpload removeUpload",
    "manage": "addDevice patchDevice removeDevice removeRegistration putGroup removeGroup putLink removeLink "
              "collectArtifacts retrySink removeDeadLetter retryDeadLetter beginTrace getTrace endTrace getTracePcap "
              "putBudget removeBudget putQuarantine removeQuarantine",
    "credentials": "enrolDevice importCredentials revokeAllCredentials revokeCredentials getJoin openJoin closeJoin "
                   "approvePending rejectPending",
    "owner": "distrustContexts listAudit getAuditAnchor makeBackup checkDatabase compactDatabase getLogLevels "
             "putLogLevels putPublisher removePublisher putPolicy removePolicy listTokens addToken getToken "
             "removeToken listGrants getGrant putGrant removeGrant listTenants getTenant putTenant removeTenant",
}
NEED = {name: need for need, names in NEEDS.items() for name in names.split()}

# What a tenant's callers are refused although their role has the right: it is about the whole gateway.
WHOLE = set("getMetrics listLinks getLink putLink removeLink getStorage listSinks getSink retrySink listDeadLetters "
            "getDeadLetter removeDeadLetter retryDeadLetter collectArtifacts getJoin openJoin closeJoin approvePending "
            "rejectPending listUploads beginUpload getUpload continueUpload removeUpload listPublishers getPublisher "
            "listPolicies getPolicy listBudgets putBudget removeBudget listEmergencyStops getEmergencyStop "
            "putEmergencyStop removeEmergencyStop listQuarantines putQuarantine removeQuarantine".split()) | set(NEEDS["owner"].split())

VALUES = {"id": "nobody", "uid": "app", "number": "7", "name": "nothing", "path": "x", "uri": "coap://192.0.2.9/x",
          "first": "1", "release": "nothing@1"}
UUID = "01900000-0000-7000-8000-000000000000"
DIGEST = "0" * 64


def operations():
    with open(os.path.join(harness.SOURCE, "docs/openapi.yaml"), encoding="utf-8") as file:
        paths = yaml.safe_load(file)["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            if method in ("get", "put", "post", "patch", "delete"):
                yield operation["operationId"], method.upper(), path


def fill(path, **given):
    """The path with something that is not there in place of its names."""
    values = {**VALUES, **given}
    if path.startswith(("/v1/operations/", "/v1/rollouts/", "/v1/uploads/")):
        values["id"] = given.get("id", UUID)
    elif path.startswith("/v1/artifacts/"):
        values["id"] = given.get("id", DIGEST)
    return re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], path)


class Access(harness.GatewayTest):
    def setUp(self):
        self.gw = self.gateway("auth.anonymous=none")
        self.connection = None
        self.addCleanup(lambda: self.connection and self.connection.close())

    def ask(self, method, path, token=None, body=None, headers=None, fresh=False):
        """Over TCP, where nobody is anybody without credentials."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        if fresh and self.connection:
            self.connection.close()
        if self.connection is None or fresh:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.gw.port, timeout=20)
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            return harness.Answer(response.status, dict(response.getheaders()), response.read())
        except (http.client.HTTPException, ConnectionError):
            if fresh:
                raise
            return self.ask(method, path, token, json.loads(body) if body else None, headers, True)

    def owner(self, method, path, body=None, status=None):
        answer = self.gw.request(method, path, body)
        if status:
            self.assertEqual(answer.status, status, answer)
        return answer

    def token(self, name, role, tenant=None, **more):
        body = {"name": name, "role": role, **more}
        if tenant:
            body["tenant"] = tenant
        return self.owner("POST", "/v1/tokens", body, 201).json["token"]

    # The table ------------------------------------------------------------------------------------------------------

    def test_every_route_for_every_role(self):
        self.owner("PUT", "/v1/tenants/a", {"groups": ["a"], "artifacts": ["a-*"]}, 200)
        tokens = {role: self.token(role, role) for role in ROLES}
        bound = {role: self.token(role + "-a", role, "a") for role in ROLES}
        known = list(operations())
        self.assertEqual({name for name, _, _ in known} - set(NEED), set(), "NEEDS says nothing about these")
        for name, method, path in known:
            if name == "getEvents":
                path += "?limit=1"
            for role, rights in ROLES.items():
                self.check(name, method, fill(path), tokens[role], NEED[name] in rights | {"public"}, role)
                allowed = NEED[name] in rights | {"public"}
                self.check(name, method, fill(path), bound[role], allowed and name not in WHOLE, role + " of a tenant")
            answer = self.ask(method, fill(path))
            if NEED[name] == "public":
                self.assertNotIn(answer.status, (401, 403), name)
            else:
                self.assertEqual(answer.status, 401, name)
                self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer"), name)

    def check(self, name, method, path, token, allowed, who):
        if allowed and name in ("distrustContexts", "makeBackup", "compactDatabase"):
            return  # allowed, and not to be done here
        answer = self.ask(method, path, token)
        if allowed:
            self.assertNotEqual(answer.status, 401, (name, who, answer))
            if "tenant" not in who:
                self.assertFalse(answer.status == 403 and answer.slug == "forbidden", (name, who, answer))
        else:
            self.assertEqual((answer.status, answer.slug), (403, "forbidden"), (name, who, answer))

    def test_what_is_no_method_or_path(self):
        for method, path in (("BREW", "/v1/devices"), ("TRACE", "/v1/devices"), ("GET", "/v1/nothing"),
                             ("GET", "/v1/devices/../tokens"), ("GET", "/v1%2fdevices"), ("POST", "/v1/devices/x")):
            self.assertGreaterEqual(self.ask(method, path, fresh=True).status, 400, (method, path))

    # Tenants --------------------------------------------------------------------------------------------------------

    def two_tenants(self):
        for name, port in (("a", 9), ("b", 10)):
            self.owner("PUT", f"/v1/tenants/{name}", {"groups": [name], "artifacts": [f"{name}-*"]}, 200)
            self.owner("POST", "/v1/devices",
                       {"id": f"d-{name}", "address": f"coap://127.0.0.1:{port}", "groups": [name]}, 201)

    def same_but_for(self, there, missing, one, other):
        self.assertEqual(there.status, 404, there)
        self.assertEqual(missing.status, 404, missing)
        self.assertEqual(there.body.replace(one.encode(), other.encode()), missing.body)

    def test_what_is_another_tenants_is_not_there(self):
        self.two_tenants()
        token = self.token("a", "operator", "a")
        for name, method, path in operations():
            if not path.startswith("/v1/devices/{id}") or name == "getResource":
                continue
            body = {} if method in ("PUT", "PATCH", "POST") else None
            self.same_but_for(self.ask(method, fill(path, id="d-b"), token, body),
                              self.ask(method, fill(path, id="d-x"), token, body), "d-b", "d-x")
        self.assertEqual(self.ask("GET", "/v1/devices/d-a", token).status, 200)
        self.same_but_for(self.ask("GET", "/v1/groups/b", token), self.ask("GET", "/v1/groups/z9", token),
                          "group b", "group z9")

    def test_lists_and_events_are_filtered(self):
        self.two_tenants()
        token = self.token("a", "operator", "a")
        ids = [device["id"] for device in self.ask("GET", "/v1/devices", token).json["items"]]
        self.assertEqual(ids, ["d-a"])
        events = self.ask("GET", "/v1/events?limit=1000", token).json["items"]
        self.assertEqual({event.get("device") for event in events}, {"d-a"})
        self.assertEqual(self.ask("GET", "/v1/events?kind=audit", token).status, 403)
        self.assertEqual(self.ask("GET", "/v1/events?kind=audit", self.token("all", "operator")).status, 403)
        for name in ("a", "b"):
            self.owner("POST", f"/v1/devices/d-{name}/probe", status=202)
        shown = self.ask("GET", "/v1/operations", token).json["items"]
        self.assertEqual({operation["device"] for operation in shown}, {"d-a"})
        foreign = self.owner("GET", "/v1/operations?device=d-b").json["items"][0]["id"]
        self.same_but_for(self.ask("GET", f"/v1/operations/{foreign}", token),
                          self.ask("GET", f"/v1/operations/{UUID}", token), foreign, UUID)
        self.assertEqual(self.ask("POST", f"/v1/operations/{foreign}/cancel", token).status, 404)
        self.assertEqual([group["name"] for group in self.ask("GET", "/v1/groups", token).json["items"]], ["a"])
        self.assertEqual(set(self.owner("GET", "/v1/info").json) - set(self.ask("GET", "/v1/info", token).json),
                         {"counts", "storage", "device_traffic"})

    def test_pages_of_telemetry_tell_nothing_of_others(self):
        """Not even where the next page begins, which is behind what was read and left out."""
        self.two_tenants()
        for name, group in (("m-a", "a"), ("a-b", "b"), ("z-b", "b")):
            device = Plain(self.gw)
            self.addCleanup(device.close)
            self.owner("POST", "/v1/devices", {"id": name, "address": device.address(), "groups": [group]}, 201)
            self.owner("PATCH", f"/v1/devices/{name}", {"allow_plain": True}, 200)
            pack = [{"bt": 1700000000, "n": f"of-{name}", "t": i, "v": i} for i in range(5)]
            self.assertEqual(device.send_blocks("/t", json.dumps(pack).encode(), SENML_JSON)[0], CHANGED)
        for path, count in (("/v1/telemetry", 5), ("/v1/series", 1)):
            for name, devices in (("a", {"m-a"}), ("b", {"a-b", "z-b"})):
                seen, cursor = [], ""
                token = self.token(f"{name}-{count}", "viewer", name)
                while cursor is not None:
                    page = self.ask("GET", f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else ""), token)
                    self.assertEqual(page.status, 200, page)
                    seen += page.json["items"]
                    cursor = page.json["next"]
                    self.assertEqual(page.headers.get("Tcgw-Next"), cursor)
                    self.assertIn(bytes.fromhex(cursor or "").decode().split(" ")[1:2],
                                  [[]] + [[device] for device in devices])
                self.assertEqual({item["device"] for item in seen}, devices)
                self.assertEqual(len(seen), count * len(devices), seen)

    def test_a_tenant_makes_only_what_is_its_own(self):
        self.two_tenants()
        token = self.token("a", "owner", "a")
        new = {"id": "d-new", "address": "coap://127.0.0.1:9"}
        self.assertEqual(self.ask("POST", "/v1/devices", token, new).status, 403)
        self.assertEqual(self.ask("POST", "/v1/devices", token, {**new, "groups": ["a", "b"]}).status, 403)
        self.assertEqual(self.ask("POST", "/v1/devices", token, {**new, "groups": ["a"]}).status, 201)
        self.assertEqual(self.ask("PATCH", "/v1/devices/d-new", token, {"groups": []}).status, 403)
        self.assertEqual(self.ask("PATCH", "/v1/devices/d-new", token, {"groups": ["b"]}).status, 403)
        self.assertEqual(self.ask("PATCH", "/v1/devices/d-new", token, {"name": "mine"}).status, 200)
        service = {"devices": {"all": True}, "containers": []}
        self.assertEqual(self.ask("PUT", "/v1/services/a-s", token, service).status, 403)
        service["devices"] = {"groups": ["b"]}
        self.assertEqual(self.ask("PUT", "/v1/services/a-s", token, service).status, 403)
        service["devices"] = {"groups": ["a"]}
        self.assertEqual(self.ask("PUT", "/v1/services/b-s", token, service).status, 403)
        self.assertNotIn(self.ask("PUT", "/v1/services/a-s", token, service).status, (401, 403, 404))
        self.assertEqual(self.ask("POST", "/v1/rollouts", token, {"name": "b-r", **service}).status, 403)
        self.assertEqual(self.ask("PUT", "/v1/policies/p", token, {"allow": False}).status, 403)

    def test_a_tenant_reaches_no_device_of_another_by_its_address(self):
        self.two_tenants()
        token = self.token("a", "owner", "a")
        for address in ("coap://127.0.0.1:10", "127.0.0.1:10"):
            new = {"id": "d-new", "address": address, "groups": ["a"]}
            self.assertEqual(self.ask("POST", "/v1/devices", token, new).status, 403)
            self.assertEqual(self.ask("PATCH", "/v1/devices/d-a", token, {"address": address}).status, 403)
        self.assertEqual(self.ask("PATCH", "/v1/devices/d-a", token, {"address": "coap://127.0.0.1:9"}).status, 200)
        self.assertEqual(self.ask("PATCH", "/v1/devices/d-a", token, {"address": "coap://127.0.0.1:11"}).status, 200)
        self.assertEqual(self.ask("PATCH", "/v1/devices/d-a", token, {"address": "nowhere"}).status, 400)

    def test_a_tenant_takes_no_device_out_of_the_groups_of_others(self):
        self.two_tenants()
        token = self.token("a", "owner", "a")
        self.owner("PATCH", "/v1/devices/d-a", {"groups": ["a", "b", "critical"]}, 200)
        for groups in (["a"], ["a", "b"], ["a", "critical"]):
            self.assertEqual(self.ask("PATCH", "/v1/devices/d-a", token, {"groups": groups}).status, 403, groups)
        self.assertEqual(self.ask("PATCH", "/v1/devices/d-a", token, {"groups": ["critical", "b", "a"]}).status, 200)

    def test_artifacts_of_a_tenant(self):
        self.two_tenants()
        mine, theirs = self.token("a", "publisher", "a"), self.token("b", "publisher", "b")
        code = harness.example_bytes("room-climate.wasm")
        headers = {"Content-Type": "application/wasm"}
        upload = lambda token, name: self.upload(token, name, code, headers)
        self.assertEqual(upload(mine, "b-app").status, 403)
        added = upload(mine, "a-app")
        self.assertEqual(added.status, 201, added)
        digest = added.json["id"]
        self.assertEqual(len(self.ask("GET", "/v1/artifacts", mine).json["items"]), 1)
        self.assertEqual(self.ask("GET", "/v1/artifacts", theirs).json["items"], [])
        for rest in ("", "/code", "/data"):
            self.same_but_for(self.ask("GET", f"/v1/artifacts/{digest}{rest}", theirs),
                              self.ask("GET", f"/v1/artifacts/{DIGEST}{rest}", theirs), digest, DIGEST)
        self.assertEqual(self.ask("DELETE", f"/v1/artifacts/{digest}", theirs).status, 404)
        self.assertEqual(upload(theirs, "b-app").status, 409)
        deploy = self.token("b-op", "operator", "b")
        self.assertEqual(self.ask("PUT", "/v1/devices/d-b/containers/app", deploy,
                                  {"artifact": digest, "state": "running"}).status, 404)

    def upload(self, token, name, code, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.gw.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request("POST", f"/v1/artifacts?name={name}&type=wasm", code,
                           {**headers, "Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return harness.Answer(response.status, dict(response.getheaders()), response.read())

    # Tokens ---------------------------------------------------------------------------------------------------------

    def test_tokens(self):
        secret = self.token("ci", "viewer")
        self.assertEqual(self.ask("GET", "/v1/whoami", secret).json["name"], "token:ci")
        shown = self.owner("GET", "/v1/tokens/ci", status=200)
        self.assertNotIn("token", shown.json)
        self.assertIsNotNone(shown.json["last_used_at"])
        self.assertEqual(self.owner("POST", "/v1/tokens", {"name": "ci", "role": "viewer"}).status, 409)
        for bad in ({"name": "x"}, {"name": "x", "role": "god"}, {"name": "x", "role": "none"},
                    {"name": "x y", "role": "viewer"}, {"name": "x", "role": "viewer", "tenant": "nobody"},
                    {"name": "x", "role": "viewer", "expires_in": 0}, {"name": "x", "role": "viewer", "more": 1}):
            self.assertEqual(self.owner("POST", "/v1/tokens", bad).status, 400, bad)
        for path in (self.gw.state, ):
            for name in os.listdir(path):
                full = os.path.join(path, name)
                if os.path.isfile(full):
                    with open(full, "rb") as file:
                        self.assertNotIn(secret.encode(), file.read(), name)
        self.assertNotIn(secret, self.gw.log())

    def test_a_token_ends_at_once(self):
        secret = self.token("gone", "viewer")
        stream = http.client.HTTPConnection("127.0.0.1", self.gw.port, timeout=20)
        self.addCleanup(stream.close)
        stream.request("GET", "/v1/events", headers={"Accept": "text/event-stream",
                                                     "Authorization": f"Bearer {secret}"})
        answer = stream.getresponse()
        self.assertEqual(answer.status, 200)
        self.owner("DELETE", "/v1/tokens/gone", status=204)
        self.assertEqual(self.ask("GET", "/v1/devices", secret).status, 401)
        self.assertIn(b"event: end", answer.read())  # and nothing follows
        short = self.token("short", "viewer", expires_in=1)
        harness.wait_for(lambda: self.ask("GET", "/v1/devices", short).status in (401, 429), what="the token's end")
        self.assertTrue(self.owner("GET", "/v1/tokens/short", status=200).json["expired"])

    def test_tokens_outlive_a_restart(self):
        secret = self.token("kept", "viewer")
        self.gw.stop()
        self.gw.start()
        self.assertEqual(self.ask("GET", "/v1/devices", secret, fresh=True).status, 200)

    def test_guesses_are_slowed_down(self):
        good = self.token("good", "viewer")
        answers = [self.ask("GET", "/v1/devices", "tcgw_" + format(i, "064x")) for i in range(30)]
        self.assertEqual(answers[0].status, 401)
        self.assertEqual(answers[-1].status, 429)
        self.assertIn("Retry-After", answers[-1].headers)
        self.assertEqual(self.ask("GET", "/v1/devices", good).status, 200)
        for bad in ("Basic YTpi", "Bearer", "Bearer ", "Bearer \x7f", "Bearer a b", "Negotiate x"):
            answer = self.ask("GET", "/v1/devices", headers={"Authorization": bad})
            self.assertIn(answer.status, (401, 429), bad)

    # Grants ---------------------------------------------------------------------------------------------------------

    def test_grants_of_users(self):
        me = pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual(self.owner("GET", "/v1/whoami").json["role"], "owner")
        self.assertEqual(self.owner("PUT", "/v1/grants/me", {"user": "no-such-user", "role": "viewer"}).status, 400)
        for bad in ({"role": "viewer"}, {"user": me}, {"user": me, "group": me, "role": "viewer"},
                    {"claim": "sub", "role": "viewer"}, {"fingerprint": "xyz", "role": "viewer"},
                    {"user": me, "role": "viewer", "tenant": "nobody"}):
            self.assertEqual(self.owner("PUT", "/v1/grants/me", bad).status, 400, bad)
        owner = self.token("owner", "owner")
        self.owner("PUT", "/v1/tenants/a", {"groups": ["a"]}, 200)
        self.owner("PUT", "/v1/grants/me", {"user": me, "role": "viewer", "tenant": "a"}, 200)
        said = self.owner("GET", "/v1/whoami").json
        self.assertEqual((said["name"], said["role"], said["tenant"], said["from"]), (f"user:{me}", "viewer", "a", "unix"))
        self.assertEqual(self.owner("DELETE", "/v1/grants/me").status, 403)
        self.assertEqual(self.ask("DELETE", "/v1/tenants/a", owner).status, 409)
        self.assertEqual(self.ask("DELETE", "/v1/grants/me", owner).status, 204)
        self.assertEqual(self.ask("DELETE", "/v1/tenants/a", owner).status, 204)
        self.assertEqual(self.owner("GET", "/v1/whoami").json["role"], "owner")

    def test_an_answer_is_kept_for_its_caller(self):
        """Another caller with the same key and body is not told what the first one was."""
        one, two = self.token("one", "owner"), self.token("two", "owner")
        headers = {"Idempotency-Key": "k"}
        body = {"id": "d1", "address": "coap://127.0.0.1:9"}
        self.assertEqual(self.ask("POST", "/v1/devices", one, body, headers).status, 201)
        self.assertEqual(self.ask("POST", "/v1/devices", one, body, headers).status, 201)
        self.assertNotEqual(self.ask("POST", "/v1/devices", two, body, headers).status, 201)

    # JSON Web Tokens ------------------------------------------------------------------------------------------------

    ISSUER, AUDIENCE = "https://id.example", "tcgw"

    def write_keys(self, *keys):
        fresh = self.keys + ".new"
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(jwks.key_set(*keys))
        os.rename(fresh, self.keys)

    def with_jwts(self, *keys):
        """A gateway that takes tokens by these keys, and a grant for operators."""
        self.gw.stop()
        self.keys = os.path.join(self.gw.directory, "jwks.json")
        self.write_keys(*keys)
        self.gw.settings += [f"auth.jwt_issuer={self.ISSUER}", f"auth.jwt_audience={self.AUDIENCE}",
                             f"auth.jwt_keys={self.keys}", "auth.jwt_leeway=5s"]
        self.gw.start()
        self.owner("PUT", "/v1/grants/ops", {"claim": "realm.roles", "value": "ops", "role": "operator"}, 200)

    def claims(self, **more):
        now = int(time.time())
        said = {"iss": self.ISSUER, "aud": self.AUDIENCE, "sub": "alice", "exp": now + 600, "nbf": now - 1,
                "realm": {"roles": ["ops", "staff"]}, **more}
        return {name: value for name, value in said.items() if value is not None}

    def test_json_web_tokens(self):
        keys = [jwks.Key(algorithm, algorithm) for algorithm in ("RS256", "PS256", "ES256", "EdDSA")]
        self.with_jwts(*keys)
        for key in keys:
            said = self.ask("GET", "/v1/whoami", key.token(self.claims()))
            self.assertEqual((said.status, said.json.get("role")), (200, "operator"), said)
            self.assertEqual(said.json["name"], f"jwt:alice@{self.ISSUER}")
        key = keys[-1]
        self.assertEqual(self.ask("GET", "/v1/devices", key.token(self.claims(realm={"roles": ["x"]}))).status, 403)
        who = lambda sub: self.ask("GET", "/v1/whoami", key.token(self.claims(sub=sub))).json["name"]
        shared = "system:serviceaccount:" + "n" * 60
        cut = who(shared + "one")
        self.assertTrue(cut.startswith("jwt:system:serviceaccount:"), cut)
        taken = cut[len("jwt:"):].split("@")[0]
        self.assertEqual(len({cut, who(shared + "two"), who(taken), who(shared), who("\u00e4" * 60)}), 5)
        self.assertEqual(self.ask("GET", "/v1/devices", key.token(self.claims(aud=["x", self.AUDIENCE]))).status, 200)

    def test_bad_json_web_tokens(self):
        key, other, rsa = jwks.Key("EdDSA", "k"), jwks.Key("EdDSA", "k"), jwks.Key("RS256", "r")
        self.with_jwts(key, rsa)
        now = int(time.time())
        good = key.token(self.claims())
        head, body, signature = good.split(".")
        secret = hmac.new(rsa.public()["n"].encode(), b"x", hashlib.sha256).digest()
        for number, bad in enumerate((
                key.token(self.claims(exp=now - 60)), key.token(self.claims(exp=None)), key.token(self.claims(exp="1")),
                key.token(self.claims(nbf=now + 60)), key.token(self.claims(iss="https://evil.example")),
                key.token(self.claims(iss=None)), key.token(self.claims(aud="other")), key.token(self.claims(aud=None)),
                other.token(self.claims()), key.token(self.claims(), alg="RS256"), rsa.token(self.claims(), alg="PS256"),
                key.token(self.claims(), alg="none"), key.token(self.claims(), alg=None),
                key.token(self.claims(), crit=["exp"]), f"{jwks.encode({'alg': 'none'})}.{body}.",
                f"{jwks.encode({'alg': 'HS256', 'kid': 'r'})}.{body}.{jwks.encode(secret)}", f"{head}.{body}.",
                f"{head}.{body}", f"{head}.{body}.{signature}.x", f"{head}.{body}.{signature}=", f"..{signature}",
                f"{head}.{jwks.encode(self.claims(sub='mallory'))}.{signature}", "a.b.c", ".." )):
            answer = self.ask("GET", "/v1/whoami", bad)
            self.assertEqual(answer.status, 401 if number < 10 else 429, (number, answer))
        self.assertEqual(self.ask("GET", "/v1/whoami", good).status, 429)  # a signature costs something

    def test_keys_rotate(self):
        old, new = jwks.Key("ES256", "old"), jwks.Key("ES256", "new")
        self.with_jwts(old)
        self.assertEqual(self.ask("GET", "/v1/whoami", old.token(self.claims())).status, 200)
        self.write_keys(new)
        harness.wait_for(lambda: self.ask("GET", "/v1/whoami", new.token(self.claims())).status == 200,
                         what="the new key")
        self.assertEqual(self.ask("GET", "/v1/whoami", old.token(self.claims())).status, 401)
        with open(self.keys, "w", encoding="utf-8") as file:
            file.write("{")
        self.gw.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.ask("GET", "/v1/whoami", new.token(self.claims())).status, 200)  # kept

    def test_keys_of_a_url(self):
        key = jwks.Key("EdDSA", "k")
        served = {"text": jwks.key_set(key), "count": 0}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                served["count"] += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(served["text"].encode())

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.gw.stop()
        self.gw.settings += [f"auth.jwt_issuer={self.ISSUER}", f"auth.jwt_audience={self.AUDIENCE}",
                             f"auth.jwt_keys=http://127.0.0.1:{server.server_port}/jwks"]
        self.gw.start()
        harness.wait_for(lambda: self.gw.log().count("keys of JWTs read") >= 1, what="the keys")
        self.assertEqual(self.ask("GET", "/v1/whoami", key.token(self.claims())).status, 200)
        stranger = jwks.Key("EdDSA", "stranger")
        count = served["count"]
        for _ in range(5):
            self.assertEqual(self.ask("GET", "/v1/whoami", stranger.token(self.claims())).status, 401)
        harness.wait_for(lambda: served["count"] == count + 1, what="one look for newer keys")
        served["text"] = "x" * (300 << 10)  # huge
        self.gw.process.send_signal(signal.SIGHUP)
        harness.wait_for(lambda: "cannot be fetched" in self.gw.log(), what="the refusal")
        self.assertEqual(self.ask("GET", "/v1/whoami", key.token(self.claims())).status, 200)
        server.shutdown()
        server.server_close()
        self.gw.stop()
        self.gw.start()  # without the network
        self.assertEqual(self.ask("GET", "/v1/whoami", key.token(self.claims()), fresh=True).status, 200)


if __name__ == "__main__":
    unittest.main()
