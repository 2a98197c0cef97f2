#include "cli/view.h"

static const struct field device_fields[] = {
    {"Id", "id", FIELD_TEXT, true},
    {"Name", "name", FIELD_TEXT, true},
    {"Address", "address", FIELD_TEXT, true},
    {"Agent", "agent", FIELD_TEXT, true},
    {"Security", "security", FIELD_STATE, true},
    {"Presence", "presence.state", FIELD_STATE, true},
    {"Presence since", "presence.since", FIELD_TIME, false},
    {"Presence reason", "presence.reason", FIELD_TEXT, false},
    {"Expected", "presence.expected_at", FIELD_TIME, true},
    {"Sleeps", "presence.sleepy", FIELD_TEXT, false},
    {"Sleep configured", "sleep.sleep_s", FIELD_TEXT, false},
    {"Awake configured", "sleep.awake_ms", FIELD_MS, false},
    {"Endpoint", "endpoint.ep", FIELD_TEXT, false},
    {"Registration", "endpoint.number", FIELD_TEXT, false},
    {"Plain allowed", "allow_plain", FIELD_TEXT, false},
    {"Groups", "groups", FIELD_TEXT, false},
    {"Agent configured", "agent_configured", FIELD_TEXT, false},
    {"Agent version", "agent_version", FIELD_TEXT, false},
    {"Reported id", "reported_id", FIELD_TEXT, false},
    {"Runtimes", "capabilities.runtimes", FIELD_TEXT, false},
    {"Slots", "capabilities.slots", FIELD_TEXT, false},
    {"Largest datagram", "capabilities.pdu_size", FIELD_BYTES, false},
    {"Largest package", "capabilities.package_max", FIELD_BYTES, false},
    {"Memory", "capabilities.memory", FIELD_BYTES, false},
    {"Containers", "containers", FIELD_TEXT, true},
    {"Unfinished", "operations_unfinished", FIELD_TEXT, false},
    {"Last seen", "last_seen_at", FIELD_TIME, true},
    {"Created", "created_at", FIELD_TIME, false},
    {"Updated", "updated_at", FIELD_TIME, false},
    {"Revision", "revision", FIELD_TEXT, false},
};

static const struct field credential_fields[] = {
    {"Number", "number", FIELD_TEXT, true},
    {"Kind", "kind", FIELD_TEXT, true},
    {"State", "state", FIELD_STATE, true},
    {"Algorithm", "algorithm", FIELD_TEXT, true},
    {"Sender id", "sender_id", FIELD_TEXT, true},
    {"Recipient id", "recipient_id", FIELD_TEXT, true},
    {"Id context", "id_context", FIELD_TEXT, true},
    {"Identity", "identity", FIELD_TEXT, true},
    {"Sequence number", "sequence_number", FIELD_TEXT, false},
    {"Created", "created_at", FIELD_TIME, true},
    {"First used", "first_used_at", FIELD_TIME, true},
};

static const struct field sink_fields[] = {
    {"Name", "name", FIELD_TEXT, true},
    {"Type", "type", FIELD_TEXT, true},
    {"Target", "target", FIELD_TEXT, true},
    {"State", "state", FIELD_STATE, true},
    {"Since", "since", FIELD_TIME, false},
    {"Behind", "behind", FIELD_TEXT, true},
    {"Dead letters", "dead_letters", FIELD_TEXT, true},
    {"Last success", "last_success", FIELD_TIME, true},
    {"Error", "error", FIELD_TEXT, true},
    {"Next attempt in", "retry_in_ms", FIELD_MS, false},
    {"Cursor", "cursor", FIELD_TEXT, false},
    {"Sent", "totals.sent", FIELD_TEXT, false},
    {"Acknowledged", "totals.acknowledged", FIELD_TEXT, false},
    {"Bytes", "totals.bytes", FIELD_BYTES, false},
    {"Attempts", "totals.attempts", FIELD_TEXT, false},
    {"Failures", "totals.failures", FIELD_TEXT, false},
    {"Missing", "totals.missing", FIELD_TEXT, false},
    {"Commands", "totals.commands", FIELD_TEXT, false},
    {"Commands refused", "totals.commands_refused", FIELD_TEXT, false},
};

