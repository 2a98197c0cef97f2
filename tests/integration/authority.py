"""Certificates for the tests, made with OpenSSL's command line."""
import datetime
import os
import subprocess

CONFIG = """
[ca]
default_ca = this
[this]
database = {directory}/index
new_certs_dir = {directory}
serial = {directory}/serial
policy = any
default_md = sha256
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
"""


class Authority:
    """A CA in a directory of the caller's."""

    def __init__(self, directory, name="Test CA"):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.certificate = os.path.join(directory, "ca.pem")
        self.key = os.path.join(directory, "ca-key.pem")
        self.config = os.path.join(directory, "openssl.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(directory=directory))
        open(os.path.join(directory, "index"), "w", encoding="utf-8").close()
        self._openssl("req", "-x509", *self._new_key(self.key), "-out", self.certificate, "-subj", f"/CN={name}",
                      "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE")

    def _openssl(self, *words):
        subprocess.run(["openssl", words[0], "-config", self.config, *words[1:]], check=True, capture_output=True,
                       timeout=60)

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]

    def issue(self, name, usage="serverAuth", seconds=864000, since=0, subject=None, to=None):
        """Makes a certificate that ends so many seconds from now, for the host name and 127.0.0.1; returns the paths of
        certificate and key."""
        path = os.path.join(self.directory, to or name)
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end = (format(now + datetime.timedelta(seconds=s), "%Y%m%d%H%M%SZ") for s in (since - 60, seconds))
        self._openssl("req", "-new", *self._new_key(path + ".key"), "-out", path + ".csr", "-subj",
                      subject or f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-addext",
                      f"extendedKeyUsage={usage}")
        self._openssl("ca", "-batch", "-notext", "-rand_serial", "-cert", self.certificate, "-keyfile", self.key, "-in",
                      path + ".csr", "-out", path + ".pem", "-startdate", begin, "-enddate", end)
        return path + ".pem", path + ".key"
