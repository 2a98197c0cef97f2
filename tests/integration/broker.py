"""A real mosquitto with a subscriber that misses nothing, for tests that stop and start it."""
import json
import os
import shutil
import subprocess

import harness


def find():
    """The broker's program, or None; Debian puts it where only root looks."""
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Broker:
    """Keeps its sessions on the disk, so that what it acknowledged reaches the subscriber, whenever that comes back."""

    def __init__(self, directory):
        self.directory = directory
        self.port = harness.free_port()
        self.config = os.path.join(directory, "mosquitto.conf")
        self.output = os.path.join(directory, "received")
        self.process = self.subscriber = None
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                       f"persistence_location {directory}/\nmax_queued_messages 0\nmax_inflight_messages 1000\n"
                       "log_dest none\n")
            if os.geteuid() == 0:
                file.write("user root\n")  # else it changes to one that cannot write here

    def start(self):
        self.process = subprocess.Popen([find(), "-c", self.config], stdin=subprocess.DEVNULL)
        harness.wait_for(self.listens, what="mosquitto to listen")
        return self

    def listens(self):
        try:
            harness.socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def subscribe(self, topic):
        """Follows a topic with a session that outlives the broker's and the connection's end."""
        with open(self.output, "wb") as output:
            self.subscriber = subprocess.Popen(
                ["mosquitto_sub", "-p", str(self.port), "-i", "test", "-c", "-q", "1", "-t", topic, "-F", "%t %p"],
                stdin=subprocess.DEVNULL, stdout=output)

    def received(self):
        """Topics and payloads (JSON), in the order in which they came."""
        with open(self.output, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    topic, payload = line.split(b" ", 1)
                    yield topic.decode(), json.loads(payload)

    def stop(self):
        """Ends as an operator would: what it holds for the subscriber is saved."""
        self.process.terminate()
        self.process.wait(30)

    def close(self):
        for process in (self.subscriber, self.process):
            if process and process.poll() is None:
                process.kill()
                process.wait()
