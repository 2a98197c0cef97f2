"""The examples of docs/rest-api.md, run in their order against a real gateway and agent."""
import json
import os
import re

import harness
import yaml

try:
    import jsonschema
except ImportError:
    jsonschema = None  # answers are not compared with the contract then


class Contract:
    """docs/openapi.yaml, as a validator from outside understands it."""

    def __init__(self):
        with open(os.path.join(harness.SOURCE, "docs/openapi.yaml"), encoding="utf-8") as file:
            self.document = yaml.safe_load(file)

    def resolve(self, value):
        while "$ref" in value:
            target = self.document
            for name in value["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            value = target
        return value

    def find(self, method, path):
        path = path.split("?")[0]
        for template, methods in self.document["paths"].items():
            pattern = re.sub(r"\\{path\\}|\\{uri\\}", ".+", re.escape(template))
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", pattern)
            if re.fullmatch(pattern, path) and method.lower() in methods:
                return methods[method.lower()]
        raise AssertionError(f"{method} {path} is not in the contract")

    def check(self, method, path, answer):
        """Status, type and body are what the contract says."""
        responses = self.find(method, path)["responses"]
        response = self.resolve(responses.get(str(answer.status)) or responses.get("default") or {})
        assert response, f"{method} {path} gave {answer!r}, which the contract does not have"
        kind = (answer.headers["Content-Type"] or "").split(";")[0]
        content = response.get("content") or {}
        assert not answer.body or kind in content or "*/*" in content, f"{method} {path} gave {kind}, not {list(content)}"
        schema = content.get(kind, {}).get("schema")
        if schema and kind.endswith("json") and jsonschema:
            schema = {"$schema": "https://json-schema.org/draft/2020-12/schema",
                      "components": self.document["components"], "allOf": [schema]}
            jsonschema.Draft202012Validator(schema).validate(answer.json)


def read_examples():
    """Pairs of request and answer, each (first line, headers, body)."""
    with open(os.path.join(harness.SOURCE, "docs/rest-api.md"), encoding="utf-8") as file:
        text = file.read()
    blocks = []
    for block in re.findall(r"^```http\n(.*?)^```$", text, re.M | re.S):
        head, _, body = block.rstrip("\n").partition("\n\n")
        first, *fields = head.split("\n")
        blocks.append((first, dict(field.split(": ", 1) for field in fields), body))
    return list(zip(blocks[::2], blocks[1::2], strict=True))


class Examples(harness.GatewayTest):
    def setUp(self):
        self.daemon = self.gateway()
        self.device = self.agent()
        self.words = {}
        self.contract = Contract()

    def fill(self, text):
        text = text.replace("coap://192.0.2.7", self.device.address())
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def send(self, line, fields, body):
        method, path = self.fill(line).split(" ")
        sent = re.fullmatch(r"<(.*)>", body)
        sent = harness.example_bytes(sent[1]) if sent else self.fill(body).encode() or None
        answer = self.daemon.request(method, path, sent, {name: self.fill(value) for name, value in fields.items()})
        self.contract.check(method, path, answer)
        return answer

    def compare_text(self, shown, found, where):
        told = re.fullmatch(r"(.*?)([A-Z]{5,})", shown)
        if told and told[2] not in self.words:
            self.assertTrue(found.startswith(told[1]), where)
            self.words[told[2]] = found.removeprefix(told[1])
        elif shown != "...":
            self.assertEqual(self.fill(shown), found, where)

    def compare(self, shown, found, where):
        """What is shown is there, whatever else is."""
        if isinstance(shown, dict):
            self.assertIsInstance(found, dict, where)
            for name, value in shown.items():
                self.assertIn(name, found, where)
                self.compare(value, found[name], f"{where}: {name}")
        elif isinstance(shown, list):
            self.assertEqual(len(shown), len(found), where)
            for one, other in zip(shown, found):
                self.compare(one, other, where)
        elif isinstance(shown, str) and isinstance(found, str):
            self.compare_text(shown, found, where)
        else:
            self.assertEqual(shown, found, where)

    def test_examples(self):
        examples = read_examples()
        self.assertGreater(len(examples), 10)
        for request, (status, fields, body) in examples:
            answer = self.send(*request)
            where = f"{request[0]} gave {answer!r}"
            self.assertEqual(int(status.split(" ")[1]), answer.status, where)
            for name, value in fields.items():
                self.assertIn(name, answer.headers, where)
                self.compare_text(value, answer.headers[name].split(";")[0], where)
            if body:
                self.compare(json.loads(body), answer.json, where)

    def test_reads_are_as_the_contract_says(self):
        """Every GET, of a gateway that has one of most things."""
        gateway, artifact = self.daemon, self.daemon.push(harness.example_bytes("counter.rbpf"), {"type": "rbpf"})
        gateway.add_device("box", self.device, groups=["lab"], labels={"site": "paris"})
        place = "/v1/devices/box/containers/count"
        gateway.put(place, {"artifact": artifact}, headers={"Prefer": "wait=30"})
        operation = gateway.get("/v1/operations").json["items"][0]["id"]
        gateway.add_device("other", self.device)  # what is enrolled is no longer spoken to without protection
        gateway.enrol("other")
        gateway.put("/v1/groups/lab", {"observe": []})
        gateway.put("/v1/links/field", {"prefixes": ["192.0.2.0/24"]})
        gateway.put("/v1/policies/house", {"allow": True})
        gateway.put("/v1/services/s", {"devices": {"groups": ["none"]}, "containers": [{"uid": "a", "artifact": artifact}]})
        rollout = gateway.post("/v1/rollouts", {"container": "count", "artifact": artifact,
                                                "devices": {"devices": ["box"]}}).json["id"]
        gateway.put("/v1/devices/box/shadow/desired", {"a": 1})
        known = {"devices": "box", "groups": "lab", "links": "field", "policies": "house", "services": "s",
                 "operations": operation, "rollouts": rollout, "artifacts": artifact, "containers": "count"}
        self.contract.check("GET", "/v1/devices/other/credentials", gateway.get("/v1/devices/other/credentials"))
        for path, methods in self.contract.document["paths"].items():
            if "get" not in methods or path.startswith("/hc") or path == "/v1/backup":
                continue
            path = re.sub(r"(\w+)/\{(?!path)\w+\}", lambda m: f"{m[1]}/{known.get(m[1], 'none')}", path)
            path = path.replace("{path}", "tc")
            with self.subTest(path):
                headers = {"Accept": "application/json, */*;q=0.1"}
                self.contract.check("GET", path, gateway.get(path + ("?limit=1" if path == "/v1/events" else ""),
                                                             headers=headers))


if __name__ == "__main__":
    harness.main()