static const struct field audit_fields[] = {
    {"Number", "seq", FIELD_TEXT, true},    {"Time", "time", FIELD_TIME, true},
    {"Who", "who", FIELD_TEXT, true},       {"From", "from", FIELD_TEXT, true},
    {"Event", "event", FIELD_STATE, true},  {"Action", "action", FIELD_TEXT, true},
    {"Device", "device", FIELD_TEXT, true}, {"Path", "path", FIELD_TEXT, true},
    {"Error", "error", FIELD_TEXT, true},
};

static const struct field database_fields[] = {
    {"Verdict", "verdict", FIELD_TEXT, true},
    {"Free", "free_bytes", FIELD_BYTES, true},
};

static const struct field anchor_fields[] = {
    {"Number", "seq", FIELD_TEXT, true},
    {"Hash", "hash", FIELD_TEXT, true},
    {"Signature", "signature", FIELD_TEXT, false},
    {"Public key", "public_key", FIELD_TEXT, false},
};

static const struct field letter_fields[] = {
    {"Number", "first", FIELD_TEXT, true},  {"Last", "last", FIELD_TEXT, true},
    {"Given up", "time", FIELD_TIME, true}, {"Attempts", "attempts", FIELD_TEXT, true},
    {"Size", "size", FIELD_BYTES, true},    {"Reason", "reason", FIELD_TEXT, true},
    {"Body", "body", FIELD_TEXT, false},
};

static const struct field group_fields[] = {
    {"Name", "name", FIELD_TEXT, true},
    {"Devices", "devices", FIELD_TEXT, true},
    {"Observes", "observe", FIELD_TEXT, true},
};

static const struct field transfer_fields[] = {
    {"Device", "device", FIELD_TEXT, true},        {"Container", "container", FIELD_TEXT, true},
    {"State", "state", FIELD_TEXT, true},          {"Bytes", "bytes", FIELD_BYTES, true},
    {"Total", "total", FIELD_BYTES, true},         {"Rate", "rate", FIELD_BYTES, true},
    {"Left", "remaining_s", FIELD_SECONDS, true},  {"Link", "link", FIELD_TEXT, true},
    {"Block", "block", FIELD_TEXT, false},         {"Breaks", "breaks", FIELD_TEXT, true},
    {"Artifact", "artifact", FIELD_DIGEST, false}, {"Started", "started_at", FIELD_TIME, true},
};

static const struct field network_fields[] = {
    {"Name", "name", FIELD_TEXT, true},       {"Prefixes", "prefixes", FIELD_TEXT, true},
    {"Zones", "zones", FIELD_TEXT, true},     {"Parallel", "parallel", FIELD_LIMIT, true},
    {"Rate", "rate", FIELD_LIMIT, true},      {"Block", "block", FIELD_BYTES, true},
    {"Running", "running", FIELD_TEXT, true}, {"Waiting", "waiting", FIELD_TEXT, true},
};

static const struct field emergency_fields[] = {
    {"Name", "name", FIELD_TEXT, true},
    {"Since", "since", FIELD_TIME, true},
    {"Containers", "containers", FIELD_TEXT, true},
    {"Running", "running", FIELD_TEXT, true},
    {"Reason", "reason", FIELD_TEXT, true},
};

static const struct field quarantine_fields[] = {
    {"Device", "device", FIELD_TEXT, true},
    {"Since", "since", FIELD_TIME, true},
    {"Reason", "reason", FIELD_TEXT, true},
};

static const struct field budget_fields[] = {
    {"Device", "device", FIELD_TEXT, true},
    {"Requests", "used.requests", FIELD_TEXT, true},
    {"Of", "limits.requests", FIELD_LIMIT, true},
    {"Bytes", "used.bytes", FIELD_BYTES, true},
    {"Of bytes", "limits.bytes", FIELD_BYTES, true},
    {"Wake-ups", "used.wakeups", FIELD_TEXT, true},
    {"Of wake-ups", "limits.wakeups", FIELD_LIMIT, true},
    {"Ends in", "ends_in_s", FIELD_SECONDS, true},
};

