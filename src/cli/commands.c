#include "cli/credential.h"
#include "cli/describe.h"
#include "cli/handlers.h"

#include <string.h>

const struct option_spec command_global_options[] = {
    {"socket", 0, "PATH", NULL, "the Unix socket of the gateway (TCGW_SOCKET)"},
    {"url", 0, "URL", NULL, "the gateway over TCP, as in http://127.0.0.1:8080 (TCGW_URL)"},
    {"timeout", 0, "SECONDS", NULL, "how long the gateway may take for an answer (30)"},
    {"json", 0, NULL, NULL, "print JSON as the gateway sends it, for scripts; problems go to stderr"},
    {"quiet", 'q', NULL, NULL, "print ids only"},
    {"color", 0, "WHEN", "auto always never", "colours: auto (on a terminal, unless NO_COLOR is set), always, never"},
    {"help", 'h', NULL, NULL, "explain the command"},
    {"version", 0, NULL, NULL, "print the version"},
    OPTION_END,
};

static const struct option_spec wait_options[] = {
    {"wait", 'w', "[SECONDS]", NULL, "wait for the end (default), at most so long"},
    {"no-wait", 0, NULL, NULL, "only print the id of the operation"},
    {"ttl", 0, "SECONDS", NULL, "time after which the operation expires if it is not done"},
    OPTION_END,
};

