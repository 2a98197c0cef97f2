"""Telemetry on the disk: how fast it gets there, and how fast it is read again."""
import json
import os
import random
import shutil
import statistics
import tempfile

import harness
from benchlib import BENCH, LOADING, MEASURED, ROUNDS, SECONDS, median, row, run
from telemetry import DEVICES, Telemetry, load

DURABLE_ROWS = ["telemetry_durable"]
QUERY_ROWS = ["history_query"]
PACK = 10
RECORDS = int(os.environ.get("BENCH_RECORDS", "50000000"))


def bench_history(*arguments, at=MEASURED):
    return json.loads(run([*at, os.path.join(BENCH, "bench_history"), *map(str, arguments)]))


def commits(gateway):
    return gateway.get("/v1/info").json["storage"]["commits"]


def measure_durable(_wanted):
    """Packs of ten over CoAP until the answer; beside it SQLite alone with as many records in each commit."""
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    directory = tempfile.mkdtemp(prefix="tcgw-bench-", dir=harness.BUILD)
    durable, bare, sizes = [], [], []
    server = None
    try:
        server = Telemetry(host)
        for _ in range(ROUNDS):
            before = commits(server.gateway)
            figures = load(server, host, DEVICES, PACK)
            size = max(1, round(figures["count"] * PACK / max(1, commits(server.gateway) - before)))
            durable.append({"rate": figures["rate"] * PACK})
            sizes.append(size)
            bare.append(bench_history("bare", directory, SECONDS, size, at=LOADING))
    finally:
        if server:
            server.close()
        shutil.rmtree(directory)
    value, reference, size = median(durable), median(bare), statistics.median(sizes)
    return [row("telemetry_durable", value, "records/s",
                f"bare SQLite appends of single records, synchronous=FULL, no secondary index, {size:.0f} per commit",
                reference, 0.5, value >= 0.5 * reference, devices=DEVICES, records_per_commit=size)]


def measure_query(_wanted):
    """A day of one series of 500, each record ten seconds after the other; read again and again, so that both the
    database and the file beside it are in the page cache."""
    directory = tempfile.mkdtemp(prefix="tcgw-bench-", dir=harness.BUILD)
    try:
        filled = bench_history("fill", directory, RECORDS, at=[])
        figures = bench_history("query", directory, 5 * ROUNDS)
    finally:
        shutil.rmtree(directory)
    value, reference = statistics.median(figures["raw_us"]), statistics.median(figures["file_us"])
    assert figures["points"] == min(8640, RECORDS // 500), figures
    return [row("history_query", value, "us",
                f"reading as many bytes, {figures['stored_bytes']:.0f}, of the file; {figures['points']} points of "
                f"{figures['records']} records, {figures['bytes_per_record']} bytes per record in chunks, "
                f"{filled['file_bytes_per_record']} with all of the database; 288 buckets of the same day "
                f"{statistics.median(figures['buckets_us']):.0f} us", reference, None, True,
                fill_seconds=filled["seconds"], bytes_per_record=figures["bytes_per_record"],
                file_bytes_per_record=filled["file_bytes_per_record"])]