static const struct field rollout_fields[] = {
    {"Id", "id", FIELD_TEXT, true},
    {"Name", "name", FIELD_TEXT, true},
    {"Container", "container", FIELD_TEXT, true},
    {"Release", "spec.release", FIELD_TEXT, true},
    {"Artifact", "spec.artifact", FIELD_DIGEST, true},
    {"State", "state", FIELD_STATE, true},
    {"Reason", "reason", FIELD_TEXT, false},
    {"Wave", "wave", FIELD_TEXT, true},
    {"Devices", "counts.total", FIELD_TEXT, true},
    {"Pending", "counts.pending", FIELD_TEXT, false},
    {"Updating", "counts.updating", FIELD_TEXT, true},
    {"Done", "counts.done", FIELD_TEXT, true},
    {"Failed", "counts.failed", FIELD_TEXT, true},
    {"Skipped", "counts.skipped", FIELD_TEXT, false},
    {"Reverting", "counts.reverting", FIELD_TEXT, false},
    {"Reverted", "counts.reverted", FIELD_TEXT, false},
    {"Created", "created_at", FIELD_TIME, true},
    {"Updated", "updated_at", FIELD_TIME, false},
    {"Ended", "ended_at", FIELD_TIME, false},
};

static const struct field rollout_device_fields[] = {
    {"Device", "device", FIELD_TEXT, true},      {"Wave", "wave", FIELD_TEXT, true},
    {"State", "state", FIELD_STATE, true},       {"Since", "since", FIELD_TIME, true},
    {"Error", "error.detail", FIELD_TEXT, true},
};

static const struct field rollout_plan_fields[] = {
    {"Device", "device", FIELD_TEXT, true},
    {"Wave", "wave", FIELD_TEXT, true},
    {"Action", "action", FIELD_TEXT, true},
    {"Refused", "refused.detail", FIELD_TEXT, true},
};

static const struct field link_fields[] = {
    {"Path", "href", FIELD_TEXT, true},   {"Type", "rt", FIELD_TEXT, true},  {"Interface", "if", FIELD_TEXT, true},
    {"Format", "ct", FIELD_TEXT, true},   {"Size", "sz", FIELD_BYTES, true}, {"Observable", "obs", FIELD_TEXT, true},
    {"Title", "title", FIELD_TEXT, true},
};

static const struct field observation_fields[] = {
    {"Path", "path", FIELD_TEXT, true},          {"Query", "query", FIELD_TEXT, false},
    {"State", "state", FIELD_STATE, true},       {"Configured", "configured", FIELD_TEXT, true},
    {"Streams", "streams", FIELD_TEXT, true},    {"Since", "since", FIELD_TIME, true},
    {"Last", "notified_at", FIELD_TIME, true},   {"Notifications", "notifications", FIELD_TEXT, true},
    {"Error", "error.detail", FIELD_TEXT, true},
};

static const struct field join_fields[] = {
    {"Id", "id", FIELD_TEXT, true},
    {"Address", "address", FIELD_TEXT, true},
    {"First seen", "first_seen_at", FIELD_TIME, true},
    {"Last seen", "last_seen_at", FIELD_TIME, true},
};

/* What a container was described with. */
#define DESCRIPTION_FIELDS                                                                                             \
    {"System calls", "syscalls", FIELD_TEXT, false}, {"Endpoints", "endpoints", FIELD_ENDPOINTS, false},               \
        {"Loop period", "limits.loop_period_ms", FIELD_MS, false},                                                     \
        {"Longest start", "limits.start_max_duration_ms", FIELD_MS, false},                                            \
        {"Longest loop", "limits.loop_max_duration_ms", FIELD_MS, false},                                              \
        {"Lifetime (loops)", "limits.loop_max_lifetime", FIELD_LIMIT, false},                                          \
    {                                                                                                                  \
        "Longest stop", "limits.stop_max_duration_ms", FIELD_MS, false                                                 \
    }

