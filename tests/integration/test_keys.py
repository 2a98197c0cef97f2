"""Keys in tokens and TPMs: what OpenSSL's provider or engine of this machine opens. No daemon takes part."""
import os
import shutil
import subprocess
import tempfile
import unittest

import harness

PIN = "1234"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


def has_openssl_engine(name):
    done = subprocess.run(["openssl", "engine", "-t", name], capture_output=True, text=True, check=False)
    return "[ available ]" in done.stdout


def has_openssl_provider(name):
    done = subprocess.run(["openssl", "version", "-m"], capture_output=True, text=True, check=False)
    return os.path.exists(os.path.join(done.stdout.split('"')[1] if '"' in done.stdout else "", name + ".so"))


class Keys(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="tcgw-keys-")
        self.addCleanup(shutil.rmtree, self.directory)
        # What modules of others leave behind when they are loaded is not ours.
        self.environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}

    def path(self, name):
        return os.path.join(self.directory, name)

    def run_program(self, *arguments, status=0):
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL, env=self.environment)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        return done

    def tcgw(self, *arguments, status=0):
        return self.run_program(harness.program("tcgw"), *arguments, status=status)

    def sign_and_verify(self, key, public):
        with open(self.path("payload"), "wb") as file:
            file.write(b"payload")
        self.tcgw("suit", "create", "--dialect", "ietf", "--component", "0x00", "--file", self.path("payload"), "--uri",
                  "coap://[fd00::1]/a", "-o", self.path("unsigned"))
        self.tcgw("suit", "sign", self.path("unsigned"), "-k", key, "-o", self.path("signed"))
        self.tcgw("suit", "verify", self.path("signed"), "-k", public)
        self.tcgw("suit", "verify", self.path("unsigned"), "-k", public, status=5)

    def show_public(self, key):
        with open(self.path("public.pem"), "w", encoding="ascii") as file:
            file.write(self.tcgw("key", "show", key, "--pem").stdout)
        return self.path("public.pem")


@unittest.skipUnless(os.path.exists(SOFTHSM) and shutil.which("softhsm2-util") and
                     (has_openssl_provider("pkcs11") or has_openssl_engine("pkcs11")),
                     "no softhsm2, or neither provider nor engine for PKCS#11")
class Token(Keys):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("tokens"))
        with open(self.path("softhsm.conf"), "w", encoding="ascii") as file:
            file.write(f"directories.tokendir = {self.path('tokens')}\nobjectstore.backend = file\n")
        self.environment.update(SOFTHSM2_CONF=self.path("softhsm.conf"), PKCS11_MODULE_PATH=SOFTHSM,
                                PKCS11_PROVIDER_MODULE=SOFTHSM)
        self.tcgw("key", "generate", "--type", "es256", self.path("key.pem"))
        self.run_program("softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", PIN, "--so-pin", PIN)
        self.run_program("softhsm2-util", "--import", self.path("key.pem"), "--token", "release", "--label", "signer",
                         "--id", "01", "--pin", PIN)

    def test_signs(self):
        uri = "pkcs11:token=release;object=signer"
        self.sign_and_verify(uri + "?pin-value=" + PIN, self.path("key.pem"))
        self.environment["TCGW_KEY_PIN"] = PIN
        self.sign_and_verify(uri, self.path("key.pem"))
        self.assertEqual(self.tcgw("key", "show", uri, "--pem").stdout,
                         self.tcgw("key", "show", self.path("key.pem"), "--pem").stdout)

    def test_refuses(self):
        missing = self.tcgw("key", "show", "pkcs11:token=release;object=signer", status=5)  # no PIN, and nobody is asked
        self.assertIn("TCGW_KEY_PIN", missing.stderr)
        wrong = self.tcgw("key", "show", "pkcs11:token=release;object=signer?pin-value=secret", status=5)
        self.assertNotIn("secret", wrong.stderr.split("tcgw:")[-1])
        self.tcgw("key", "show", f"pkcs11:token=release;object=none?pin-value={PIN}", status=5)


@unittest.skipUnless(shutil.which("swtpm") and shutil.which("tpm2_createprimary") and has_openssl_provider("tpm2"),
                     "no swtpm, tpm2-tools or OpenSSL provider tpm2")
class Tpm(Keys):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("state"))
        self.swtpm = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.path("state"), "--server",
             "type=unixio,path=" + self.path("tpm"), "--ctrl", "type=unixio,path=" + self.path("tpm.ctrl"), "--flags",
             "not-need-init,startup-clear"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.swtpm.wait)
        self.addCleanup(self.swtpm.kill)
        harness.wait_for(lambda: os.path.exists(self.path("tpm")) and os.path.exists(self.path("tpm.ctrl")),
                         what="the TPM")
        tcti = "swtpm:path=" + self.path("tpm")
        self.environment.update(TPM2OPENSSL_TCTI=tcti, TPM2TOOLS_TCTI=tcti)

    def test_wrapped_key(self):
        """A PEM file that only this TPM can use."""
        self.run_program("openssl", "genpkey", "-provider", "tpm2", "-provider", "default", "-algorithm", "EC", "-pkeyopt",
                         "group:P-256", "-out", self.path("key.pem"))
        os.chmod(self.path("key.pem"), 0o600)
        self.sign_and_verify(self.path("key.pem"), self.show_public(self.path("key.pem")))
        self.swtpm.kill()
        self.swtpm.wait()
        gone = self.tcgw("suit", "sign", self.path("unsigned"), "-k", self.path("key.pem"), "-o", self.path("x"), status=5)
        self.assertIn("wrapped by a TPM", gone.stderr)

    def test_persistent_key(self):
        self.run_program("tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc:ecdsa", "-a",
                         "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign", "-p", "secret", "-c",
                         self.path("key.ctx"))
        self.run_program("tpm2_evictcontrol", "-Q", "-C", "o", "-c", self.path("key.ctx"), "0x81000001")
        self.run_program("tpm2_flushcontext", "-t")
        self.environment["TCGW_KEY_PIN"] = "secret"
        self.sign_and_verify("handle:0x81000001", self.show_public("handle:0x81000001"))
        self.environment["TCGW_KEY_PIN"] = "wrong"
        self.tcgw("suit", "sign", self.path("unsigned"), "-k", "handle:0x81000001", "-o", self.path("x"), status=5)
        self.tcgw("key", "show", "handle:0x81000099", status=5)


if __name__ == "__main__":
    harness.main()
