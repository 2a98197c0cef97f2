"""What the benchmarks share: processors, wrk, figures and rows."""
import json
import os
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import harness  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(harness.BUILD, "tests/bench")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "1"))
PROCESSORS = sorted(os.sched_getaffinity(0))
MEASURED = ["taskset", "-c", str(PROCESSORS[0])]
LOADING = ["taskset", "-c", str(PROCESSORS[-1])]
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def run(command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def processor_us(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def wrk(process, port, connections, path="/", devices=1, first=0, fresh=False, scheme="http", token="", patch=""):
    """Loads a process's HTTP port for SECONDS. A %d in the path is replaced by 0 to devices - 1, one after the other,
    beginning after first; with fresh the gateway shall ask the device."""
    parts = [os.path.join(HERE, name) for name in ("each-device.lua", "report-latency.lua")]
    joined = os.path.join(harness.BUILD, "bench", "wrk.lua")
    with open(joined, "w", encoding="utf-8") as out:
        for part in parts:
            with open(part, encoding="utf-8") as file:
                out.write(file.read())
    command = [*LOADING, "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", joined,
               f"{scheme}://127.0.0.1:{port}"]
    variables = {"BENCH_DEVICES": str(devices), "BENCH_FIRST": str(first), "BENCH_PATH": path,
                 "BENCH_FRESH": "yes" if fresh else "", "BENCH_TOKEN": token, "BENCH_PATCH": patch}
    used = processor_us(process)
    output = run(command, env={**os.environ, **variables})
    used = processor_us(process) - used
    figures = json.loads(next(line for line in output.splitlines() if line.startswith("BENCH "))[6:])
    if figures["errors"] or not figures["rate"]:
        raise AssertionError(f"{figures['errors']} errors, {figures['rate']} requests/s in: {' '.join(command)}")
    figures["load"] = " ".join([f"{name}={value}" for name, value in variables.items()] + command)
    figures["processor_us"] = used / figures["requests"]
    return figures


def median(rounds, key="rate"):
    return statistics.median(figures[key] for figures in rounds)


def details(rounds):
    return {key: round(median(rounds, key), 2) for key in ("p50_us", "p90_us", "p99_us", "max_us", "processor_us")}


def row(name, value, unit, reference, reference_value, target, met, **more):
    return {"name": name, "value": round(value, 2), "unit": unit, "reference": reference,
            "reference_value": round(reference_value, 2), "ratio": round(value / reference_value, 3),
            "target_ratio": target, "met": met,
            "command": f"TCGW_BUILD={os.path.abspath(harness.BUILD)} {os.path.join(HERE, 'run')} {name}", **more}
