"""Event streams: telemetry that many clients follow at once."""
import os
import random
import selectors
import socket
import struct
import threading
import time

import harness
from benchlib import MEASURED, PROCESSORS, processor_us, resident_mib, row

ROWS = ["events_500"]
STREAMS = 500
RATE = 1000  # events a second
WARM_S = int(os.environ.get("BENCH_EVENTS_WARM", "10"))  # until the ring is full
SECONDS = int(os.environ.get("BENCH_EVENTS_SECONDS", "10"))
DEVICES = 10
FIRST_PORT = 10000
MARK = b"\nevent: telemetry\n"


class Source(threading.Thread):
    """Devices that send one reading after the other, at RATE together."""

    def __init__(self, host, port):
        super().__init__(daemon=True)
        self.sockets = []
        for i in range(DEVICES):
            device = socket.socket(type=socket.SOCK_DGRAM)
            device.bind((host, FIRST_PORT + i))
            device.connect(("127.0.0.1", port))
            device.setblocking(False)
            self.sockets.append(device)
        self.sent = 0
        self.ended = False

    def send(self):
        device = self.sockets[self.sent % DEVICES]
        number = self.sent // DEVICES
        payload = f'[{{"n":"temperature","u":"Cel","v":{20 + number % 100 / 10}}}]'.encode()
        device.send(struct.pack("!BBHI", 0x54, 2, number & 0xFFFF, self.sent) + b"\xb1t\x11\x6e\xff" + payload)
        self.sent += 1
        try:
            while device.recv(2048):
                pass
        except BlockingIOError:
            pass

    def run(self):
        begin = time.monotonic()
        while not self.ended:
            due = int((time.monotonic() - begin) * RATE)
            while self.sent < due:
                self.send()
            time.sleep(0.002)


class Streams:
    def __init__(self, port, count):
        self.selector = selectors.DefaultSelector()
        self.counts = {}
        for _ in range(count):
            stream = socket.create_connection(("127.0.0.1", port))
            stream.sendall(b"GET /v1/events?kind=telemetry HTTP/1.1\r\nHost: localhost\r\n"
                           b"Accept: text/event-stream\r\n\r\n")
            assert stream.recv(4096).startswith(b"HTTP/1.1 200"), "a stream was refused"
            stream.setblocking(False)
            self.counts[stream] = [0, b""]
            self.selector.register(stream, selectors.EVENT_READ)

    def read(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                count = self.counts[key.fileobj]
                data = key.fileobj.recv(262144)
                assert data, "a stream ended"
                data = count[1] + data
                count[0] += data.count(MARK)
                count[1] = data[1 - len(MARK):] if not data.endswith(MARK) else b""

    def delivered(self):
        return [count[0] for count in self.counts.values()]

    def close(self):
        for stream in self.counts:
            stream.close()


def count_taken(gateway):
    """Events so far; what a device sent once and a busy machine dropped is none."""
    return gateway.metrics()['tcgw_journal_entries_total{kind="telemetry"}']


def measure_streams(count):
    host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    gateway = harness.Gateway("telemetry.max_rate=0", wrapper=MEASURED).start()
    try:
        for i in range(DEVICES):
            answer = gateway.post("/v1/devices", {"id": f"bench-{i}", "agent": "v2",
                                                  "address": f"coap://{host}:{FIRST_PORT + i}"})
            assert answer.status == 201, answer
        streams, source = Streams(gateway.port, count), Source(host, gateway.coap_port)
        source.start()
        streams.read(WARM_S)
        begin, used = resident_mib(gateway.process.pid), processor_us(gateway.process)
        taken, delivered = count_taken(gateway), sum(streams.delivered())
        streams.read(SECONDS)
        figures = {"rate": (sum(streams.delivered()) - delivered) / SECONDS,
                   "events": (count_taken(gateway) - taken) / SECONDS,
                   "begin": begin, "end": resident_mib(gateway.process.pid),
                   "processor": (processor_us(gateway.process) - used) / SECONDS / 1e6}
        source.ended = True
        source.join()
        for _ in range(20):  # what is under way
            streams.read(0.5)
            if count * count_taken(gateway) == sum(streams.delivered()):
                break
        figures["lost"] = count * count_taken(gateway) - sum(streams.delivered())
        streams.close()
    finally:
        gateway.close()
    return figures


def measure_events(_wanted):
    """What grows with one stream too is what is kept of each message for some minutes, to know its repetition."""
    os.sched_setaffinity(0, {PROCESSORS[-1]})
    try:
        one, many = measure_streams(1), measure_streams(STREAMS)
    finally:
        os.sched_setaffinity(0, PROCESSORS)
    expected = STREAMS * many["events"]
    growth = (many["end"] - many["begin"]) - (one["end"] - one["begin"])
    return [row("events_500", many["rate"], "events/s", f"{STREAMS} streams of {many['events']:.0f} events/s", expected, 0.98,
                many["rate"] >= 0.98 * expected and growth < 1.0 and many["lost"] == 0,
                per_stream=round(many["rate"] / STREAMS, 1), lost=int(many["lost"]),
                resident_begin_mib=round(many["begin"], 2), resident_end_mib=round(many["end"], 2),
                growth_beside_one_stream_mib=round(growth, 2), processor_share=round(many["processor"], 3),
                one_stream_processor_share=round(one["processor"], 3))]
