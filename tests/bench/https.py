"""What TLS and tokens cost, and what a thousand connections on which nothing happens take."""
import http.client
import resource
import ssl
import time

from benchlib import MEASURED, ROUNDS, details, harness, median, resident_mib, row, wrk

TOKEN_ROW, IDLE_ROW = "tls_token_c32", "idle_connections_1000"
ROWS = [TOKEN_ROW, IDLE_ROW]
PATH = "/v1/devices/bench"
IDLE, IDLE_KIB = 1000, 40  # what an idle HTTPS connection may take


def start():
    port = harness.free_port()
    gateway = harness.Gateway(f"http.tls_listen=127.0.0.1:{port}", "http.max_connections=2500",
                              "http.tls_rate=100000", wrapper=MEASURED)
    gateway.tls_port = port
    gateway.start()
    assert gateway.post("/v1/devices", {"id": "bench", "address": "coap://127.0.0.1:9"}).status == 201
    return gateway


def measure_token():
    gateway = start()
    try:
        made = gateway.post("/v1/tokens", {"name": "bench", "role": "viewer"})
        assert made.status == 201, made
        plain, secure = [], []
        for _ in range(ROUNDS):
            plain.append(wrk(gateway.process, gateway.port, 32, PATH))
            secure.append(wrk(gateway.process, gateway.tls_port, 32, PATH, scheme="https", token=made.json["token"]))
    finally:
        gateway.close()
    value, reference = median(secure), median(plain)
    return row(TOKEN_ROW, value, "requests/s", "the same without TLS and token", reference, 0.6, value >= 0.6 * reference,
               **details(secure), reference_details=details(plain))


def idle_mib(gateway, connect):
    """What connections of one request each take when all are idle."""
    before, held = resident_mib(gateway.process.pid), []
    try:
        for _ in range(IDLE):
            connection = connect()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            held.append(connection)
        time.sleep(1)
        return resident_mib(gateway.process.pid) - before
    finally:
        for connection in held:
            connection.close()


def measure_idle():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * IDLE)), hard))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    figures = {}
    for kind, connect in (("plain", lambda: gateway.connection(tcp=True)),
                          ("tls", lambda: http.client.HTTPSConnection("127.0.0.1", gateway.tls_port, context=context))):
        gateway = start()
        try:
            figures[kind] = idle_mib(gateway, connect)
        finally:
            gateway.close()
    limit = IDLE * IDLE_KIB / 1024
    return row(IDLE_ROW, figures["tls"], "MiB", f"limit; {figures['plain']:.1f} MiB without TLS", limit, 1.0,
               figures["tls"] <= limit, plain_mib=round(figures["plain"], 2))


def measure_https(wanted):
    return [measure() for name, measure in ((TOKEN_ROW, measure_token), (IDLE_ROW, measure_idle)) if name in wanted]
