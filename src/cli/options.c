#include "cli/options.h"

#include "cli/credential.h"

const struct option_spec command_global_options[] = {
    {"socket", 0, "PATH", NULL, "the Unix socket of the gateway (TCGW_SOCKET)"},
    {"url", 0, "URL", NULL, "the gateway over TCP, as in http://127.0.0.1:8080 (TCGW_URL)"},
    {"token-file", 0, "FILE", NULL, "a file with a token (TCGW_TOKEN_FILE; the token itself: TCGW_TOKEN)"},
    {"ca", 0, "FILE", NULL, "CAs that an https gateway is known by, PEM (TCGW_CA); else those of the system"},
    {"timeout", 0, "SECONDS", NULL, "how long the gateway may take for an answer (30)"},
    {"json", 0, NULL, NULL, "print JSON as the gateway sends it, for scripts; problems go to stderr"},
    {"dry-run", 0, NULL, NULL, "say what would be sent, or what the gateway would do, and change nothing"},
    {"watch", 0, "[SECONDS]", NULL, "show it again and again (every 2 s), until Ctrl-C; of rollouts: follow it"},
    {"quiet", 'q', NULL, NULL, "print ids only"},
    {"color", 0, "WHEN", "auto always never", "colours: auto (on a terminal, unless NO_COLOR is set), always, never"},
    {"help", 'h', NULL, NULL, "explain the command"},
    {"version", 0, NULL, NULL, "print the version"},
    OPTION_END,
};

const struct option_spec wait_options[] = {
    {"wait", 'w', "[SECONDS]", NULL, "wait for the end (default), at most so long"},
    {"no-wait", 0, NULL, NULL, "only print the id of the operation"},
    {"ttl", 0, "SECONDS", NULL, "time after which the operation expires if it is not done"},
    OPTION_END,
};

const struct option_spec device_options[] = {
    {"name", 0, "NAME", NULL, "a name for people"},
    {"agent", 0, "KIND", "auto v1 v2 suit", "the agent on the device; auto: find out by probing"},
    {"pdu-size", 0, "BYTES", NULL, "largest request datagram that it takes; auto: what a probe finds"},
    {"slots", 0, "COUNT", NULL, "containers that it can hold; or auto"},
    {"package-max", 0, "BYTES", NULL, "largest container that it takes (agents of kind v2); or auto"},
    {"memory", 0, "BYTES", NULL, "what the runtime of one container may take; or auto"},
    {"runtime", 0, "TYPE[,TYPE]...", NULL, "types of containers that it can run; or auto"},
    {"group", 0, "NAME[,NAME]...", NULL, "groups that it belongs to, instead of those before"},
    {"label", 0, "NAME=[VALUE]...", NULL, "labels, besides those before; without a value it goes"},
    {"allow-plain", 0, "[yes|no]", "yes no", "speak to it without protection while it has no credentials"},
    {"sleep", 0, "SECONDS|auto", NULL, "how long it sleeps at most between its messages; auto: as it tells"},
    {"awake", 0, "MS", NULL, "how long it listens after a message of its own, with --sleep"},
    {"observe", 0, "PATH...", NULL, "resources that the gateway observes, instead of those before"},
    OPTION_END,
};

const struct option_spec trace_options[] = {
    {"for", 0, "DURATION", NULL, "how long: 60s (default), 5m, at most 1h"},
    OPTION_END,
};

const struct option_spec pcap_options[] = {
    {"output", 'o', "FILE", NULL, "where the capture goes"},
    OPTION_END,
};

const struct option_spec list_options[] = {
    {"presence", 0, "STATE", "unknown online asleep late offline", "in one state only"},
    OPTION_END,
};

const struct option_spec add_options[] = {
    {"probe", 0, NULL, NULL, "probe the device once it is added"},
    OPTION_END,
};

const struct option_spec set_options[] = {
    {"address", 0, "ADDRESS", NULL, "where it is: coap://HOST[:PORT]"},
    {"no-groups", 0, NULL, NULL, "it belongs to no group"},
    {"no-observe", 0, NULL, NULL, "none of its resources is observed"},
    OPTION_END,
};

