#!/usr/bin/env python3
"""Telemetry out, with the real daemon: pages, aggregates against values computed here, formats, time zones, bad
parameters, and what tcgw prints."""
import csv
import datetime
import io
import json
import math
import subprocess

import harness
from test_telemetry import CHANGED, SENML_JSON, Plain

BASE = 1767225600  # 2026-01-01T00:00:00Z
STEP = 10
COUNT = 400


def value(i):
    return round(20 + 5 * math.sin(i / 20) + i / 1000, 3)


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class History(harness.GatewayTest):
    def setUp(self):
        self.gw = self.gateway("telemetry.max_rate=0", "telemetry.max_age=36500d")
        for name in ("one", "two"):
            device = Plain(self.gw)
            self.addCleanup(device.close)
            self.gw.add_device(name, device)
            self.fill(device)

    def fill(self, device):
        for at in range(0, COUNT, 40):
            pack = [{"bt": BASE, "n": "temp", "u": "Cel", "t": i * STEP, "v": value(i)} for i in range(at, at + 40)]
            self.assertEqual(device.send_blocks("/t", json.dumps(pack).encode(), SENML_JSON)[0], CHANGED)
        rest = [{"bn": "door/", "bt": BASE, "n": "open", "vb": True}, {"n": "text", "vs": 'a "b",\n'},
                {"n": "bytes", "vd": "_w"}, {"n": "energy", "s": 12.5, "u": "J"}]
        self.assertEqual(device.send_blocks("/t", json.dumps(rest).encode(), SENML_JSON)[0], CHANGED)

    def pages(self, path):
        """All items, page by page."""
        items, cursor = [], ""
        while True:
            answer = self.gw.get(path + (f"&cursor={cursor}" if cursor else ""))
            self.assertEqual(answer.status, 200, answer)
            items += answer.json["items"]
            cursor = answer.json["next"]
            if not cursor:
                return items
            self.assertEqual(answer.headers["Tcgw-Next"], cursor)

    def test_pages(self):
        one = "/v1/devices/one/telemetry?name=temp"
        want = [(stamp(BASE + i * STEP), value(i)) for i in range(COUNT)]
        got = self.pages(one + "&limit=77")
        self.assertEqual([(r["time"], r["value"]) for r in got], want)
        self.assertEqual({(r["device"], r["name"], r["unit"]) for r in got}, {("one", "temp", "Cel")})
        got = self.pages(one + "&limit=199&order=desc")
        self.assertEqual([(r["time"], r["value"]) for r in got], want[::-1])
        everything = self.pages("/v1/telemetry?limit=150")
        self.assertEqual(len(everything), 2 * (COUNT + 4))
        keys = [(r["device"], r["name"], r["time"]) for r in everything]
        self.assertEqual(keys, sorted(keys))
        self.assertEqual({r["name"] for r in self.pages("/v1/telemetry?name=door/*")},
                         {"door/open", "door/text", "door/bytes", "door/energy"})
        series = self.pages("/v1/series?limit=3")
        self.assertEqual(len(series), 10)
        self.assertEqual([s["count"] for s in series if s["name"] == "temp"], [COUNT, COUNT])
        newest = next(s for s in series if s["name"] == "temp")
        self.assertEqual((newest["time"], newest["oldest_at"]), (want[-1][0], want[0][0]))
        self.assertEqual(len(self.pages("/v1/devices/two/series?limit=3")), 5)

    def test_ranges_and_zones(self):
        def times(query):
            return [r["time"] for r in self.pages(f"/v1/devices/one/telemetry?name=temp&limit=1000&{query}")]

        want = [stamp(BASE + i * STEP) for i in range(6, 12)]
        self.assertEqual(times("from=2026-01-01T00:01:00Z&to=2026-01-01T00:02:00Z"), want)
        self.assertEqual(times("from=2026-01-01T02:01:00%2B02:00&to=2026-01-01T00:02:00.000000Z"), want)
        self.assertEqual(times("from=2026-01-01T02:01:00+02:00&to=2025-12-31T18:32:00-05:30"), want)
        self.assertEqual(times("from=2026-01-01T00:01:00.000001Z&to=2026-01-01T00:02:00.000001Z"),
                         want[1:] + [stamp(BASE + 120)])
        self.assertEqual(times("from=-1ms&to=%2B1h"), [])

    def test_aggregates(self):
        bucket = 420
        answer = self.pages(f"/v1/devices/one/telemetry?name=temp&bucket={bucket}s&limit=4")
        want = {}
        for i in range(COUNT):
            at = BASE + i * STEP
            want.setdefault(at // bucket * bucket, []).append((at, value(i)))
        self.assertEqual([b["time"] for b in answer], [stamp(at) for at in sorted(want)])
        for got, at in zip(answer, sorted(want)):
            numbers = [v for _, v in want[at]]
            self.assertEqual((got["count"], got["min"], got["max"]), (len(numbers), min(numbers), max(numbers)))
            self.assertAlmostEqual(got["mean"], sum(numbers) / len(numbers), places=9)
            self.assertEqual(got["last"], {"time": stamp(want[at][-1][0]), "value": numbers[-1]})
        answer = self.gw.get("/v1/devices/one/telemetry?name=temp&bucket=1d&aggregate=max,count").json["items"]
        self.assertEqual(answer, [{"device": "one", "name": "temp", "unit": "Cel", "time": stamp(BASE), "count": COUNT,
                                   "max": max(value(i) for i in range(COUNT))}])

    def test_formats(self):
        answer = self.gw.get("/v1/devices/one/telemetry?limit=1000", headers={"Accept": "text/csv"})
        self.assertTrue(answer.headers["Content-Type"].startswith("text/csv"))
        rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
        self.assertEqual([(r["time"], float(r["value"])) for r in rows if r["name"] == "temp"],
                         [(stamp(BASE + i * STEP), value(i)) for i in range(COUNT)])
        by_name = {r["name"]: r for r in rows}
        self.assertEqual(by_name["door/text"]["value"], 'a "b",\n')
        self.assertEqual((by_name["door/open"]["value"], by_name["door/bytes"]["value"]), ("true", "/w=="))
        self.assertEqual((by_name["door/energy"]["sum"], by_name["door/energy"]["value"]), ("12.5", ""))
        answer = self.gw.get("/v1/telemetry?name=temp&limit=1000", headers={"Accept": "application/senml+json"})
        self.assertEqual(answer.headers["Content-Type"], "application/senml+json")
        base, got = {}, []
        for record in answer.json:
            base.update({k: v for k, v in record.items() if k[0] == "b"})
            got.append((base.get("bn", "") + record.get("n", ""), base.get("bt", 0) + record.get("t", 0),
                        base.get("bv", 0) + record["v"]))
        want = [(f"{d}/temp", BASE + i * STEP, value(i)) for d in ("one", "two") for i in range(COUNT)]
        self.assertEqual([(n, round(t)) for n, t, _ in got], [(n, t) for n, t, _ in want])
        for (_, _, a), (_, _, b) in zip(got, want):
            self.assertAlmostEqual(a, b, places=9)

    def test_bad_parameters(self):
        for query in ("from=yesterday", "to=1767225600", "from=now&to=-1h", "limit=0", "limit=1001", "cursor=zz",
                      "cursor=00ff", "order=up", "name=a%20b", "aggregate=min", "aggregate=avg&bucket=5m", "bucket=1",
                      "bucket=999ms", "bucket=5m&order=desc", "nonsense=1", "name=" + 128 * "a"):
            with self.subTest(query):
                self.assert_problem(self.gw.get(f"/v1/telemetry?{query}"), 400, "invalid-parameter")
        self.assert_problem(self.gw.get("/v1/devices/none/telemetry"), 404, "not-found")
        self.assert_problem(self.gw.get("/v1/devices/none/series"), 404, "not-found")
        self.assert_problem(self.gw.get("/v1/telemetry", headers={"Accept": "image/png"}), 406, "not-acceptable")
        self.assertEqual(self.gw.get("/v1/devices/one/telemetry?name=nothing").json, {"items": [], "next": None})

    def test_storage_and_tool(self):
        storage = self.gw.get("/v1/storage").json
        self.assertTrue(storage["telemetry"]["unsealed_messages"] or storage["telemetry"]["records"])
        self.assertGreater(storage["journal"]["bytes_per_entry"], 10)
        self.assertGreater(storage["disk"]["free"], 0)
        self.assertGreaterEqual(storage["buffer"]["last_hour"]["records_per_hour"], 0)

        def tcgw(*words):
            return subprocess.run([harness.program("tcgw"), "--socket", self.gw.socket, *words], check=True,
                                  capture_output=True, text=True, timeout=60).stdout

        self.assertIn("records", tcgw("storage"))
        self.assertIn("door/text", tcgw("telemetry", "series", "one"))
        self.assertIn(stamp(BASE), tcgw("telemetry", "list", "one", "--name", "temp"))
        self.assertEqual(len(tcgw("telemetry", "list", "--name", "temp", "--csv").splitlines()), 2 * COUNT + 1)
        self.assertIn("█", tcgw("telemetry", "show", "one", "temp", "--from", stamp(BASE), "--bucket", "5m"))


if __name__ == "__main__":
    harness.unittest.main()
