"""Every route of the contract is reached by a command of tcgw, or is listed here with the reason why not."""
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading

import harness
import yaml

DIGEST = "3f2a91b2c3d4e5f60718293a4b5c6d7e8f9001122334455667788990abbccdde"
NOT_FOR_PEOPLE = {
    "getOpenapi": "the contract is for programs",
    "proxyGet": "for HTTP clients that have a CoAP URI (RFC 8075); tcgw resource asks by device",
    "proxyPut": "as proxyGet",
    "proxyPost": "as proxyGet",
    "proxyPatch": "as proxyGet",
    "proxyDelete": "as proxyGet",
    "endTrace": "tcgw device trace sends it when it ends, which this gateway's trace never does",
    "getTracePcap": "tcgw device pcap asks for it when the trace has ended",
    "getCore": "for HTTP clients that look for the proxy (RFC 8075)",
}
COMMANDS = {
    "getHealth": "status",
    "getReady": "doctor",
    "getInfo": "status",
    "getLogLevels": "log-level",
    "putLogLevels": "log-level rest debug",
    "beginTrace": "device trace x --for 1",
    "getTrace": "device trace x --for 1",
    "makeBackup": "backup x.backup",
    "checkDatabase": "db check",
    "compactDatabase": "db compact",
    "getKey": "key show",
    "distrustContexts": "gateway distrust",
    "getMetrics": "top --json",
    "listDevices": "device list",
    "addDevice": "device add coap://[::1]",
    "listDirectory": "directory list",
    "getRegistration": "directory show 4",
    "removeRegistration": "directory remove 4",
    "getDevice": "device show x",
    "patchDevice": "device set x --name y",
    "removeDevice": "device remove x",
    "probeDevice": "device probe x",
    "listContainers": "container list x",
    "getContainer": "container show x y",
    "putContainer": f"deploy x y {DIGEST}",
    "removeContainer": "container remove x y",
    "startContainer": "container start x y",
    "stopContainer": "container stop x y",
    "execContainer": "container exec x y",
    "getContainerLog": "container logs x y",
    "explainContainer": "container explain x y",
    "listCredentials": "device credentials x",
    "enrolDevice": "device enrol x",
    "importCredentials": "device import x credentials.json",
    "revokeAllCredentials": "device revoke x",
    "revokeCredentials": "device revoke x 2",
    "getDesired": "shadow get x",
    "putDesired": "shadow set x object.json",
    "removeDesired": "shadow delete x",
    "getReported": "shadow get x --reported",
    "listResources": "resource list x",
    "listObservations": "resource observations x",
    "getResource": "resource get x /a",
    "putResource": "resource put x /a object.json",
    "postResource": "resource post x /a",
    "patchResource": "coap patch x /a --payload y",
    "removeResource": "coap delete x /a",
    "getCaller": "whoami",
    "listTokens": "token list",
    "addToken": "token add x viewer",
    "getToken": "token show x",
    "removeToken": "token remove x",
    "listGrants": "grant list",
    "getGrant": "grant show x",
    "putGrant": "grant set x viewer --user x",
    "removeGrant": "grant remove x",
    "listTenants": "tenant list",
    "getTenant": "tenant show x",
    "putTenant": "tenant set x --group x",
    "removeTenant": "tenant remove x",
    "listServices": "service list",
    "getService": "service show x",
    "putService": "service set x object.json",
    "removeService": "service remove x",
    "listGroups": "group list",
    "getGroup": "group show x",
    "putGroup": "group set x",
    "removeGroup": "group remove x",
    "listPublishers": "publisher list",
    "getPublisher": "publisher show x",
    "putPublisher": "publisher set x --key key.pem --artifact x",
    "removePublisher": "publisher remove x",
    "listReleases": "release list",
    "addRelease": "release add object.json",
    "getRelease": "release show x@1",
    "removeRelease": "release remove x@1",
    "listPolicies": "policy list",
    "getPolicy": "policy show x",
    "putPolicy": "policy set x object.json",
    "removePolicy": "policy remove x",
    "listTransfers": "transfer list",
    "listLinks": "link list",
    "getLink": "link show x",
    "putLink": "link set x",
    "removeLink": "link remove x",
    "listBudgets": "budget list",
    "getBudget": "budget show x",
    "putBudget": "budget set x --requests 1",
    "removeBudget": "budget remove x",
    "listEmergencyStops": "emergency list",
    "getEmergencyStop": "emergency show x",
    "putEmergencyStop": "container stop-everywhere x",
    "removeEmergencyStop": "emergency lift x",
    "listQuarantines": "quarantine list",
    "getQuarantine": "quarantine show x",
    "putQuarantine": "device quarantine x",
    "removeQuarantine": "device release x",
    "listRollouts": "rollout list",
    "addRollout": f"rollout create x {DIGEST} --all",
    "getRollout": "rollout show 01945b1e-0000-7000-8000-000000000001",
    "removeRollout": "rollout remove x",
    "listRolloutDevices": "rollout devices x",
    "pauseRollout": "rollout pause x",
    "resumeRollout": "rollout resume x",
    "abortRollout": "rollout abort x",
    "rollBack": "rollout rollback x",
    "listTelemetry": "telemetry list",
    "listDeviceTelemetry": "telemetry list x",
    "listSeries": "telemetry series",
    "listDeviceSeries": "telemetry series x",
    "listAudit": "audit list",
    "getAuditAnchor": "audit anchor",
    "getStorage": "storage",
    "getJoin": "join list",
    "openJoin": "join open 5",
    "closeJoin": "join close",
    "approvePending": "join approve x",
    "rejectPending": "join reject x",
    "listArtifacts": "artifact list",
    "addArtifact": "artifact push small.rbpf",
    "getArtifact": f"artifact show {DIGEST}",
    "removeArtifact": f"artifact remove {DIGEST}",
    "getArtifactCode": f"artifact get {DIGEST}",
    "getArtifactData": f"artifact get {DIGEST} --data",
    "pinArtifact": f"artifact pin {DIGEST}",
    "unpinArtifact": f"artifact unpin {DIGEST}",
    "collectArtifacts": "artifact gc",
    "listUploads": "upload list",
    "beginUpload": "artifact push large.rbpf",
    "continueUpload": "artifact push large.rbpf",
    "getUpload": f"upload show {DIGEST}",
    "removeUpload": f"upload remove {DIGEST}",
    "getEvents": "events --count 1",
    "listOperations": "operation list",
    "getOperation": "operation show x",
    "cancelOperation": "operation cancel x",
    "listSinks": "sink list",
    "getSink": "sink show x",
    "retrySink": "sink retry x",
    "listDeadLetters": "sink dead-letters x",
    "getDeadLetter": "sink letter x 1",
    "removeDeadLetter": "sink drop x 1",
    "retryDeadLetter": "sink resend x 1",
}