const struct option_spec enrol_options[] = {
    {"kind", 0, "KIND", "oscore psk certificate", "oscore, psk or certificate (oscore)"},
    {"algorithm", 0, "NAME", "AES-CCM-16-64-128 AES-CCM-16-128-128 A128GCM ChaCha20/Poly1305",
     "of OSCORE (AES-CCM-16-64-128)"},
    {"valid-days", 0, "DAYS", NULL, "how long a certificate is good"},
    {"format", 0, "FORM", CREDENTIAL_FORMS, "json, libcoap, aiocoap, c, pem or qr (json)"},
    {"output", 'o', "FILE", NULL, "write to a new file that only you can read; by default to stdout"},
    OPTION_END,
};

const struct option_spec create_options[] = {
    {"create", 0, "ADDRESS", NULL, "add the device with this address when there is none of this id"},
    OPTION_END,
};

const struct option_spec import_options[] = {
    {"fresh", 0, NULL, NULL, "nobody has used them yet; otherwise they are derived anew before use"},
    {"gateway-side", 0, NULL, NULL, "the file has the side of the gateway: the sender id is its own"},
    OPTION_END,
};

const struct option_spec approve_options[] = {
    {"name", 0, "NAME", NULL, "a name for people"},
    {"group", 0, "NAME[,NAME]...", NULL, "groups that it belongs to"},
    {"allow-plain", 0, NULL, NULL, "speak to it without protection while it has no credentials"},
    OPTION_END,
};

const struct option_spec read_options[] = {
    {"accept", 0, "TYPE", NULL, "media type to ask for"},
    {"output", 'o', "FILE", NULL, "write the answer to a file; by default to stdout"},
    {"wait", 'w', "SECONDS", NULL, "how long the device may take"},
    OPTION_END,
};

const struct option_spec device_wait_options[] = {
    {"wait-for-device", 0, NULL, NULL, "as an operation that is sent when the device listens; --wait follows it"},
    {"ttl", 0, "SECONDS", NULL, "the same, with the time after which it expires"},
    OPTION_END,
};

const struct option_spec history_options[] = {
    {"name", 0, "NAME", NULL, "of one series only; NAME* for all that begin so"},
    {"from", 0, "TIME", NULL, "from then on: 2026-01-31T12:00:00Z, or -1h"},
    {"to", 0, "TIME", NULL, "until before then"},
    {"aggregate", 0, "NAME[,NAME]...", NULL, "min, max, mean, last, count of each bucket"},
    {"bucket", 0, "SECONDS", NULL, "how long a bucket is, as in 5m"},
    {"newest", 0, NULL, NULL, "the newest of each series first"},
    {"limit", 0, "COUNT", NULL, "at most so many (100)"},
    {"csv", 0, NULL, NULL, "as CSV, all of the range"},
    OPTION_END,
};

const struct option_spec series_options[] = {
    {"from", 0, "TIME", NULL, "from then on (-24h)"},
    {"to", 0, "TIME", NULL, "until before then"},
    {"bucket", 0, "SECONDS", NULL, "how long one bar is; by default what fits a line"},
    OPTION_END,
};

const struct option_spec limit_options[] = {
    {"limit", 0, "COUNT", NULL, "at most so many (100)"},
    OPTION_END,
};

const struct option_spec cache_options[] = {
    {"fresh", 0, NULL, NULL, "ask the device, whatever is known"},
    {"only-if-cached", 0, NULL, NULL, "do not ask the device"},
    {"max-stale", 0, "[SECONDS]", NULL, "take something older if the device sleeps or does not answer"},
    OPTION_END,
};

const struct option_spec transfer_options[] = {
    {"device", 0, "DEVICE", NULL, "to one device only"},
    {"link", 0, "LINK", NULL, "over one link only"},
    OPTION_END,
};

const struct option_spec reason_options[] = {
    {"reason", 0, "TEXT", NULL, "why, for those who will ask"},
    OPTION_END,
};

