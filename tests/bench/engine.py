"""The OSCORE engine beside the bare cipher."""
import json
import os
import statistics

from benchlib import BENCH, MEASURED, ROUNDS, row, run

ROWS = ["oscore_protect", "oscore_unprotect"]


def measure_engine(_wanted):
    """The engine beside the bare cipher, in rounds that bench_oscore interleaves."""
    figures = json.loads(run([*MEASURED, os.path.join(BENCH, "bench_oscore"), str(ROUNDS)]))
    rows = []
    for name in ("protect", "unprotect"):
        value = statistics.median(figures[f"{name}_oscore"])
        bare = statistics.median(figures[f"{name}_bare"])
        rows.append(row(f"oscore_{name}", value, "messages/s",
                        f"bare AES-CCM-16-64-128 of OpenSSL on the same {figures['size']}-byte message", bare, 0.4,
                        value >= 0.4 * bare))
    return rows