static const struct field registration_fields[] = {
    {"Number", "number", FIELD_TEXT, true},
    {"Endpoint", "ep", FIELD_TEXT, true},
    {"Sector", "sector", FIELD_TEXT, true},
    {"Device", "device", FIELD_TEXT, true},
    {"Address", "address", FIELD_TEXT, true},
    {"Base", "base", FIELD_TEXT, false},
    {"Lifetime (s)", "lifetime_s", FIELD_TEXT, false},
    {"Attributes", "attributes", FIELD_TEXT, false},
    {"Links", "links", FIELD_LINKS, false},
    {"Registered", "registered_at", FIELD_TIME, false},
    {"Updated", "updated_at", FIELD_TIME, true},
    {"Expires", "expires_at", FIELD_TIME, true},
};

static const struct field upload_fields[] = {
    {"Id", "id", FIELD_TEXT, true},
    {"Name", "description.name", FIELD_TEXT, true},
    {"Arrived", "offset", FIELD_BYTES, true},
    {"Size", "length", FIELD_BYTES, true},
    {"Artifact", "artifact", FIELD_DIGEST, true},
    {"Expires", "expires_at", FIELD_TIME, true},
};

static const struct field artifact_fields[] = {
    {"Id", "id", FIELD_DIGEST, true},
    {"Name", "name", FIELD_TEXT, true},
    {"Type", "type", FIELD_TEXT, true},
    {"Code", "code.size", FIELD_BYTES, true},
    {"Code SHA-256", "code.sha256", FIELD_DIGEST, false},
    {"Data", "data.size", FIELD_BYTES, true},
    {"Data SHA-256", "data.sha256", FIELD_DIGEST, false},
    {"Releases", "releases", FIELD_RECORDS, false},
    DESCRIPTION_FIELDS,
    {"Memory", "memory.initial", FIELD_BYTES, false},
    {"Memory at most", "memory.maximum", FIELD_BYTES, false},
    {"Pinned", "pinned", FIELD_TEXT, false},
    {"Users", "users", FIELD_TEXT, true},
    {"Created", "created_at", FIELD_TIME, true},
};

static const struct field container_fields[] = {
    {"Device", "device", FIELD_TEXT, true},
    {"Uid", "uid", FIELD_TEXT, true},
    {"Desired", "desired.state", FIELD_STATE, true},
    {"Reported", "reported.state", FIELD_STATE, true},
    {"Reported at", "reported.at", FIELD_TIME, true},
    {"Artifact", "desired.artifact", FIELD_DIGEST, true},
    {"Artifact loaded", "reported.artifact", FIELD_DIGEST, false},
    {"Release", "desired.release", FIELD_TEXT, false},
    {"Release loaded", "reported.release", FIELD_TEXT, false},
    {"Load", "load", FIELD_TEXT, false},
    {"Error", "error.title", FIELD_TEXT, true},
    {"Detail", "error.detail", FIELD_TEXT, false},
    {"Created", "created_at", FIELD_TIME, false},
    {"Updated", "updated_at", FIELD_TIME, false},
    {"Revision", "revision", FIELD_TEXT, false},
};

static const struct field explanation_fields[] = {
    {"Device", "device", FIELD_TEXT, false},
    {"Container", "container", FIELD_TEXT, false},
    {"Desired", "desired.state", FIELD_STATE, false},
    {"Artifact desired", "desired.artifact", FIELD_DIGEST, false},
    {"Release desired", "desired.release", FIELD_TEXT, false},
    {"Service", "desired.service", FIELD_TEXT, false},
    {"Needs", "desired.needs", FIELD_TEXT, false},
    {"Parameters", "desired.parameters_size", FIELD_BYTES, false},
    {"Reported", "reported.state", FIELD_STATE, false},
    {"Artifact loaded", "reported.artifact", FIELD_DIGEST, false},
    {"Load", "reported.load", FIELD_TEXT, false},
    {"Reported at", "reported.at", FIELD_TIME, false},
    {"As desired", "converged", FIELD_TEXT, false},
    {"Why", "why", FIELD_TEXT, false},
    {"Waits for", "waits_for", FIELD_TEXT, false},
    {"Attempts failed", "attempts", FIELD_TEXT, false},
    {"Last attempt", "last_attempt_at", FIELD_TIME, false},
    {"Next attempt", "next_attempt_at", FIELD_TIME, false},
    {"Last operation", "last_operation.id", FIELD_TEXT, false},
    {"Ended", "last_operation.state", FIELD_STATE, false},
    {"Error", "error.title", FIELD_TEXT, false},
    {"Detail", "error.detail", FIELD_TEXT, false},
    {"What to do", "error.advice", FIELD_TEXT, false},
};

