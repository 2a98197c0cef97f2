"""A rollout to 1,000 devices beside the bare exchanges that it takes."""
import os
import time

from benchlib import LOADING, MEASURED, harness, row

ROWS = ["rollout_1000"]
DEVICES = int(os.environ.get("BENCH_ROLLOUT_DEVICES", "1000"))
EXCHANGES = 200  # deployments one after the other that are timed


def deploy_one_by_one(gateway, artifact, devices):
    """Seconds per device of a container's deployment, when each waits for the one before."""
    began = time.monotonic()
    for device in devices:
        answer = gateway.deploy(device, "bare", artifact)
        assert answer.status == 200 and answer.json["state"] == "succeeded", answer
    return (time.monotonic() - began) / len(devices)


def roll_out(gateway, artifact):
    began = time.monotonic()
    answer = gateway.post("/v1/rollouts", {"container": "app", "artifact": artifact, "devices": {"all": True},
                                           "max_parallel": 1000})
    assert answer.status == 201, answer

    def ended():
        found = gateway.get(answer.headers["Location"]).json
        assert found["state"] in ("running", "succeeded"), found
        return found["state"] == "succeeded"
    harness.wait_for(ended, 300, 0.05, "the rollout to succeed")
    return time.monotonic() - began


def measure_rollout(_wanted):
    agent = harness.Agent(count=DEVICES, wrapper=LOADING, journal=False)
    gateway = harness.Gateway("limits.devices=10000", wrapper=MEASURED)
    try:
        agent.start()
        gateway.start()
        for i in range(DEVICES):
            gateway.add_device(f"bench-{i:04}", agent, i, agent="v2")
        artifact = gateway.push_example("counter", limits={"loop_period_ms": 600000})
        each = deploy_one_by_one(gateway, artifact, [f"bench-{i:04}" for i in range(EXCHANGES)])
        seconds = roll_out(gateway, artifact)
    finally:
        gateway.close()
        agent.close()
    reference = each * DEVICES
    return [row("rollout_1000", seconds, "s", f"{DEVICES} deployments one after the other", reference, 1.0,
                seconds <= reference, devices=DEVICES, deployment_ms=round(each * 1000, 2))]
