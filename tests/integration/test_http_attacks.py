"""Clients that mean no good: slow ones, thousands, floods, bombs, tricks with paths, methods and lengths."""
import resource
import selectors
import socket
import time

from harness import GatewayTest, is_sanitized, main, wait_for

BUSY_S = 5.0  # an honest request's answer, on a machine that is busy with other tests


def read_answer(connection, limit=1 << 20):
    """All until the gateway closes, or until a second is silent."""
    data = b""
    connection.settimeout(1)
    try:
        while len(data) < limit and (part := connection.recv(65536)):
            data += part
    except OSError:
        pass
    return data


def statuses(data):
    """Of all answers in the bytes."""
    return [int(line.split()[1]) for line in data.split(b"\r\n") if line.startswith(b"HTTP/1.")]


class AttackTest(GatewayTest):
    def open(self, gateway):
        connection = socket.create_connection(("127.0.0.1", gateway.port), 30)
        self.addCleanup(connection.close)
        return connection

    def say(self, gateway, data):
        """The statuses that the bytes bring on a connection of their own."""
        with socket.create_connection(("127.0.0.1", gateway.port), 30) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it was cut before all was sent
            return statuses(read_answer(connection))

    def assert_serves(self, gateway):
        begin = time.monotonic()
        self.assertEqual(gateway.get("/healthz", tcp=True).status, 200)
        self.assertLess(time.monotonic() - begin, BUSY_S)

    def assert_all_end(self, gateway, connections, drip, within):
        """Drips on connections until the gateway has ended each, and serves others meanwhile."""
        left, end = set(connections), time.monotonic() + within
        with selectors.DefaultSelector() as selector:
            for connection in connections:
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ)
            while left and time.monotonic() < end:
                for key, _ in selector.select(0.2):
                    try:
                        if key.fileobj.recv(4096):
                            continue
                    except ConnectionError:
                        pass
                    selector.unregister(key.fileobj)
                    left.discard(key.fileobj)
                for connection in left:
                    try:
                        connection.send(drip)
                    except OSError:
                        pass
                self.assert_serves(gateway)
        self.assertFalse(left, "connections that a byte now and then kept open")

    def test_slow_heads_and_bodies(self):
        gateway = self.gateway("http.connection_timeout=1s")
        heads = [self.open(gateway) for _ in range(60)]
        bodies = [self.open(gateway) for _ in range(60)]
        for connection in heads:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX-")
        for connection in bodies:
            connection.sendall(b"POST /v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               b"Content-Length: 4000\r\n\r\n")
        self.assert_all_end(gateway, heads + bodies, b"x", 40)
        dropped = gateway.metrics()['tcgw_http_connections_dropped_total{reason="slow"}']
        self.assertEqual(dropped, 120)
        gateway.stop()

    def test_answers_that_nobody_takes(self):
        gateway = self.gateway("http.connection_timeout=1s")
        held = []
        for _ in range(30):
            connection = self.open(gateway)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
            held.append(connection)
        self.assert_serves(gateway)
        wait_for(lambda: gateway.metrics()["tcgw_http_connections"] <= 1, 40, what="their end")
        gateway.stop()

    def test_thousands_of_idle_connections(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        gateway = self.gateway("http.max_connections=1000", "http.connection_timeout=1h")
        idle = [self.open(gateway) for _ in range(999)]
        for connection in idle[::2]:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        wait_for(lambda: gateway.metrics()["tcgw_http_connections"] >= 1000, what="all to be open")
        idle.append(self.open(gateway))
        # They have been silent for more than a second soon; from then on each new client takes the place of one.
        wait_for(lambda: gateway.get("/healthz", tcp=True).status == 200, 20, what="room for others")
        for _ in range(50):
            connection = self.open(gateway)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(connection.recv(12), b"HTTP/1.1 200")
        metrics = gateway.metrics()
        self.assertGreaterEqual(metrics['tcgw_http_connections_dropped_total{reason="idle"}'], 50)
        self.assertLessEqual(metrics["tcgw_http_connections"], 1000 + 64)
        self.assertLess(gateway.stop(), 5)

    def test_a_flood_of_requests_on_one_connection(self):
        gateway = self.gateway()
        count, one = 20000, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection = self.open(gateway)
        connection.setblocking(False)
        before, sent, got, data = self.memory(gateway), 0, 0, one * count
        # Nothing is read at first: the gateway must stop reading too.
        while True:
            try:
                sent += connection.send(data[sent:sent + 65536])
            except BlockingIOError:
                self.assert_serves(gateway)
                break
            if sent >= len(data):
                break
        if not is_sanitized():
            self.assertLess(self.memory(gateway) - before, 8 << 20)
        end = time.monotonic() + 60
        while got < count and time.monotonic() < end:
            try:
                sent += connection.send(data[sent:sent + 65536])
            except BlockingIOError:
                pass
            try:
                got += connection.recv(1 << 20).count(b"HTTP/1.1 200")  # one that is cut in two is missed
            except BlockingIOError:
                time.sleep(0.001)
            if sent >= len(data) and got >= count * 0.99:
                break
        self.assertGreaterEqual(got, count * 0.99)
        self.assert_serves(gateway)
        gateway.stop()

    @staticmethod
    def box(gateway):
        """Whether the device was there; it is then."""
        return gateway.post("/v1/devices", {"id": "box", "address": "coap://127.0.0.1:9"}).status == 409

    @staticmethod
    def memory(gateway):
        with open(f"/proc/{gateway.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def test_bombs_in_heads(self):
        gateway = self.gateway()
        begin = b"GET /v1/devices HTTP/1.1\r\nHost: localhost\r\n"
        before = self.memory(gateway)
        for head in (b"X: y\r\n" * 100000,
                     b"X: " + b"y" * (1 << 20) + b"\r\n",
                     b"X" * (1 << 20) + b": y\r\n",
                     b"".join(b"X-%d: %s\r\n" % (i, b"z" * 8000) for i in range(500)),
                     b"Cookie: " + b"a=b; " * 100000 + b"\r\n",
                     b"X: y\r\n" + b" folded\r\n" * 50000,
                     b"Accept: " + b"application/json;q=0.1," * 20000 + b"\r\n"):
            with self.subTest(head[:12]):
                self.assertTrue(set(self.say(gateway, begin + head + b"\r\n")) <= {400, 413, 414, 431})
                self.assert_serves(gateway)
        self.assertIn(self.say(gateway, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), ([414], []))
        if not is_sanitized():
            self.assertLess(self.memory(gateway) - before, 8 << 20)
        gateway.stop()

    def test_tricks_with_lengths(self):
        # Two programs in a row might take these for different requests: what is hidden behind them is never one.
        gateway = self.gateway()
        hidden = b"DELETE /v1/devices/box HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.box(gateway)
        for head in (b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
                     b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                     b"Transfer-Encoding: xchunked\r\n",
                     b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
                     b"Transfer-Encoding : chunked\r\n",
                     b"Transfer-Encoding:\x0bchunked\r\n",
                     b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(hidden),
                     b"Content-Length: %d\r\nContent-Length: 0\r\n" % len(hidden),
                     b"Content-Length: +0\r\n",
                     b"Content-Length: -1\r\n",
                     b"Content-Length: 0x10\r\n",
                     b"Content-Length: 0, %d\r\n" % len(hidden),
                     b"Content-Length: 99999999999999999999999\r\n",
                     b"Content-Length: 18446744073709551616\r\n",
                     b"Content-Length : 0\r\n"):
            with self.subTest(head):
                got = self.say(gateway, b"POST /v1/devices HTTP/1.1\r\nHost: localhost\r\n"
                                        b"Content-Type: application/json\r\n" + head + b"\r\n" + hidden)
                self.assertTrue(self.box(gateway), got)
                # MHD 0.9.75 says the head of an answer of its own twice.
                self.assertTrue(len(set(got)) <= 1 and set(got) <= {400, 411, 413, 501}, got)
        for chunk in (b"-1\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"5;" + b"a" * 100000, b"zz\r\n",
                      b"5\r\nhello0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n"):
            with self.subTest(chunk[:20]):
                got = self.say(gateway, b"POST /v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                        b"Transfer-Encoding: chunked\r\n\r\n" + chunk + hidden)
                self.assertTrue(self.box(gateway), got)
                self.assertTrue(len(got) <= 1 and set(got) <= {400, 413}, got)
        gateway.stop()

    def test_tricks_with_paths(self):
        gateway = self.gateway()
        self.box(gateway)
        for target in (b"/v1/../v1/devices", b"/v1/./devices", b"/v1/%2e%2e/v1/devices", b"/..%2f..%2fetc/passwd",
                       b"/v1/devices/..%2fdevices", b"/v1/devices/%2e%2e", b"/v1/devices/.", b"/v1/devices/..",
                       b"//v1/devices", b"/v1//devices", b"/v1/devices//box", b"/v1/devices/box/", b"/v1/devices/box//",
                       b"/v1/devices/box%2f", b"/v1/devices%2fbox", b"/v1%2fdevices", b"/v1/devices/box%00",
                       b"/v1/devices/box%00/containers", b"/v1/devices/box%0d%0aX:y", b"/v1/devices/box%20", b"/V1/devices",
                       b"/v1/DEVICES", b"/v1/devices;a=b", b"/v1/devices/box;a=b", b"/v1\\devices", b"/v1/devices\\box",
                       b"/v1/devices/%c0%afbox", b"/v1/devices/b%c3%28x", b"/v1/devices/box%", b"/v1/devices/box%2",
                       b"/v1/devices/box%zz", b"/v1/devices/%252e%252e", b"/v1/devices/\xe2\x80\xaebox", b"/v1/devices/box#x", b"*", b"v1/devices", b"http://localhost", b"/.git/config", b"/cgi-bin/sh",
                       b"/v1/devices/box\x00", b"/v1/dev\x00ices", b"\x00"):
            for method in (b"GET", b"DELETE"):
                with self.subTest(target, method=method):
                    got = self.say(gateway, method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    self.assertTrue(self.box(gateway), got)
                    self.assertTrue(set(got) <= {400, 404, 405, 501}, got)
        gateway.stop()

    def test_tricks_with_methods(self):
        gateway = self.gateway()
        self.box(gateway)
        tail = b" /v1/devices/box HTTP/1.1\r\nHost: localhost\r\n"
        for method in (b"TRACE", b"CONNECT", b"PROPFIND", b"DEBUG", b"delete", b"Delete", b"DELETE\x00", b"GET,DELETE",
                       b"PURGE", b"A" * 5000, b"\xff\xfe", b"PRI"):
            with self.subTest(method[:12]):
                got = self.say(gateway, method + tail + b"\r\n")
                self.assertTrue(self.box(gateway), got)
                self.assertTrue(set(got) <= {400, 405, 414, 431, 501}, got)
        for override in (b"X-HTTP-Method-Override: DELETE", b"X-HTTP-Method: DELETE", b"X-Method-Override: DELETE"):
            self.assertEqual(self.say(gateway, b"POST" + tail + override + b"\r\n\r\n"), [405])
        self.assertEqual(self.say(gateway, b"GET /v1/devices/box?_method=DELETE HTTP/1.1\r\nHost: localhost\r\n\r\n"), [400])
        for line in (b"GET /v1/devices/box\r\n\r\n", b"DELETE /v1/devices/box HTTP/9.9\r\nHost: localhost\r\n\r\n",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"DELETE /v1/devices/box HTTP/1.1 x\r\n\r\n",
                     b"DELETE  /v1/devices/box HTTP/1.1\r\n\r\n", b"DELETE\t/v1/devices/box\tHTTP/1.1\r\n\r\n",
                     b"DELETE /v1/devices/box HTTP/1.1\r\n\r\n"):  # the last has no Host
            with self.subTest(line):
                got = self.say(gateway, line)
                self.assertTrue(self.box(gateway), got)
        gateway.stop()


if __name__ == "__main__":
    main()
