"""The examples of docs/rest-api.md, run in their order against a real gateway and agent."""
import json
import os
import re

import harness


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

    def fill(self, text):
        text = text.replace("coap://192.0.2.7", self.device.address())
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def send(self, line, fields, body):
        method, path = self.fill(line).split(" ")
        sent = re.fullmatch(r"<(.*)>", body)
        sent = harness.example_bytes(sent[1]) if sent else self.fill(body).encode() or None
        return self.daemon.request(method, path, sent, {name: self.fill(value) for name, value in fields.items()})

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


if __name__ == "__main__":
    harness.main()
