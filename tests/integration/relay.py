"""What the tests of the relay share: devices that send telemetry, and gateways with sinks."""
import json
import os
import shutil
import socket
import struct
import tempfile

from harness import GatewayTest, wait_for


class Device:
    """Sends telemetry as plain CoAP from an address of its own."""

    def __init__(self, gateway, name, **more):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(1)
        self.gateway, self.name, self.mid = gateway, name, os.urandom(1)[0] << 8
        answer = gateway.post("/v1/devices", {"id": name, "address": f"coap://127.0.0.1:{self.socket.getsockname()[1]}",
                                              **more})
        assert answer.status == 201, answer

    def __del__(self):
        self.socket.close()

    def send(self, value, name="n"):
        """True when it was acknowledged with 2.04."""
        self.mid = self.mid + 1 & 0xffff
        head = struct.pack(">BBH", 0x41, 0x02, self.mid) + b"\x01\xb1t\x11\x6e\xff"  # token 01, /t, Content-Format 110
        message = head + json.dumps([{"n": name, "v": value}]).encode()
        for _ in range(10):
            try:
                self.socket.sendto(message, ("127.0.0.1", self.gateway.coap_port))
                while True:
                    answer = self.socket.recv(1500)
                    if answer[2:4] == message[2:4] and answer[1] != 0:
                        return answer[1] == 0x44
                    if answer[1] == 0x44:
                        return True
            except OSError:
                pass
        return False


def settings(name, **keys):
    """A section of the configuration."""
    return "".join([f"[sink {name}]\n", *(f"{key} = {value}\n" for key, value in keys.items())])


def first_seen(items):
    return list(dict.fromkeys(items))


class RelayTest(GatewayTest):
    def relay(self, *sinks, **more):
        """A gateway with these sinks."""
        directory = tempfile.mkdtemp(prefix="tcgw-conf-")
        self.addCleanup(shutil.rmtree, directory, True)
        gateway = self.gateway(config=os.path.join(directory, "tcgw.conf"), start=False, **more)
        self.configure(gateway, *sinks)
        return gateway.start()

    def configure(self, gateway, *sinks):
        with open(gateway.config, "w", encoding="utf-8") as file:
            file.write("[gateway]\nid = g1\n" + "".join(sinks))

    def wait_for_sink(self, gateway, state, name="cloud"):
        return wait_for(lambda: (lambda sink: sink if sink.get("state") == state else None)(
            gateway.get(f"/v1/sinks/{name}").json), 20, what=f"sink {name} to be {state}")