const struct option_spec budget_options[] = {
    {"container", 0, "UID", NULL, "of a container of the device"},
    {"requests", 0, "NUMBER", NULL, "in a period; 0: any number"},
    {"bytes", 0, "BYTES", NULL, "in a period; 0: any number"},
    {"wakeups", 0, "NUMBER", NULL, "of the device in a period; 0: any number"},
    OPTION_END,
};

const struct option_spec link_options[] = {
    {"prefix", 0, "PREFIX...", NULL, "of the addresses of its devices: 2001:db8:15::/64, 192.0.2.0/24"},
    {"zone", 0, "INTERFACE...", NULL, "that its devices are reached through"},
    {"parallel", 0, "NUMBER", NULL, "containers on their way at a time; 0: any number"},
    {"rate", 0, "BYTES", NULL, "per second, above which transfers wait; 0: any number"},
    {"block", 0, "BYTES", NULL, "largest block"},
    OPTION_END,
};

const struct option_spec rollout_devices_options[] = {
    {"select", 0, "EXPRESSION", NULL, "devices for which it holds: site=paris,runtime in (wasm,rbpf),!spare"},
    {"group", 0, "NAME[,NAME]...", NULL, "devices that are in one of these groups"},
    {"device", 0, "DEVICE[,DEVICE]...", NULL, "these devices"},
    {"all", 0, NULL, NULL, "all devices"},
    {"dynamic", 0, NULL, NULL, "devices that match later, while it is under way, are taken in"},
    OPTION_END,
};

const struct option_spec rollout_options[] = {
    {"name", 0, "NAME", NULL, "a name for people"},
    {"stopped", 0, NULL, NULL, "load it, and do not start it"},
    {"canaries", 0, "COUNT", NULL, "devices of a first wave"},
    {"wave", 0, "COUNT|PERCENT%...", NULL, "devices of a further wave; the last one takes those that are left"},
    {"running-for", 0, "SECONDS", NULL, "how long it has to run on a device"},
    {"telemetry", 0, "NAME=MIN..MAX", NULL, "what the device has to report while it runs"},
    {"max-failures", 0, "COUNT|PERCENT%", NULL, "devices that may fail (0)"},
    {"max-attempts", 0, "COUNT", NULL, "attempts until a device has failed (3)"},
    {"device-timeout", 0, "SECONDS", NULL, "how long a device may take (1h)"},
    {"parallel", 0, "COUNT", NULL, "devices at once (256)"},
    {"parallel-per-link", 0, "COUNT", NULL, "devices at once on a link"},
    {"window", 0, "FROM-TO[,DAY]...", NULL, "when updates may begin: 22:00-05:00,sat,sun"},
    {"pause-after-wave", 0, NULL, NULL, "pause after each wave"},
    {"auto-rollback", 0, NULL, NULL, "roll back by itself when too many fail"},
    OPTION_END,
};

const struct option_spec rollout_state_options[] = {
    {"state", 0, "STATE", "pending updating done failed skipped reverting reverted", "in one state only"},
    OPTION_END,
};

const struct option_spec group_options[] = {
    {"observe", 0, "PATH...", NULL, "resources of its devices that the gateway observes; none without"},
    OPTION_END,
};

const struct option_spec type_options[] = {
    {"type", 0, "TYPE", NULL, "media type of the file; by default JSON, text or bytes, as it looks"},
    OPTION_END,
};

const struct option_spec observe_options[] = {
    {"count", 0, "COUNT", NULL, "end after so many representations"},
    OPTION_END,
};

const struct option_spec shadow_options[] = {
    {"reported", 0, NULL, NULL, "what the device said of itself, instead of what is wished of it"},
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    OPTION_END,
};

const struct option_spec push_options[] = {
    {"data", 0, "FILE", NULL, "the data part of the container"},
    {"metadata", 0, "FILE", NULL, "take the description from TinyContainer metadata; the gateway signs anew"},
    OPTION_END,
};

const struct option_spec deploy_options[] = {
    {"data", 0, "FILE", NULL, "the data part, when a file is deployed"},
    {"stopped", 0, NULL, NULL, "install it, but do not start it"},
    {"rollback", 0, NULL, NULL, "though the device had a release with a higher sequence number"},
    OPTION_END,
};