static const struct field service_fields[] = {
    {"Name", "name", FIELD_TEXT, true},
    {"Devices", "devices", FIELD_TEXT, true},
    {"Containers", "containers", FIELD_TEXT, false},
    {"Devices now", "status.devices", FIELD_TEXT, false},
    {"As desired", "status.converged", FIELD_TEXT, false},
    {"Pending", "status.pending", FIELD_TEXT, false},
    {"Failed", "status.failed", FIELD_TEXT, false},
    {"Refused", "status.refused", FIELD_TEXT, false},
    {"Problems", "status.problems", FIELD_TEXT, false},
};

static const struct field operation_fields[] = {
    {"Id", "id", FIELD_TEXT, true},
    {"Kind", "kind", FIELD_TEXT, true},
    {"Device", "device", FIELD_TEXT, true},
    {"Container", "container", FIELD_TEXT, true},
    {"Artifact", "artifact", FIELD_DIGEST, false},
    {"Request", "request.method", FIELD_TEXT, false},
    {"Path", "request.path", FIELD_TEXT, true},
    {"State", "state", FIELD_STATE, true},
    {"Step", "step", FIELD_TEXT, true},
    {"Created", "created_at", FIELD_TIME, true},
    {"Started", "started_at", FIELD_TIME, false},
    {"Ended", "ended_at", FIELD_TIME, false},
    {"Expires", "expires_at", FIELD_TIME, false},
    {"Waiting for", "waiting_for", FIELD_TEXT, false},
    {"Expected", "expected_at", FIELD_TIME, false},
    {"Answer", "result.coap_code", FIELD_TEXT, false},
    {"Payload", "result.payload", FIELD_TEXT, false},
    {"Error", "error.title", FIELD_TEXT, true},
    {"Detail", "error.detail", FIELD_TEXT, false},
    {"What to do", "error.advice", FIELD_TEXT, false},
};

static const struct field key_fields[] = {
    {"Id", "id", FIELD_TEXT, false},
    {"Algorithm", "algorithm", FIELD_TEXT, false},
    {"Public key", "public_key", FIELD_TEXT, false},
};

static const struct field suit_fields[] = {
    {"Dialect", "dialect", FIELD_TEXT, false},         {"Sequence", "sequence", FIELD_TEXT, false},
    {"Signatures", "signatures", FIELD_TEXT, false},   {"Digest", "digest", FIELD_DIGEST, false},
    {"Reference", "reference_uri", FIELD_TEXT, false},
};

static const struct field suit_component_fields[] = {
    {"Id", "id", FIELD_TEXT, true},      {"Digest", "digest", FIELD_DIGEST, true},
    {"Size", "size", FIELD_BYTES, true}, {"Offset", "offset", FIELD_TEXT, true},
    {"URI", "uri", FIELD_TEXT, true},
};

static const struct field metadata_fields[] = {
    {"Uid", "uid", FIELD_TEXT, false},
    {"Type", "type", FIELD_TEXT, false},
    DESCRIPTION_FIELDS,
    {"Size", "size", FIELD_BYTES, false},
    {"Code SHA-256", "digests.code", FIELD_DIGEST, false},
    {"Data SHA-256", "digests.data", FIELD_DIGEST, false},
    {"Signatures", "checks.signatures", FIELD_STATE, false},
    {"Metadata", "checks.metadata", FIELD_STATE, false},
    {"Code", "checks.code", FIELD_STATE, false},
    {"Data", "checks.data", FIELD_STATE, false},
};