static const struct option_spec device_options[] = {
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

static const struct option_spec list_options[] = {
    {"presence", 0, "STATE", "unknown online asleep late offline", "in one state only"},
    OPTION_END,
};

static const struct option_spec add_options[] = {
    {"probe", 0, NULL, NULL, "probe the device once it is added"},
    OPTION_END,
};

static const struct option_spec set_options[] = {
    {"address", 0, "ADDRESS", NULL, "where it is: coap://HOST[:PORT]"},
    {"no-groups", 0, NULL, NULL, "it belongs to no group"},
    {"no-observe", 0, NULL, NULL, "none of its resources is observed"},
    OPTION_END,
};

static const struct option_spec enrol_options[] = {
    {"kind", 0, "KIND", "oscore psk certificate", "oscore, psk or certificate (oscore)"},
    {"algorithm", 0, "NAME", "AES-CCM-16-64-128 AES-CCM-16-128-128 A128GCM ChaCha20/Poly1305",
     "of OSCORE (AES-CCM-16-64-128)"},
    {"valid-days", 0, "DAYS", NULL, "how long a certificate is good"},
    {"format", 0, "FORM", CREDENTIAL_FORMS, "json, libcoap, aiocoap, c, pem or qr (json)"},
    {"output", 'o', "FILE", NULL, "write to a new file that only you can read; by default to stdout"},
    OPTION_END,
};

static const struct option_spec create_options[] = {
    {"create", 0, "ADDRESS", NULL, "add the device with this address when there is none of this id"},
    OPTION_END,
};

static const struct option_spec import_options[] = {
    {"fresh", 0, NULL, NULL, "nobody has used them yet; otherwise they are derived anew before use"},
    {"gateway-side", 0, NULL, NULL, "the file has the side of the gateway: the sender id is its own"},
    OPTION_END,
};

static const struct option_spec approve_options[] = {
    {"name", 0, "NAME", NULL, "a name for people"},
    {"group", 0, "NAME[,NAME]...", NULL, "groups that it belongs to"},
    {"allow-plain", 0, NULL, NULL, "speak to it without protection while it has no credentials"},
    OPTION_END,
};

static const struct option_spec read_options[] = {
    {"accept", 0, "TYPE", NULL, "media type to ask for"},
    {"output", 'o', "FILE", NULL, "write the answer to a file; by default to stdout"},
    {"wait", 'w', "SECONDS", NULL, "how long the device may take"},
    OPTION_END,
};

static const struct option_spec device_wait_options[] = {
    {"wait-for-device", 0, NULL, NULL, "as an operation that is sent when the device listens; --wait follows it"},
    {"ttl", 0, "SECONDS", NULL, "the same, with the time after which it expires"},
    OPTION_END,
};

static const struct option_spec history_options[] = {
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

static const struct option_spec series_options[] = {
    {"from", 0, "TIME", NULL, "from then on (-24h)"},
    {"to", 0, "TIME", NULL, "until before then"},
    {"bucket", 0, "SECONDS", NULL, "how long one bar is; by default what fits a line"},
    OPTION_END,
};

static const struct option_spec limit_options[] = {
    {"limit", 0, "COUNT", NULL, "at most so many (100)"},
    OPTION_END,
};

static const struct option_spec cache_options[] = {
    {"fresh", 0, NULL, NULL, "ask the device, whatever is known"},
    {"only-if-cached", 0, NULL, NULL, "do not ask the device"},
    {"max-stale", 0, "[SECONDS]", NULL, "take something older if the device sleeps or does not answer"},
    OPTION_END,
};

static const struct option_spec transfer_options[] = {
    {"device", 0, "DEVICE", NULL, "to one device only"},
    {"link", 0, "LINK", NULL, "over one link only"},
    OPTION_END,
};

static const struct option_spec link_options[] = {
    {"prefix", 0, "PREFIX...", NULL, "of the addresses of its devices: 2001:db8:15::/64, 192.0.2.0/24"},
    {"zone", 0, "INTERFACE...", NULL, "that its devices are reached through"},
    {"parallel", 0, "NUMBER", NULL, "containers on their way at a time; 0: any number"},
    {"rate", 0, "BYTES", NULL, "per second, above which transfers wait; 0: any number"},
    {"block", 0, "BYTES", NULL, "largest block"},
    OPTION_END,
};

static const struct option_spec rollout_devices_options[] = {
    {"select", 0, "EXPRESSION", NULL, "devices for which it holds: site=paris,runtime in (wasm,rbpf),!spare"},
    {"group", 0, "NAME[,NAME]...", NULL, "devices that are in one of these groups"},
    {"device", 0, "DEVICE[,DEVICE]...", NULL, "these devices"},
    {"all", 0, NULL, NULL, "all devices"},
    {"dynamic", 0, NULL, NULL, "devices that match later, while it is under way, are taken in"},
    OPTION_END,
};

static const struct option_spec rollout_options[] = {
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
    {"dry-run", 0, NULL, NULL, "tell what would happen"},
    OPTION_END,
};

static const struct option_spec rollout_watch_options[] = {
    {"watch", 0, NULL, NULL, "follow it until it has ended or is paused"},
    OPTION_END,
};

static const struct option_spec rollout_state_options[] = {
    {"state", 0, "STATE", "pending updating done failed skipped reverting reverted", "in one state only"},
    OPTION_END,
};

static const struct option_spec group_options[] = {
    {"observe", 0, "PATH...", NULL, "resources of its devices that the gateway observes; none without"},
    OPTION_END,
};

static const struct option_spec type_options[] = {
    {"type", 0, "TYPE", NULL, "media type of the file; by default JSON, text or bytes, as it looks"},
    OPTION_END,
};

static const struct option_spec observe_options[] = {
    {"count", 0, "COUNT", NULL, "end after so many representations"},
    OPTION_END,
};

static const struct option_spec shadow_options[] = {
    {"reported", 0, NULL, NULL, "what the device said of itself, instead of what is wished of it"},
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    OPTION_END,
};

static const struct option_spec gc_options[] = {
    {"dry-run", 0, NULL, NULL, "only tell which would go"},
    OPTION_END,
};
static const struct option_spec push_options[] = {
    {"data", 0, "FILE", NULL, "the data part of the container"},
    {"metadata", 0, "FILE", NULL, "take the description from TinyContainer metadata; the gateway signs anew"},
    OPTION_END,
};

static const struct option_spec deploy_options[] = {
    {"data", 0, "FILE", NULL, "the data part, when a file is deployed"},
    {"stopped", 0, NULL, NULL, "install it, but do not start it"},
    {"rollback", 0, NULL, NULL, "though the device had a release with a higher sequence number"},
    OPTION_END,
};

static const struct option_spec publisher_options[] = {
    {"key", 'k', "KEY...", NULL, "keys that it signs with: public or private, in files, TPMs or tokens"},
    {"artifact", 0, "PATTERN...", NULL, "names that it may release; * stands for any characters"},
    {"device", 0, "DEVICE...", NULL, "devices that may take them; all without"},
    {"group", 0, "NAME...", NULL, "groups whose devices may take them"},
    {"where", 0, "EXPRESSION", NULL, "labels of devices that may take them, as in site=paris,!spare"},
    {"revoked", 0, NULL, NULL, "nothing that it signed is taken any more"},
    OPTION_END,
};

static const struct option_spec release_options[] = {
    {"artifact", 0, "ARTIFACT...", NULL,
     "what it consists of: builds of which a device takes the first that it can run"},
    {"sequence", 0, "NUMBER", NULL, "higher than that of every version before"},
    OPTION_END,
};

static const struct option_spec release_key_options[] = {
    {"key", 'k', "KEY", NULL, "the private key that signs: a PEM file, or the URI of a TPM or token"},
    OPTION_END,
};

static const struct option_spec get_options[] = {
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    {"data", 0, NULL, NULL, "the data part instead of the code"},
    OPTION_END,
};

static const struct option_spec show_options[] = {
    {"fresh", 0, NULL, NULL, "ask the device now"},
    OPTION_END,
};

static const struct option_spec log_options[] = {
    {"follow", 'f', NULL, NULL, "go on until interrupted"},
    OPTION_END,
};

static const struct option_spec operations_options[] = {
    {"device", 0, "DEVICE", NULL, "of one device only"},
    {"container", 0, "UID", NULL, "of one container only"},
    {"state", 0, "STATE", "queued running succeeded failed expired cancelled", "in one state only"},
    {"limit", 0, "COUNT", NULL, "at most so many (100)"},
    OPTION_END,
};

static const struct option_spec kind_options[] = {
    {"kind", 0, "KIND[,KIND]...", NULL,
     "telemetry, device, presence, container, operation, artifact, security, resource, gateway or rollout"},
    {"device", 0, "DEVICE", NULL, "of one device only"},
    OPTION_END,
};

static const struct option_spec follow_options[] = {
    {"group", 0, "NAME", NULL, "of the devices of a group only"},
    {"name", 0, "NAME", NULL, "telemetry of this name only; x* for names that begin with x"},
    {"since", 0, "SECONDS", NULL, "begin with what happened so long ago: 90, 15m, 2h, 1d"},
    {"after", 0, "NUMBER", NULL, "begin behind an event, by its number; 0: with the oldest that is kept"},
    {"count", 0, "COUNT", NULL, "end after so many events"},
    OPTION_END,
};

static const struct option_spec watch_options[] = {
    {"device", 0, "DEVICE", NULL, "the unfinished operations of one device"},
    {"wait", 'w', "SECONDS", NULL, "give up after so long"},
    OPTION_END,
};

static const struct option_spec build_options[] = {
    {"key", 'k', "PEM", NULL, "the Ed25519 private key that signs it"},
    {"uid", 0, "UID", NULL, "the uid of the container, 1 to 63 bytes"},
    {"data", 0, "FILE", NULL, "the data part of the container"},
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    OPTION_END,
};

static const struct option_spec inspect_options[] = {
    {"key", 'k', "KEY", NULL, "verify with a key: a PEM file, private or public, or 64 hex digits"},
    {"code", 0, "FILE", NULL, "verify that it belongs to this code"},
    {"data", 0, "FILE", NULL, "verify that it belongs to this data"},
    OPTION_END,
};

static const struct option_spec key_options[] = {
    {"pem", 0, NULL, NULL, "print the key as PEM only"},
    OPTION_END,
};

static const struct option_spec generate_options[] = {
    {"type", 0, "TYPE", "ed25519 es256", "the kind of key (ed25519)"},
    OPTION_END,
};

static const struct option_spec suit_sign_options[] = {
    {"key", 'k', "KEY", NULL, "the private key that signs: a PEM file, or the URI of a TPM or token"},
    {"output", 'o', "FILE", NULL, "write to a file; by default to stdout"},
    OPTION_END,
};

static const struct option_spec suit_create_options[] = {
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

static const struct option_spec suit_verify_options[] = {
    {"key", 'k', "KEY", NULL, "the key that signed: public or private, as for sign"},
    {"payload", 0, "FILE", NULL, "check that it is a payload of the manifest"},
    OPTION_END,
};

static const struct option_spec help_options[] = {
    {"roff", 0, NULL, NULL, "print the part of the man page that describes the commands"},
    OPTION_END,
};

/* Grouped by the first word; the completion goes by that. */
const struct command command_table[] = {
    {"device add",
     "[ID] ADDRESS",
     {add_options, device_options},
     "add a device",
     "The address is coap://HOST[:PORT]. Without an id the gateway chooses one.",
     "  tcgw device add box-1 coap://[fd00::12] --name 'Loading ramp'\n"
     "  tcgw device add box-2 coap://192.0.2.7:5683 --agent v1 --pdu-size 1204\n",
     device_add},
    {"device list",
     "",
     {list_options},
     "list the devices",
     NULL,
     "  tcgw device list --presence offline\n",
     device_list},
    {"device show", "DEVICE", {NULL}, "show a device", NULL, NULL, device_show},
    {"device set",
     "DEVICE",
     {set_options, device_options},
     "change what is configured for a device",
     "What a probe can find is given back to it with the value auto.",
     "  tcgw device set box-1 --address coap://[fd00::13]\n"
     "  tcgw device set box-1 --pdu-size auto\n",
     device_set},
    {"device probe", "DEVICE", {wait_options}, "ask a device what it is and can do", NULL, NULL, device_probe},
    {"device remove",
     "DEVICE",
     {NULL},
     "remove a device and what is known of it",
     "Nothing is sent to the device: containers on it go on.",
     NULL,
     device_remove},
    {"device enrol",
     "DEVICE",
     {create_options, enrol_options},
     "make fresh credentials for a device",
     "Prints what the device needs, this once: the gateway stores it encrypted and never tells it again. What is "
     "printed "
     "is the device's side. A device that has credentials of the kind gets the new ones besides; the old ones end when "
     "it "
     "has used the new ones.",
     "  tcgw device enrol box-1 --format c -o credentials.h\n"
     "  tcgw device enrol box-2 --create coap://[fd00::12] --format qr\n"
     "  tcgw device enrol box-3 --kind psk --format json\n",
     credential_enrol},
    {"device rotate",
     "DEVICE",
     {enrol_options},
     "replace the credentials of a device that has some",
     "As tcgw device enrol: the old ones are good until the device has used the new ones.",
     NULL,
     credential_rotate},
    {"device import",
     "DEVICE FILE",
     {import_options},
     "take over credentials that a device has",
     "The file has the device's side: what tcgw device enrol prints as json, libcoap's OSCORE configuration, or "
     "aiocoap's "
     "settings.json; - is standard input.",
     "  tcgw device import box-1 settings.json\n",
     credential_import},
    {"device credentials", "DEVICE", {NULL}, "list the credentials of a device", NULL, NULL, credential_list},
    {"device revoke",
     "DEVICE [NUMBER]",
     {NULL},
     "revoke the credentials of a device, all or one",
     "The device is refused from its next message on.",
     NULL,
     credential_revoke},
    {"directory list", "", {NULL}, "list the endpoints that registered", NULL, NULL, directory_list},
    {"directory show", "NUMBER", {NULL}, "show an endpoint and its links", NULL, NULL, directory_show},
    {"directory remove",
     "NUMBER",
     {NULL},
     "remove an endpoint from the directory",
     "It comes back when the device registers again.",
     NULL,
     directory_remove},
    {"join open",
     "MINUTES",
     {NULL},
     "let agents without credentials ask to join",
     "They are listed; nothing is sent to them until you approve.",
     NULL,
     join_open},
    {"join close", "", {NULL}, "let no further agents ask to join", NULL, NULL, join_close},
    {"join list", "", {NULL}, "list the agents that ask to join", NULL, NULL, join_list},
    {"join approve",
     "ID",
     {approve_options},
     "make a device of an agent that asks to join",
     "It has no credentials then; enrol it, or let plain requests be where the network is trusted.",
     "  tcgw join approve box-4 --group lab\n",
     join_approve},
    {"join reject", "ID", {NULL}, "reject an agent that asks to join", NULL, NULL, join_reject},
    {"sink list", "", {NULL}, "list where the journal is sent to, and how far that is", NULL, NULL, sink_list},
    {"sink show", "SINK", {NULL}, "show a sink", NULL, NULL, sink_show},
    {"sink retry", "SINK", {NULL}, "end the pause of a sink that waits for its next attempt", NULL, NULL, sink_retry},
    {"sink dead-letters", "SINK", {NULL}, "list what a sink gave up", NULL, NULL, sink_letters},
    {"sink letter", "SINK NUMBER", {NULL}, "show a dead letter with its body", NULL, NULL, sink_letter},
    {"sink resend",
     "SINK NUMBER",
     {NULL},
     "send a dead letter again",
     "It is removed when the platform has taken it.",
     NULL,
     sink_resend},
    {"sink drop", "SINK NUMBER", {NULL}, "remove a dead letter", NULL, NULL, sink_drop},
    {"transfer list",
     "",
     {transfer_options},
     "list containers that are on their way to devices",
     NULL,
     NULL,
     transfer_list},
    {"transfer watch",
     "",
     {transfer_options},
     "show them every second until there are none",
     NULL,
     NULL,
     transfer_watch},
    {"link list", "", {NULL}, "list the links that devices share", NULL, NULL, link_list},
    {"link show", "LINK", {NULL}, "show a link", NULL, NULL, link_show},
    {"link set",
     "LINK",
     {link_options},
     "say which devices share a link, and how much goes over it",
     "What is not given is as in section [transfer] of tcgw.conf(5). Devices that no link matches belong to the one "
     "that is named like their interface, or to default.",
     "  tcgw link set field --prefix 2001:db8:15::/64 --parallel 2 --rate 8000 --block 64\n",
     link_set},
    {"link remove", "LINK", {NULL}, "remove a link", NULL, NULL, link_remove},
    {"rollout create",
     "CONTAINER RELEASE",
     {rollout_devices_options, rollout_options, rollout_watch_options},
     "bring a release, or an artifact, to many devices in waves",
     "It pauses when more devices fail than may. RELEASE is name@version, or an artifact.",
     "  tcgw rollout create door door@2 --select site=paris --canaries 1 --wave 10% --running-for 60 --watch\n"
     "  tcgw rollout create door door@2 --all --dry-run\n",
     rollout_create},
    {"rollout list", "", {NULL}, "list the rollouts", NULL, NULL, rollout_list},
    {"rollout show",
     "ROLLOUT",
     {NULL},
     "show a rollout",
     "ROLLOUT is an id, or the newest with that name.",
     NULL,
     rollout_show},
    {"rollout devices",
     "ROLLOUT",
     {rollout_state_options},
     "list the devices of a rollout",
     NULL,
     "  tcgw rollout devices door-2 --state failed\n",
     rollout_devices},
    {"rollout watch", "ROLLOUT", {NULL}, "follow a rollout until it has ended or is paused", NULL, NULL, rollout_watch},
    {"rollout pause", "ROLLOUT", {NULL}, "begin with no further devices", NULL, NULL, rollout_pause},
    {"rollout resume",
     "ROLLOUT",
     {rollout_watch_options},
     "let a rollout go on",
     "Failures so far are accepted.",
     NULL,
     rollout_resume},
    {"rollout abort", "ROLLOUT", {NULL}, "end a rollout where it stands", NULL, NULL, rollout_abort},
    {"rollout rollback",
     "ROLLOUT",
     {rollout_watch_options},
     "bring a rollout's devices back to what they had",
     NULL,
     NULL,
     rollout_rollback},
    {"rollout remove", "ROLLOUT", {NULL}, "forget a rollout that has ended", NULL, NULL, rollout_remove},
    {"group list", "", {NULL}, "list the groups of devices", NULL, NULL, group_list},
    {"group show", "NAME", {NULL}, "show a group", NULL, NULL, group_show},
    {"group set",
     "NAME",
     {group_options},
     "set what holds for the devices in a group",
     "Devices are put into groups with tcgw device set DEVICE --group NAME.",
     "  tcgw group set greenhouse --observe /sensors/temp --observe /sensors/humidity\n",
     group_set},
    {"group remove", "NAME", {NULL}, "remove a group's settings", NULL, NULL, group_remove},
    {"resource list", "DEVICE", {NULL}, "list the resources of a device", NULL, NULL, resource_list},
    {"resource observations",
     "DEVICE",
     {NULL},
     "list the observations that the gateway holds",
     NULL,
     NULL,
     observation_list},
    {"resource get",
     "DEVICE PATH",
     {cache_options, read_options},
     "read a resource of a device",
     "The path is written as the device has it, with a query where it takes one. What the gateway knows and is fresh "
     "is "
     "not asked for again; on a terminal stderr says so.",
     "  tcgw resource get box-1 /.well-known/core\n"
     "  tcgw resource get box-1 '/sensors/temp?unit=K' --accept application/cbor -o temp.cbor\n",
     resource_get},
    {"resource put",
     "DEVICE PATH [FILE]",
     {type_options, read_options, device_wait_options},
     "write a resource of a device",
     NULL,
     "  tcgw resource put box-1 /led on.json\n"
     "  tcgw resource put box-1 /led on.json --wait-for-device --ttl 1d\n",
     resource_put},
    {"resource post",
     "DEVICE PATH [FILE]",
     {type_options, read_options, device_wait_options},
     "post to a resource of a device",
     NULL,
     NULL,
     resource_post},
    {"resource patch",
     "DEVICE PATH [FILE]",
     {type_options, read_options, device_wait_options},
     "change a part of a resource of a device",
     NULL,
     NULL,
     resource_patch},
    {"resource delete",
     "DEVICE PATH",
     {read_options, device_wait_options},
     "delete a resource of a device",
     NULL,
     NULL,
     resource_delete},
    {"resource observe",
     "DEVICE PATH",
     {observe_options},
     "follow a resource of a device",
     "One line per representation: when it came, its code, and its payload (base64 when it is no text).",
     "  tcgw resource observe box-1 /sensors/temp --count 10\n",
     resource_observe},
    {"telemetry list",
     "[DEVICE]",
     {history_options},
     "list what devices sent",
     "Marks: assigned (the device told no time), suspect (its clock cannot be right), downsampled (the mean of "
     "several).",
     "  tcgw telemetry list box-1 --name temp --from -1h\n"
     "  tcgw telemetry list box-1 --from -7d --bucket 1h --aggregate min,max\n"
     "  tcgw telemetry list --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --csv > january.csv\n",
     telemetry_list},
    {"telemetry show",
     "DEVICE NAME",
     {series_options},
     "show how a series went",
     NULL,
     "  tcgw telemetry show box-1 temp --from -7d\n",
     telemetry_show},
    {"telemetry series", "[DEVICE]", {limit_options}, "list the series that there are", NULL, NULL, telemetry_series},
    {"storage", "", {NULL}, "show how much is stored, and how long a sink may be away", NULL, NULL, telemetry_storage},
    {"shadow get",
     "DEVICE",
     {shadow_options},
     "show what is wished of a device, or what it said of itself",
     NULL,
     NULL,
     shadow_get},
    {"shadow set",
     "DEVICE FILE",
     {type_options},
     "say what is wished of a device",
     "The device gets it at once, or when it comes back.",
     "  tcgw shadow set box-1 wishes.json\n",
     shadow_set},
    {"shadow delete", "DEVICE", {NULL}, "withdraw what is wished of a device", NULL, NULL, shadow_delete},
    {"artifact push",
     "FILE",
     {push_options, describe_options},
     "upload a container's code",
     "The same file with the same description has the same id, so it may be pushed again.",
     "  tcgw artifact push counter.rbpf\n"
     "  tcgw artifact push door.wasm --description door.json --data door.cfg\n"
     "  tcgw artifact push temp.wasm --endpoint id=1,peer=local,peer-endpoint=3,direction=in --loop-period 500\n",
     artifact_push},
    {"artifact list", "", {NULL}, "list the artifacts", NULL, NULL, artifact_list},
    {"artifact show",
     "ARTIFACT",
     {NULL},
     "show an artifact",
     "Artifacts are named by the first digits of their id (4 or more) or by their name.",
     NULL,
     artifact_show},
    {"artifact get",
     "ARTIFACT",
     {get_options},
     "download the code or data of an artifact",
     NULL,
     "  tcgw artifact get 3f2a91 -o counter.rbpf\n",
     artifact_get},
    {"artifact remove", "ARTIFACT", {NULL}, "remove an artifact that no container uses", NULL, NULL, artifact_remove},
    {"artifact pin", "ARTIFACT", {NULL}, "keep an artifact, whether it is needed or not", NULL, NULL, artifact_pin},
    {"artifact unpin", "ARTIFACT", {NULL}, "keep an artifact only as long as it is needed", NULL, NULL, artifact_unpin},
    {"artifact gc",
     "",
     {gc_options},
     "remove artifacts that nobody needs",
     "The gateway does this every hour by itself; artifacts.keep_age, keep_count and keep_releases of tcgw.conf say "
     "what "
     "goes.",
     NULL,
     artifact_gc},
    {"deploy",
     "DEVICE UID ARTIFACT|FILE|RELEASE",
     {deploy_options, describe_options, wait_options},
     "bring a container to a device and start it",
     "A file is pushed first, with the options of tcgw artifact push. A word of hex digits only is an artifact's id: "
     "write ./NAME for a file of such a name. NAME@VERSION is a release, unless there is such a file.",
     "  tcgw deploy box-1 counter counter.rbpf\n"
     "  tcgw deploy box-1 door door@1.4.0\n"
     "  tcgw deploy box-1 door 3f2a91 --wait=60 --ttl 10m\n",
     container_deploy},
    {"container list", "[DEVICE]", {NULL}, "list the containers of a device, or of all", NULL, NULL, container_list},
    {"container show", "DEVICE UID", {show_options}, "show a container", NULL, NULL, container_show},
    {"container start", "DEVICE UID", {wait_options}, "start a container", NULL, NULL, container_start},
    {"container stop", "DEVICE UID", {wait_options}, "stop a container", NULL, NULL, container_stop},
    {"container exec",
     "DEVICE UID",
     {wait_options},
     "run a container of a SUIT device once and print what it returned",
     "For Femto-Containers, which run when they are asked to.",
     NULL,
     container_exec},
    {"container remove",
     "DEVICE UID",
     {wait_options},
     "stop a container and remove it from its device",
     NULL,
     NULL,
     container_remove},
    {"container forget",
     "DEVICE UID",
     {NULL},
     "drop the record of a container; the device is not asked",
     "For containers that are gone with their device, or that its agent cannot remove.",
     NULL,
     container_forget},
    {"container explain",
     "DEVICE UID",
     {NULL},
     "show why a container is, or is not, as desired",
     "What is desired and reported, what was attempted last, when the next attempt is, and what it waits for.",
     NULL,
     container_explain},
    {"container logs", "DEVICE UID", {log_options}, "print what a container logged", NULL, NULL, container_logs},
    {"publisher list", "", {NULL}, "list those whose releases are taken", NULL, NULL, publisher_list},
    {"publisher show", "NAME", {NULL}, "show a publisher", NULL, NULL, publisher_show},
    {"publisher set",
     "NAME",
     {publisher_options},
     "set a publisher's keys and scope, instead of those before",
     "As soon as there is one, only signed releases go to devices (artifacts.require_signature).",
     "  tcgw publisher set acme --key acme.pub --artifact 'door*' --group lobby\n",
     publisher_set},
    {"publisher remove", "NAME", {NULL}, "remove a publisher", NULL, NULL, publisher_remove},
    {"release sign",
     "NAME@VERSION",
     {release_options, suit_sign_options},
     "sign a release, offline",
     "No gateway is needed where artifacts are named by all digits of their ids.",
     "  tcgw release sign door@1.4.0 --sequence 7 --artifact 3f2a91 -k acme.pem -o door.release\n",
     release_sign},
    {"release add",
     "FILE|NAME@VERSION",
     {release_options, release_key_options},
     "add a release: a signed file, or what the options say",
     NULL,
     "  tcgw release add door.release\n"
     "  tcgw release add door@1.4.0 --sequence 7 --artifact 3f2a91 --artifact 77ab0c -k acme.pem\n",
     release_add},
    {"release list", "[NAME]", {NULL}, "list releases, the newest of a name first", NULL, NULL, release_list},
    {"release show", "NAME@VERSION", {NULL}, "show a release", NULL, NULL, release_show},
    {"release remove", "NAME@VERSION", {NULL}, "remove a release that no container has", NULL, NULL, release_remove},
    {"policy list", "", {NULL}, "list the policies", NULL, NULL, policy_list},
    {"policy show", "NAME", {NULL}, "show a policy", NULL, NULL, policy_show},
    {"policy set",
     "NAME FILE",
     {NULL},
     "set what may run where, from a file with JSON",
     "The policy with the lowest priority that matches decides.",
     "  echo '{\"allow\": true, \"types\": [\"wasm\"]}' | tcgw policy set house -\n",
     policy_set},
    {"policy remove", "NAME", {NULL}, "remove a policy", NULL, NULL, policy_remove},
    {"service list", "", {NULL}, "list services", NULL, NULL, service_list},
    {"service show", "NAME", {NULL}, "show a service and how far it is", NULL, NULL, service_show},
    {"service set",
     "NAME FILE",
     {NULL},
     "set which containers run on the devices that a selector matches",
     "The file is JSON (docs/services.md); - is standard input. Devices that match later get its containers, those "
     "that match no more lose them.",
     "  tcgw service set climate climate.json\n",
     service_set},
    {"service remove", "NAME", {NULL}, "remove a service and its containers", NULL, NULL, service_remove},
    {"operation list",
     "",
     {operations_options},
     "list operations, the newest first",
     NULL,
     "  tcgw operation list --device box-1 --state failed\n",
     operation_list},
    {"operation show", "OPERATION", {NULL}, "show an operation", NULL, NULL, operation_show},
    {"operation cancel", "OPERATION", {NULL}, "cancel an operation that has not ended", NULL, NULL, operation_cancel},
    {"operation watch",
     "[OPERATION]",
     {watch_options},
     "follow operations until they have ended",
     "Without an id: all that are unfinished now. The exit code tells how the operation ended.",
     "  tcgw operation watch --device box-1\n",
     operation_watch},
    {"events",
     "",
     {kind_options, follow_options},
     "follow what happens: telemetry and every change",
     "Begins with what comes next, goes on where it was when the gateway was away, and ends with Ctrl-C. The number of "
     "an "
     "event (--json, --quiet) is good for --after.",
     "  tcgw events --kind device,presence --since 1h\n"
     "  tcgw events --json --after 0 | jq .\n",
     events_follow},
    {"telemetry tail",
     "[DEVICE]",
     {follow_options},
     "follow the telemetry of a device, or of all",
     "One line for each record. As tcgw events.",
     "  tcgw telemetry tail box-1 --name temperature --since 15m\n",
     telemetry_tail},
    {"metadata build",
     "FILE",
     {build_options, describe_options},
     "make signed metadata for a code file, offline",
     NULL,
     "  tcgw metadata build counter.rbpf --key key.pem --uid counter -o counter.metadata\n",
     metadata_command_build},
    {"metadata inspect",
     "FILE",
     {inspect_options},
     "show and verify metadata, offline",
     NULL,
     "  tcgw metadata inspect counter.metadata --key key.pem --code counter.rbpf\n",
     metadata_command_inspect},
    {"suit create",
     "",
     {suit_create_options, suit_sign_options},
     "make a SUIT manifest, offline",
     "Options behind --component belong to that component; those before the first one belong to all. Components with "
     "the "
     "same id and different offsets are slots of one component. Without --key the manifest is not signed.",
     "  tcgw suit create --vendor riot-os.org --class native --component ram/0 --file job.bin "
     "--uri coap://[fd00::1]/job.bin -k key.pem -o job.suit\n",
     suit_command_create},
    {"suit sign",
     "FILE",
     {suit_sign_options},
     "sign a SUIT manifest, in place of those who signed it before",
     NULL,
     "  tcgw suit sign job.suit -k 'pkcs11:token=release;object=signer' -o signed.suit\n",
     suit_command_sign},
    {"suit verify",
     "FILE",
     {suit_verify_options},
     "check who signed a SUIT manifest, and its payloads",
     NULL,
     "  tcgw suit verify job.suit -k key.pub --payload job.bin\n",
     suit_command_verify},
    {"suit show", "FILE", {NULL}, "show what a SUIT manifest tells a device to do", NULL, NULL, suit_command_show},
    {"key generate",
     "FILE",
     {generate_options},
     "make a private key in a new file that only you can read",
     NULL,
     "  tcgw key generate release.pem && tcgw key show release.pem --pem > release.pub\n",
     key_command_generate},
    {"key show",
     "[KEY]",
     {key_options},
     "show the public key that devices have to trust, or that of another key",
     "KEY is a PEM file, private or public, or the URI of a TPM or token (docs/suit.md). Without one it is the "
     "gateway's.",
     NULL,
     key_command_show},
    {"gateway distrust",
     "",
     {NULL},
     "have every OSCORE context renewed",
     "For a gateway that was put back to an older state, such as a snapshot of the whole machine. Devices renew their "
     "contexts by themselves where they can (RFC 8613 appendix B.2); the others have to be enrolled again.",
     NULL,
     gateway_distrust},
    {"status", "", {NULL}, "show how the gateway is", NULL, NULL, gateway_status},
    {"version", "", {NULL}, "print the version of this program", NULL, NULL, gateway_version},
    {"completion",
     "bash|zsh|fish",
     {NULL},
     "print a completion script for a shell",
     NULL,
     "  tcgw completion bash > ~/.local/share/bash-completion/completions/tcgw\n",
     gateway_completion},
    {"help", "[COMMAND] [SUBCOMMAND]", {help_options}, "explain a command, or list them", NULL, NULL, gateway_help},
};
const size_t command_table_size = array_size(command_table);

const struct command_exit command_exits[] = {
    {CLI_OK, "done"},
    {CLI_FAILED, "the operation or the device failed"},
    {CLI_USAGE, "the command line is wrong"},
    {CLI_NOT_FOUND, "a device, artifact, container or operation does not exist"},
    {CLI_CONFLICT, "it does not fit the present state: exists already, in use, changed meanwhile"},
    {CLI_INVALID, "the gateway refused the input, or a file cannot be used"},
    {CLI_UNREACHABLE, "no gateway can be reached"},
    {CLI_TIMEOUT, "not done in time, or the operation expired"},
    {CLI_UNSUPPORTED, "the agent of the device does not support it; the message says what to do"},
    {CLI_GATEWAY, "the gateway failed or is over a limit"},
    {CLI_INTERRUPTED, "interrupted; an operation goes on, its id is printed"},
};
const size_t command_exits_size = array_size(command_exits);