const struct option_spec publisher_options[] = {
    {"key", 'k', "KEY...", NULL, "keys that it signs with: public or private, in files, TPMs or tokens"},
    {"artifact", 0, "PATTERN...", NULL, "names that it may release; * stands for any characters"},
    {"device", 0, "DEVICE...", NULL, "devices that may take them; all without"},
    {"group", 0, "NAME...", NULL, "groups whose devices may take them"},
    {"where", 0, "EXPRESSION", NULL, "labels of devices that may take them, as in site=paris,!spare"},
    {"revoked", 0, NULL, NULL, "nothing that it signed is taken any more"},
    OPTION_END,
};

const struct option_spec release_options[] = {
    {"artifact", 0, "ARTIFACT...", NULL,
     "what it consists of: builds of which a device takes the first that it can run"},
    {"sequence", 0, "NUMBER", NULL, "higher than that of every version before"},
    OPTION_END,
};

const struct option_spec release_key_options[] = {
    {"key", 'k', "KEY", NULL, "the private key that signs: a PEM file, or the URI of a TPM or token"},
    OPTION_END,
};

const struct option_spec get_options[] = {
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    {"data", 0, NULL, NULL, "the data part instead of the code"},
    OPTION_END,
};

const struct option_spec show_options[] = {
    {"fresh", 0, NULL, NULL, "ask the device now"},
    OPTION_END,
};

const struct option_spec log_options[] = {
    {"follow", 'f', NULL, NULL, "go on until interrupted"},
    OPTION_END,
};

const struct option_spec operations_options[] = {
    {"device", 0, "DEVICE", NULL, "of one device only"},
    {"container", 0, "UID", NULL, "of one container only"},
    {"state", 0, "STATE", "queued running succeeded failed expired cancelled", "in one state only"},
    {"limit", 0, "COUNT", NULL, "at most so many (100)"},
    OPTION_END,
};

const struct option_spec kind_options[] = {
    {"kind", 0, "KIND[,KIND]...", NULL,
     "telemetry, device, presence, container, operation, artifact, security, resource, gateway or rollout"},
    {"device", 0, "DEVICE", NULL, "of one device only"},
    OPTION_END,
};

const struct option_spec follow_options[] = {
    {"group", 0, "NAME", NULL, "of the devices of a group only"},
    {"name", 0, "NAME", NULL, "telemetry of this name only; x* for names that begin with x"},
    {"since", 0, "SECONDS", NULL, "begin with what happened so long ago: 90, 15m, 2h, 1d"},
    {"after", 0, "NUMBER", NULL, "begin behind an event, by its number; 0: with the oldest that is kept"},
    {"count", 0, "COUNT", NULL, "end after so many events"},
    OPTION_END,
};

const struct option_spec watch_options[] = {
    {"device", 0, "DEVICE", NULL, "the unfinished operations of one device"},
    {"wait", 'w', "SECONDS", NULL, "give up after so long"},
    OPTION_END,
};

const struct option_spec build_options[] = {
    {"key", 'k', "PEM", NULL, "the Ed25519 private key that signs it"},
    {"uid", 0, "UID", NULL, "the uid of the container, 1 to 63 bytes"},
    {"data", 0, "FILE", NULL, "the data part of the container"},
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    OPTION_END,
};

const struct option_spec inspect_options[] = {
    {"key", 'k', "KEY", NULL, "verify with a key: a PEM file, private or public, or 64 hex digits"},
    {"code", 0, "FILE", NULL, "verify that it belongs to this code"},
    {"data", 0, "FILE", NULL, "verify that it belongs to this data"},
    OPTION_END,
};

const struct option_spec key_options[] = {
    {"pem", 0, NULL, NULL, "print the key as PEM only"},
    OPTION_END,
};

const struct option_spec generate_options[] = {
    {"type", 0, "TYPE", "ed25519 es256", "the kind of key (ed25519)"},
    OPTION_END,
};

const struct option_spec export_options[] = {
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    OPTION_END,
};

const struct option_spec verify_options[] = {
    {"key", 'k', "KEY", NULL, "the public key of the gateway: a PEM file, or its 64 hexadecimal digits"},
    {"anchor", 0, "FILE", NULL, "an anchor that was kept elsewhere, which the trail has to lead on from"},
    OPTION_END,
};

