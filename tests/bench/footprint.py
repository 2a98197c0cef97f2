"""What devices cost that register, are heard and send telemetry: memory and disk."""
import os
import time

from benchlib import harness, resident_mib, row
from secured import Fleet

ROWS = ["footprint_1000", "footprint_10000"]
RECORDS = 20  # of each device, at least; in four series
EACH_S = 5    # between the messages of a device, one record each
# What a gateway on a machine with 512 MiB may take: itself, and so much for each device.
BASE_MIB, DEVICE_KIB = 32, 12


def disk_kib(directory):
    return sum(os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory)
               if name.startswith("tcgw.db")) / 1024


def measure_count(count):
    fleet = Fleet(count, True, extra=["--register", "--telemetry", f"{EACH_S}s"])
    try:
        sent = "tcgw_telemetry_records_total"
        harness.wait_for(lambda: fleet.gateway.metrics()[sent] >= RECORDS * count, RECORDS * EACH_S * 3,
                         what=f"{RECORDS} records of each of {count} devices")
        time.sleep(1)
        storage = fleet.gateway.get("/v1/storage").json
        resident = resident_mib(fleet.gateway.process.pid)
        disk = disk_kib(fleet.gateway.state)
        records = fleet.gateway.metrics()[sent]
    finally:
        fleet.close()
    limit = BASE_MIB + DEVICE_KIB * count / 1024
    return row(f"footprint_{count}", resident, "MiB", f"limit; {disk / 1024:.1f} MiB on the disk with {records:.0f} records "
               f"of {count} devices", limit, 1.0, resident <= limit, disk_kib=round(disk), records=int(records),
               device_kib=round((resident - BASE_MIB / 2) * 1024 / count, 2), storage=storage)


def measure_footprint(wanted):
    return [measure_count(int(name.rsplit("_", 1)[1])) for name in ROWS if name in wanted]