static const struct field publisher_fields[] = {
    {"Name", "name", FIELD_TEXT, true},       {"Artifacts", "artifacts", FIELD_TEXT, true},
    {"Devices", "devices", FIELD_TEXT, true}, {"Revoked", "revoked", FIELD_TEXT, true},
    {"Keys", "keys", FIELD_TEXT, false},
};

static const struct field release_fields[] = {
    {"Release", "release", FIELD_TEXT, true},     {"Sequence", "sequence", FIELD_TEXT, true},
    {"Publisher", "publisher", FIELD_TEXT, true}, {"State", "state", FIELD_STATE, true},
    {"Detail", "detail", FIELD_TEXT, false},      {"Artifacts", "artifacts", FIELD_RECORDS, false},
};

static const struct field caller_fields[] = {
    {"Name", "name", FIELD_TEXT, true},        {"From", "from", FIELD_TEXT, true},
    {"Role", "role", FIELD_TEXT, true},        {"Tenant", "tenant", FIELD_TEXT, true},
    {"May", "permissions", FIELD_TEXT, false},
};

static const struct field token_fields[] = {
    {"Name", "name", FIELD_TEXT, true},          {"Role", "role", FIELD_TEXT, true},
    {"Tenant", "tenant", FIELD_TEXT, true},      {"Created", "created_at", FIELD_TIME, false},
    {"Expires", "expires_at", FIELD_TIME, true}, {"Last used", "last_used_at", FIELD_TIME, true},
    {"Expired", "expired", FIELD_TEXT, true},
};

static const struct field grant_fields[] = {
    {"Name", "name", FIELD_TEXT, true},
    {"Role", "role", FIELD_TEXT, true},
    {"Tenant", "tenant", FIELD_TEXT, true},
    {"User", "user", FIELD_TEXT, true},
    {"Group", "group", FIELD_TEXT, true},
    {"Certificate", "certificate", FIELD_TEXT, true},
    {"Fingerprint", "fingerprint", FIELD_DIGEST, true},
    {"Claim", "claim", FIELD_TEXT, true},
    {"Value", "value", FIELD_TEXT, true},
    {"Sink", "sink", FIELD_TEXT, true},
};

static const struct field tenant_fields[] = {
    {"Name", "name", FIELD_TEXT, true},
    {"Groups", "groups", FIELD_TEXT, true},
    {"Artifacts", "artifacts", FIELD_TEXT, true},
};

static const struct field policy_fields[] = {
    {"Name", "name", FIELD_TEXT, true},
    {"Priority", "priority", FIELD_TEXT, true},
    {"Allow", "allow", FIELD_TEXT, true},
    {"Publishers", "publishers", FIELD_TEXT, true},
    {"Artifacts", "artifacts", FIELD_TEXT, true},
    {"Devices", "devices", FIELD_TEXT, true},
    {"Types", "types", FIELD_TEXT, false},
    {"System calls", "syscalls", FIELD_TEXT, false},
    {"Endpoints", "endpoints", FIELD_TEXT, false},
    {"Loop period at least", "loop_period_ms_min", FIELD_MS, false},
    {"Lifetime at most", "loop_max_lifetime_max", FIELD_TEXT, false},
    {"Size at most", "size_max", FIELD_BYTES, false},
    {"Reason", "reason", FIELD_TEXT, false},
};

#define VIEW(noun, nouns, id, none, fields)                                                                            \
    {                                                                                                                  \
        noun, nouns, id, none, fields, array_size(fields)                                                              \
    }

const struct view view_device =
    VIEW("device", "devices", "id", "Add one with: tcgw device add ID coap://ADDRESS", device_fields);
const struct view view_artifact =
    VIEW("artifact", "artifacts", "id", "Upload one with: tcgw artifact push FILE", artifact_fields);
const struct view view_collection = {.noun = "collection", .id = "bytes"};
const struct view view_upload = VIEW("upload", "uploads that can be continued", "id",
                                     "tcgw artifact push begins one of a large file", upload_fields);
const struct view view_container =
    VIEW("container", "containers", "uid", "Deploy one with: tcgw deploy DEVICE UID ARTIFACT", container_fields);