class Everything(http.server.BaseHTTPRequestHandler):
    """Answers whatever is asked with an object that has what any command could look for."""
    protocol_version = "HTTP/1.1"
    seen = []

    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(size)
        self.seen.append((self.command, self.path.split("?")[0]))
        item = {"id": "x", "name": "x", "state": "succeeded", "kind": "deploy", "next": None, "offset": 0, "length": 0,
                "public_key": "00" * 32, "pem": "-", "secrets": {}, "status": "ok"}
        body = json.dumps({**item, "items": [item]}).encode()
        stream = "event-stream" in self.headers.get("Accept", "")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
        self.send_header("Tcgw-Coap-Code", "2.05")
        if stream:
            body = b"id: 1\nevent: device\ndata: {}\n\n"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


class Coverage(harness.unittest.TestCase):
    def setUp(self):
        with open(os.path.join(harness.SOURCE, "docs/openapi.yaml"), encoding="utf-8") as file:
            paths = yaml.safe_load(file)["paths"]
        self.routes = {operation["operationId"]: (method.upper(), path) for path, methods in paths.items()
                       for method, operation in methods.items() if isinstance(operation, dict) and
                       "operationId" in operation}
        http.server.ThreadingHTTPServer.handle_error = lambda *_: None  # of commands that are ended
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Everything)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.directory = tempfile.TemporaryDirectory(prefix="tcgw-coverage-")
        self.addCleanup(self.directory.cleanup)
        files = {"object.json": b"{}", "small.rbpf": b"rBPFxxxx", "large.rbpf": b"rBPF" + bytes(300 << 10),
                 "credentials.json": json.dumps({"kind": "psk", "identity": "x", "key": "00" * 16}).encode()}
        for name, content in files.items():
            with open(os.path.join(self.directory.name, name), "wb") as file:
                file.write(content)
        subprocess.run(self.command("key", "generate", "key.pem"), cwd=self.directory.name, check=True)

    def command(self, *words):
        return [harness.program("tcgw"), "--url", f"http://127.0.0.1:{self.server.server_port}", "--timeout", "5", *words]

    def test_every_route_has_a_command(self):
        known = {**COMMANDS, **NOT_FOR_PEOPLE}
        self.assertEqual(sorted(set(self.routes) - set(known)), [], "routes without a command, and without a reason")
        self.assertEqual(sorted(set(known) - set(self.routes)), [], "routes that are gone")

    def test_the_commands_reach_them(self):
        for operation, line in COMMANDS.items():
            method, path = self.routes.get(operation, (None, None))
            if not method:
                continue  # told by the other test
            with self.subTest(operation):
                self.check(line, method, path)

    def check(self, line, method, path):
        pattern = re.compile(re.sub(r"\{path\}", ".+", path).replace("{", "(?P<").replace("}", ">[^/]+)") + "$")
        Everything.seen.clear()
        process = subprocess.Popen(self.command(*line.split()), cwd=self.directory.name, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def is_reached():
            return [1 for m, p in Everything.seen if m == method and pattern.match(p)]

        try:  # some of them go on for ever
            harness.wait_for(lambda: is_reached() or process.poll() is not None, timeout=30, what=f"tcgw {line}")
        finally:
            process.kill()
            process.wait()
        self.assertTrue(is_reached(), f"tcgw {line} did not send {method} {path} but {Everything.seen}")


if __name__ == "__main__":
    harness.main()
