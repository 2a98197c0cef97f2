"""Backups, what they bring back, and the health of the database."""
import os
import shutil
import sqlite3
import subprocess
import unittest

import harness


class BackupTest(harness.GatewayTest):
    def tcgw(self, gateway, *arguments, status=0):
        done = subprocess.run([harness.program("tcgw"), "--socket", gateway.socket, *arguments], capture_output=True,
                              text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def backup(self, gateway):
        path = os.path.join(gateway.directory, "backup")
        self.assertIn("keep it where nobody else can read it", self.tcgw(gateway, "backup", path))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        return path

    def restore(self, gateway, path, status=0, says="restored"):
        done = subprocess.run([*gateway.command(), "--restore", path], capture_output=True, text=True, timeout=60,
                              check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(says, done.stdout + done.stderr)
        return done.stdout

    def change(self, path, to, at):
        with open(path, "rb") as file:
            data = bytearray(file.read())
        data[at] ^= 1
        with open(to, "wb") as file:
            file.write(data)
        return to


class Restore(BackupTest):
    def test_on_another_machine(self):
        """A device goes on with a gateway whose numbers are older than those that were used."""
        first = self.gateway(plain=False)
        agent = self.protected_agent(first)
        artifact = first.push_example("counter")
        self.assertEqual(first.deploy("d0", "c1", artifact).status, 200)
        backup = self.backup(first)
        for _ in range(5):  # numbers that the backup does not know of
            self.assertEqual(first.post("/v1/devices/d0/probe", headers={"Prefer": "wait=20"}).status, 200)
        key = first.get("/v1/key").json["public_key"]
        first.stop()

        second = self.gateway(start=False, plain=False)
        second.coap_port = first.coap_port
        self.assertIn("1 OSCORE contexts will be renewed", self.restore(second, backup))
        second.start()
        self.assertEqual(second.get("/v1/key").json["public_key"], key)
        self.assertIn("older copy", second.log())
        self.assertEqual(second.get(f"/v1/artifacts/{artifact}/code").body, harness.example_bytes("counter.rbpf"))
        self.assertEqual(second.post("/v1/devices/d0/probe", headers={"Prefer": "wait=20"}).status, 200)
        self.assert_running(second, "d0", "c1")
        self.assertTrue(agent.check_nonces())
        self.assertIn("restored", [entry["action"] for entry in second.get("/v1/audit?limit=1000").json["items"]])
        self.assertIn("as they were written", self.tcgw(second, "audit", "verify", "--key", key))

    def test_over_what_is_there(self):
        gateway = self.gateway()
        gateway.put("/v1/groups/before", {"observe": []})
        backup = self.backup(gateway)
        gateway.put("/v1/groups/after", {"observe": []})
        self.restore(gateway, backup, status=73, says="stop it first")
        gateway.stop()
        self.restore(gateway, backup)
        gateway.start()
        self.assertEqual(gateway.get("/v1/groups/before").status, 200)
        self.assertEqual(gateway.get("/v1/groups/after").status, 404)
        kept = [name for name in os.listdir(gateway.state) if name.startswith("before-restore-")]
        self.assertEqual(len(kept), 1)
        with sqlite3.connect(os.path.join(gateway.state, kept[0], "tcgw.db")) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM device_group").fetchone()[0], 2)
        self.assertFalse(os.path.exists(os.path.join(gateway.state, "restore")))

    def test_floors_stay(self):
        gateway = self.gateway()
        gateway.post("/v1/devices", {"id": "box", "address": "coap://127.0.0.1:9"})
        backup = self.backup(gateway)
        gateway.stop()
        with sqlite3.connect(os.path.join(gateway.state, "tcgw.db")) as database:
            database.execute("INSERT INTO sequence VALUES('box', 'job', 7), ('other', 'job', 9)")
        self.assertIn("1 sequence numbers of releases", self.restore(gateway, backup))
        with sqlite3.connect(os.path.join(gateway.state, "tcgw.db")) as database:
            self.assertEqual(database.execute("SELECT * FROM sequence").fetchall(), [("box", "job", 7)])

    def test_an_interrupted_one(self):
        gateway = self.gateway()
        gateway.put("/v1/groups/before", {"observe": []})
        backup = self.backup(gateway)
        gateway.stop()
        with open(os.path.join(gateway.state, "restoring"), "wb"):
            pass
        os.unlink(os.path.join(gateway.state, "tcgw.db"))
        gateway.spawn()
        self.assertEqual(gateway.process.wait(30), 65)
        self.assertIn("was interrupted: repeat it", gateway.log())
        self.restore(gateway, backup)
        gateway.start()
        self.assertEqual(gateway.get("/v1/groups/before").status, 200)

    def test_what_is_no_backup(self):
        gateway = self.gateway()
        gateway.put("/v1/groups/before", {"observe": []})
        backup = self.backup(gateway)
        gateway.stop()
        other = os.path.join(gateway.directory, "other")
        size = os.path.getsize(backup)
        self.restore(gateway, self.change(backup, other, size // 2), 65, "is damaged")
        self.restore(gateway, self.change(backup, other, 30), 65, "is damaged")
        for cut in (10, 100, size // 2, size - 200):
            shutil.copyfile(backup, other)
            os.truncate(other, size - cut)
            self.restore(gateway, other, 65, "nothing was restored")
        with open(other, "wb") as file:
            file.write(b"no backup")
        self.restore(gateway, other, 65, "nothing was restored")
        self.restore(gateway, other + "-none", 1, "cannot be read")
        os.unlink(other)
        with sqlite3.connect(other) as database:
            database.execute("CREATE TABLE x(y)")
        self.restore(gateway, other, 65, "nothing was restored")
        with sqlite3.connect(os.path.join(gateway.state, "tcgw.db")) as database:
            os.unlink(other)
            database.execute("VACUUM INTO ?", (other,))
        with sqlite3.connect(other) as database:
            database.execute("PRAGMA user_version=99")
        self.restore(gateway, other, 65, "newer tcgwd")
        gateway.start()
        self.assertEqual(gateway.get("/v1/groups/before").status, 200)

    def test_a_database_alone(self):
        """Such as the copy that an upgrade leaves: keys stay."""
        gateway = self.gateway()
        gateway.put("/v1/groups/before", {"observe": []})
        key = gateway.get("/v1/key").json["public_key"]
        gateway.stop()
        copy = os.path.join(gateway.directory, "copy.db")
        shutil.copyfile(os.path.join(gateway.state, "tcgw.db"), copy)
        self.restore(gateway, copy, says="without keys")
        gateway.start()
        self.assertEqual(gateway.get("/v1/groups/before").status, 200)
        self.assertEqual(gateway.get("/v1/key").json["public_key"], key)


class Database(BackupTest):
    def test_check_and_compact(self):
        gateway = self.gateway()
        self.assertIn("is whole", self.tcgw(gateway, "db", "check"))
        artifact = gateway.push(os.urandom(900000), {"name": "large", "type": "native"})
        self.assertEqual(gateway.delete(f"/v1/artifacts/{artifact}").status, 204)
        self.assertIn("Nothing is free", self.tcgw(gateway, "db", "compact"))
        gateway.stop()
        self.assertLess(os.path.getsize(os.path.join(gateway.state, "tcgw.db")), 600000)
        self.assertEqual(gateway.check_database(), "ok")

    def test_backups_while_it_is_busy(self):
        gateway = self.gateway()
        for i in range(10):
            gateway.put(f"/v1/groups/g{i}", {"observe": []})
            answer = gateway.post("/v1/backup")
            self.assertEqual(answer.status, 200)
        path = os.path.join(gateway.directory, "last")
        with open(path, "wb") as file:
            file.write(answer.body)
        with sqlite3.connect(path) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM device_group").fetchone()[0], 10)
            self.assertIn(("gateway-key.pem",), database.execute("SELECT name FROM backup_member").fetchall())
        self.assertEqual(os.listdir(os.path.join(gateway.state, "spool")), [])
        self.assertEqual(len([entry for entry in gateway.get("/v1/audit?limit=1000").json["items"]
                              if entry["action"] == "makeBackup"]), 10)


if __name__ == "__main__":
    unittest.main()