const struct view view_operation = VIEW("operation", "operations", "id", "", operation_fields);
const struct view view_metadata = VIEW("metadata", "metadata", "uid", "", metadata_fields);
const struct view view_credential =
    VIEW("credential", "credentials", "number", "Make some with: tcgw device enrol DEVICE", credential_fields);
const struct view view_join = VIEW("agent that asks to join", "agents that ask to join", "id",
                                   "Let them with: tcgw join open MINUTES", join_fields);
const struct view view_sink =
    VIEW("sink", "sinks", "name", "Configure one: section [sink NAME] of tcgw.conf", sink_fields);
const struct view view_letter = VIEW("dead letter", "dead letters", "first", "", letter_fields);
const struct view view_registration = VIEW(
    "endpoint", "endpoints", "number", "Devices register themselves (docs/device-protocol.md)", registration_fields);
const struct view view_group =
    VIEW("group", "groups", "name", "Set one with: tcgw group set NAME --observe PATH", group_fields);
const struct view view_service =
    VIEW("service", "services", "name", "Set one with: tcgw service set NAME FILE", service_fields);
const struct view view_explanation = VIEW("explanation", "explanations", "container", "", explanation_fields);
const struct view view_transfer = VIEW("transfer", "transfers", "container", "", transfer_fields);
const struct view view_network = VIEW("link", "links", "name", "", network_fields);
const struct view view_emergency = VIEW("emergency stop", "emergency stops", "name",
                                        "Set one with: tcgw container stop-everywhere NAME", emergency_fields);
const struct view view_quarantine = VIEW("device", "devices in quarantine", "device",
                                         "Put one into it with: tcgw device quarantine DEVICE", quarantine_fields);
const struct view view_budget =
    VIEW("budget", "budgets", "device", "Set one with: tcgw budget set DEVICE --requests NUMBER", budget_fields);
const struct view view_rollout =
    VIEW("rollout", "rollouts", "id", "Begin one with: tcgw rollout create CONTAINER RELEASE --all", rollout_fields);
const struct view view_rollout_device = VIEW("device", "devices", "device", "", rollout_device_fields);
const struct view view_rollout_plan = VIEW("device", "devices", "device", "", rollout_plan_fields);
const struct view view_link = VIEW("resource", "resources", "href", "", link_fields);
const struct view view_observation = VIEW("observation", "observations", "path",
                                          "Let one be with: tcgw device set DEVICE --observe PATH", observation_fields);
const struct view view_suit = VIEW("manifest", "manifests", "digest", "", suit_fields);
const struct view view_suit_component = VIEW("component", "components", "id", "", suit_component_fields);
const struct view view_publisher =
    VIEW("publisher", "publishers", "name", "Set one with: tcgw publisher set NAME --key KEY --artifact PATTERN",
         publisher_fields);
const struct view view_release =
    VIEW("release", "releases", "release", "Add one with: tcgw release add NAME@VERSION", release_fields);
const struct view view_caller = VIEW("caller", "callers", "name", "", caller_fields);
const struct view view_token = VIEW("token", "tokens", "name", "Make one with: tcgw token add NAME ROLE", token_fields);
const struct view view_grant =
    VIEW("grant", "grants", "name", "Set one with: tcgw grant set NAME ROLE --user USER", grant_fields);
const struct view view_tenant =
    VIEW("tenant", "tenants", "name", "Set one with: tcgw tenant set NAME --group GROUP", tenant_fields);
const struct view view_policy =
    VIEW("policy", "policies", "name", "Set one with: tcgw policy set NAME FILE", policy_fields);
const struct view view_audit = VIEW("entry", "entries", "seq", "", audit_fields);
const struct view view_database = VIEW("database", "databases", "verdict", "", database_fields);
const struct view view_anchor = VIEW("anchor", "anchors", "seq", "", anchor_fields);
const struct view view_key = VIEW("key", "keys", "public_key", "", key_fields);
const struct view view_status = {.noun = "status", .id = "status"};
const struct view view_version = {.noun = "version", .id = "tcgw"};