const struct option_spec suit_sign_options[] = {
    {"key", 'k', "KEY", NULL, "the private key that signs: a PEM file, or the URI of a TPM or token"},
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    OPTION_END,
};

const struct option_spec suit_create_options[] = {
    {"dialect", 0, "NAME", "riot ietf", "what devices take it: those of RIOT, or of draft 37 (riot)"},
    {"sequence", 0, "NUMBER", NULL, "the sequence number (the seconds since 1970)"},
    {"component", 0, "ID", NULL, "begin a component: its segments with / between them, 0x00 for bytes"},
    {"file", 0, "FILE", NULL, "the payload of the component"},
    {"uri", 0, "URI", NULL, "where the device gets it"},
    {"offset", 0, "NUMBER", NULL, "of the slot that the payload is for"},
    {"vendor", 0, "NAME", NULL, "the vendor id: a UUID, or a domain that one is made of"},
    {"class", 0, "NAME", NULL, "the class id: a UUID, or a name that one is made of with the vendor"},
    OPTION_END,
};

const struct option_spec suit_verify_options[] = {
    {"key", 'k', "KEY", NULL, "the key that signed: public or private, as for sign"},
    {"payload", 0, "FILE", NULL, "check that it is a payload of the manifest"},
    OPTION_END,
};

const struct option_spec coap_options[] = {
    {"accept", 0, "TYPE", NULL, "media type or number of a Content-Format to ask for"},
    {"output", 'o', "FILE", NULL, "write the payload to a file besides"},
    {"wait", 'w', "SECONDS", NULL, "how long the device may take"},
    OPTION_END,
};

const struct option_spec coap_body_options[] = {
    {"type", 0, "TYPE", NULL, "media type or number of the Content-Format; by default as the file looks"},
    {"payload", 0, "TEXT", NULL, "send this text instead of a file"},
    OPTION_END,
};

const struct option_spec top_options[] = {
    {"every", 0, "SECONDS", NULL, "how often the gateway is asked (2)"},
    OPTION_END,
};

const struct option_spec bundle_options[] = {
    {"output", 'o', "FILE", NULL, "where to write it; by default tcgw-support-DATE.tar.gz"},
    OPTION_END,
};

const struct option_spec doctor_options[] = {
    {"config", 'c', "FILE", NULL, "the configuration that the gateway was started with"},
    {"no-ask", 0, NULL, NULL, "do not ask the devices that were not heard of"},
    OPTION_END,
};

const struct option_spec help_options[] = {
    {"roff", 0, NULL, NULL, "print the part of the man page that describes the commands"},
    OPTION_END,
};

/* Grouped by the first word; the completion goes by that. */

const struct option_spec token_options[] = {
    {"tenant", 0, "NAME", NULL, "for what a tenant has only"},
    {"expires", 0, "SECONDS", NULL, "how long it is good (90d)"},
    {"no-expiry", 0, NULL, NULL, "it is good until it is removed"},
    OPTION_END,
};

const struct option_spec grant_options[] = {
    {"user", 0, "NAME", NULL, "a user of the machine that the gateway runs on"},
    {"group", 0, "NAME", NULL, "a group of that machine"},
    {"certificate", 0, "SUBJECT", NULL, "a client certificate, by its subject"},
    {"fingerprint", 0, "SHA256", NULL, "a client certificate, by its SHA-256"},
    {"claim", 0, "CLAIM", NULL, "a claim of JSON Web Tokens, or a path with dots to one"},
    {"value", 0, "VALUE", NULL, "what the claim is, or has among its values"},
    {"sink", 0, "NAME", NULL, "commands that come over a sink"},
    {"tenant", 0, "NAME", NULL, "for what a tenant has only"},
    OPTION_END,
};

const struct option_spec tenant_options[] = {
    {"group", 0, "NAME...", NULL, "groups whose devices it has"},
    {"artifact", 0, "PATTERN...", NULL, "names of artifacts, releases, services and rollouts that it has"},
    OPTION_END,
};
