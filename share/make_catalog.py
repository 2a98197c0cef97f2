#!/usr/bin/env python3
"""Makes the catalogue for systemd's journal (journalctl -x): an entry for every message that the daemon logs at info or
above, under the id that log_message_id (src/base/log.c) gives it, with advice where there is something to do.

usage: make_catalog.py SOURCE_DIRECTORY OUTPUT"""
import glob
import os
import re
import sys

ADVICE = {
    "tcgwd cannot start": "@TCGW_ERROR@\n\nThe daemon has ended. Correct what the sentence names; `tcgwd --check-config` "
                          "looks at the configuration alone.",
    "changes cannot be stored": "@TCGW_ERROR@\n\nWhat changes something is refused until the database can be written "
                                "again; reads go on. Look at the disk of the state directory (df, dmesg) and at /readyz.",
    "telemetry is refused: the disk is full": "Devices are told to come back later (5.03). Make room on the disk of the "
                                              "state directory, or lower telemetry.max_size and journal.max_size.",
    "request failed": "@TCGW_METHOD@ @TCGW_TARGET@ (request @TCGW_REQUEST@): @TCGW_DETAIL@",
    "the configuration was not reloaded: the one in use stays": "@TCGW_ERROR@",
    "some changed keys take effect at the next start only": "@TCGW_KEYS@: systemctl restart tcgwd",
    "the database is an older copy: its OSCORE contexts must not be used before they were derived anew with their "
    "devices, and credentials that were revoked since are back":
        "A backup was put back. Sequence numbers that were used since must not be used again, so each device agrees on "
        "a new context first. Revoke again what was revoked since the backup was made (tcgw device credentials).",
    "credentials in the database are damaged: enrol the device anew":
        "Device @TCGW_DEVICE@ is refused until then: tcgw device enrol @TCGW_DEVICE@",
    "a record cannot be read and has to be set anew": "@TCGW_KIND@ @TCGW_ID@: @TCGW_REASON@",
    "database row skipped": "@TCGW_KIND@ @TCGW_ID@: @TCGW_REASON@\n\nThe rest of the database is in use. Compare with a "
                            "backup.",
    "device may be used without protection while it has no credentials":
        "Whoever can send from the address of @TCGW_DEVICE@ is taken for it. Enrol it: tcgw device enrol @TCGW_DEVICE@",
    "sink fails; it is tried again until it works":
        "Sink @TCGW_SINK@: @TCGW_ERROR@\n\nNothing is lost while the journal holds it (journal.max_age, "
        "journal.max_size). `tcgw sink show @TCGW_SINK@` shows how far it is, `tcgw sink retry @TCGW_SINK@` does not "
        "wait for the next attempt.",
    "sink cannot be used": "Sink @TCGW_SINK@: @TCGW_ERROR@\n\nCorrect its section of tcgw.conf and reload.",
    "entries of the journal were dropped before the sink could send them":
        "Sink @TCGW_SINK@ was away for longer than the journal lasts. Raise journal.max_age or journal.max_size.",
    "what the platform does not take became a dead letter":
        "Sink @TCGW_SINK@: @TCGW_REASON@\n\nIt is kept: tcgw sink dead-letters @TCGW_SINK@",
    "the device holds a container that nobody asked for":
        "Device @TCGW_DEVICE@ holds @TCGW_CONTAINER@. It is let be, adopted or removed as reconcile.unasked says.",
    "the audit trail was changed: nothing of it is let go; see tcgw audit verify":
        "Somebody changed the database without the daemon, or the disk did. Keep a copy of the state directory before "
        "anything else.",
    "the certificate of HTTPS was not reloaded: the one in use stays": "@TCGW_ERROR@",
    "REST without TLS may be reached from other machines: tokens can be read on the way":
        "Set http.tls_listen with a certificate, and http.allow_remote = no.",
    "credentials refused": "A caller at @TCGW_FROM@ showed credentials that are not good. Many of these mean that "
                           "somebody guesses; they are slowed down.",
    "what a device says is traced, without its protection":
        "Device @TCGW_DEVICE@, for @TCGW_SECONDS@ s. Who asked for it stands in the audit trail (tcgw audit list).",
    "all OSCORE contexts are distrusted on request: each has to be derived anew":
        "Devices come back by themselves where their agent knows Appendix B.2 of RFC 8613; enrol the others anew.",
    "connections did not close in time and are dropped": "Nothing durable was lost.",
}

STRING = r'"((?:[^"\\]|\\.)*)"'


def texts_of(source):
    """The constant texts of log_error, log_warning and log_info."""
    found = []
    for call in re.finditer(r"\blog_(?:error|warning|info)\(((?:\s*" + STRING + r")+)\s*,", source):
        found.append("".join(re.findall(STRING, call[1])))
    for call in re.finditer(r"\blog_(?:error|warning|info)\([^\";]*\?\s*" + STRING + r"\s*:\s*" + STRING, source):
        found += [call[1], call[2]]
    return found


def messages(directory):
    found = {f"operation {state}" for state in ("succeeded", "failed", "cancelled", "expired")}
    for path in sorted(glob.glob(os.path.join(directory, "src/*/*.c"))):
        if os.path.basename(os.path.dirname(path)) not in ("agent", "cli"):
            with open(path, encoding="utf-8") as file:
                found.update(texts_of(file.read()))
    return sorted(found)


def message_id(text):
    """As log_message_id."""
    def fnv(value):
        for byte in text.encode():
            value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
        return value
    high = fnv(0xcbf29ce484222325) & ~0xf000 | 0x8000
    low = fnv(0x7463677775756964) & ~(3 << 62) | 2 << 62
    return f"{high:016x}{low:016x}"


def main():
    directory, output = sys.argv[1:]
    texts = messages(directory)
    unknown = set(ADVICE) - set(texts)
    if unknown:
        sys.exit(f"make_catalog.py: no such message is logged (any more): {sorted(unknown)}")
    with open(output, "w", encoding="utf-8") as file:
        file.write("# Made by share/make_catalog.py.\n")
        for text in texts:
            body = ADVICE.get(text, "The fields TCGW_* of the entry say which device, container or operation it is "
                                    "about (journalctl -o verbose).")
            file.write(f"\n-- {message_id(text)}\nSubject: {text}\nDefined-By: tcgw\n\n{body}\n")


main()
