#include "rest/route.h"

#include "rest/api.h"

#include <string.h>

#define WAITING "ttl"
#define HISTORY "name from to cursor limit order aggregate bucket"

const struct route route_table[] = {
    {HTTP_GET, "/healthz", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_health, "getHealth", "Whether loop and store work",
     ACCESS_PUBLIC, SUBJECT_GATEWAY},
    {HTTP_GET, "/readyz", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_ready, "getReady",
     "Whether what is asked now will be done", ACCESS_PUBLIC, SUBJECT_GATEWAY},
    {HTTP_GET, "/openapi.json", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_openapi, "getOpenapi", "This contract",
     ACCESS_PUBLIC, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/info", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_info, "getInfo", "Version, counts and limits",
     ACCESS_CALLER, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/key", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_key, "getKey", "The gateway's public key",
     ACCESS_CALLER, SUBJECT_NOTHING},
    {HTTP_POST, "/v1/gateway/distrust-contexts", ROUTE_BODY_NONE, HTTP_JSON, "", api_distrust_contexts,
     "distrustContexts", "Have every OSCORE context renewed", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/backup", ROUTE_BODY_NONE, HTTP_OCTETS, "", api_make_backup, "makeBackup",
     "Copy the database, with the gateway's keys", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/database/check", ROUTE_BODY_NONE, HTTP_JSON, "", api_check_database, "checkDatabase",
     "Check the database's integrity", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/database/compact", ROUTE_BODY_NONE, HTTP_JSON, "", api_compact_database, "compactDatabase",
     "Give some free pages of the database back to the file system", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/audit", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor", api_list_audit, "listAudit",
     "Read the audit trail", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/audit/anchor", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_anchor, "getAuditAnchor",
     "Sign what the audit trail is now", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/log-levels", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_log_levels, "getLogLevels",
     "How much each part writes to the log", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/log-levels", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_log_levels, "putLogLevels",
     "Set how much each part writes to the log", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/metrics", ROUTE_BODY_NONE, HTTP_TEXT, "", api_show_metrics, "getMetrics", "Counters for Prometheus",
     ACCESS_READ, SUBJECT_GATEWAY},

    {HTTP_GET, "/v1/devices", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor presence", api_list_devices, "listDevices",
     "List devices", ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_POST, "/v1/devices", ROUTE_BODY_JSON, HTTP_JSON, "", api_add_device, "addDevice", "Add a device",
     ACCESS_MANAGE, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/devices/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_device, "getDevice", "Show a device",
     ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_PATCH, "/v1/devices/{id}", ROUTE_BODY_PATCH, HTTP_JSON, "", api_patch_device, "patchDevice",
     "Change a device", ACCESS_MANAGE, SUBJECT_DEVICE},
    {HTTP_DELETE, "/v1/devices/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_device, "removeDevice",
     "Forget a device", ACCESS_MANAGE, SUBJECT_DEVICE},
    {HTTP_POST, "/v1/devices/{id}/probe", ROUTE_BODY_NONE, HTTP_JSON, WAITING, api_probe_device, "probeDevice",
     "Learn a device's agent and capabilities", ACCESS_OPERATE, SUBJECT_DEVICE},

    {HTTP_POST, "/v1/devices/{id}/trace", ROUTE_BODY_OPTIONAL, HTTP_JSON, "", api_begin_trace, "beginTrace",
     "Trace what a device says for a time", ACCESS_MANAGE, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/trace", ROUTE_BODY_NONE, HTTP_JSON, "after", api_show_trace, "getTrace",
     "Read what was traced", ACCESS_MANAGE, SUBJECT_DEVICE},
    {HTTP_DELETE, "/v1/devices/{id}/trace", ROUTE_BODY_NONE, HTTP_JSON, "", api_end_trace, "endTrace",
     "Forget what was traced", ACCESS_MANAGE, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/trace/pcap", ROUTE_BODY_NONE, "application/vnd.tcpdump.pcap", "", api_show_pcap,
     "getTracePcap", "Read what was traced as a capture file", ACCESS_MANAGE, SUBJECT_DEVICE},

    {HTTP_GET, "/v1/directory", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor", api_list_directory, "listDirectory",
     "List the endpoints in the resource directory", ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/directory/{number}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_registration, "getRegistration",
     "Show an endpoint in the resource directory", ACCESS_READ, SUBJECT_REGISTRATION},
    {HTTP_DELETE, "/v1/directory/{number}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_registration,
     "removeRegistration", "Remove an endpoint from the resource directory", ACCESS_MANAGE, SUBJECT_REGISTRATION},

    {HTTP_GET, "/v1/devices/{id}/containers", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor", api_list_containers,
     "listContainers", "List the containers of a device", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/containers/{uid}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_container, "getContainer",
     "Show a container", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_PUT, "/v1/devices/{id}/containers/{uid}", ROUTE_BODY_JSON, HTTP_JSON, WAITING, api_put_container,
     "putContainer", "Deploy a container", ACCESS_DEPLOY, SUBJECT_DEVICE},
    {HTTP_DELETE, "/v1/devices/{id}/containers/{uid}", ROUTE_BODY_NONE, HTTP_JSON, WAITING " forget",
     api_remove_container, "removeContainer", "Remove a container", ACCESS_DEPLOY, SUBJECT_DEVICE},
    {HTTP_POST, "/v1/devices/{id}/containers/{uid}/start", ROUTE_BODY_NONE, HTTP_JSON, WAITING, api_start_container,
     "startContainer", "Start a container", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_POST, "/v1/devices/{id}/containers/{uid}/stop", ROUTE_BODY_NONE, HTTP_JSON, WAITING, api_stop_container,
     "stopContainer", "Stop a container", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_POST, "/v1/devices/{id}/containers/{uid}/exec", ROUTE_BODY_NONE, HTTP_JSON, WAITING, api_exec_container,
     "execContainer", "Run a container of a SUIT device once", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/containers/{uid}/log", ROUTE_BODY_NONE, HTTP_TEXT, "", api_show_log, "getContainerLog",
     "Read a container's log from its device", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/containers/{uid}/explain", ROUTE_BODY_NONE, HTTP_JSON, "", api_explain_container,
     "explainContainer", "Why a container is, or is not, as desired", ACCESS_READ, SUBJECT_DEVICE},

    {HTTP_GET, "/v1/services", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_services, "listServices", "List services",
     ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/services/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_service, "getService",
     "Show a service and how far it is", ACCESS_READ, SUBJECT_SERVICE},
    {HTTP_PUT, "/v1/services/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_service, "putService",
     "Set which containers run on the devices that a selector matches", ACCESS_DEPLOY, SUBJECT_SERVICE},
    {HTTP_DELETE, "/v1/services/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_service, "removeService",
     "Remove a service and its containers", ACCESS_DEPLOY, SUBJECT_SERVICE},

    {HTTP_GET, "/v1/devices/{id}/credentials", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_credentials, "listCredentials",
     "List a device's credentials, without secrets", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_POST, "/v1/devices/{id}/credentials", ROUTE_BODY_SECRET, HTTP_JSON, "", api_enrol_device, "enrolDevice",
     "Make fresh credentials for a device", ACCESS_CREDENTIALS, SUBJECT_DEVICE},
    {HTTP_PUT, "/v1/devices/{id}/credentials", ROUTE_BODY_SECRET, HTTP_JSON, "", api_import_credentials,
     "importCredentials", "Take over credentials that a device has", ACCESS_CREDENTIALS, SUBJECT_DEVICE},
    {HTTP_DELETE, "/v1/devices/{id}/credentials", ROUTE_BODY_NONE, HTTP_JSON, "", api_revoke_credentials,
     "revokeAllCredentials", "Revoke all credentials of a device", ACCESS_CREDENTIALS, SUBJECT_DEVICE},
    {HTTP_DELETE, "/v1/devices/{id}/credentials/{number}", ROUTE_BODY_NONE, HTTP_JSON, "", api_revoke_credentials,
     "revokeCredentials", "Revoke one of a device's credentials", ACCESS_CREDENTIALS, SUBJECT_DEVICE},

    {HTTP_GET, "/v1/devices/{id}/shadow/desired", ROUTE_BODY_NONE, NULL, "", api_show_desired, "getDesired",
     "Show what is wished of a device", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_PUT, "/v1/devices/{id}/shadow/desired", ROUTE_BODY_RAW, NULL, "", api_put_desired, "putDesired",
     "Say what is wished of a device", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_DELETE, "/v1/devices/{id}/shadow/desired", ROUTE_BODY_NONE, NULL, "", api_remove_desired, "removeDesired",
     "Withdraw what is wished of a device", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/shadow/reported", ROUTE_BODY_NONE, NULL, "", api_show_reported, "getReported",
     "Show what a device said of itself", ACCESS_READ, SUBJECT_DEVICE},

    {HTTP_GET, "/v1/devices/{id}/resources", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_resources, "listResources",
     "List the resources of a device", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/observations", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_observations,
     "listObservations", "List the observations of a device's resources", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/devices/{id}/resources/{path}", ROUTE_BODY_NONE, NULL, NULL, api_pass_request, "getResource",
     "Read or observe a resource of a device", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_PUT, "/v1/devices/{id}/resources/{path}", ROUTE_BODY_RAW, NULL, NULL, api_pass_request, "putResource",
     "Write a resource of a device", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_POST, "/v1/devices/{id}/resources/{path}", ROUTE_BODY_RAW, NULL, NULL, api_pass_request, "postResource",
     "Post to a resource of a device", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_PATCH, "/v1/devices/{id}/resources/{path}", ROUTE_BODY_RAW, NULL, NULL, api_pass_request, "patchResource",
     "Change a part of a device's resource", ACCESS_OPERATE, SUBJECT_DEVICE},
    {HTTP_DELETE, "/v1/devices/{id}/resources/{path}", ROUTE_BODY_NONE, NULL, NULL, api_pass_request, "removeResource",
     "Delete a resource of a device", ACCESS_OPERATE, SUBJECT_DEVICE},

    {HTTP_GET, "/hc/{uri}", ROUTE_BODY_NONE, NULL, NULL, api_proxy, "proxyGet", "Read the resource of a CoAP URI",
     ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_PUT, "/hc/{uri}", ROUTE_BODY_RAW, NULL, NULL, api_proxy, "proxyPut", "Write the resource of a CoAP URI",
     ACCESS_OPERATE, SUBJECT_NOTHING},
    {HTTP_POST, "/hc/{uri}", ROUTE_BODY_RAW, NULL, NULL, api_proxy, "proxyPost", "Post to the resource of a CoAP URI",
     ACCESS_OPERATE, SUBJECT_NOTHING},
    {HTTP_PATCH, "/hc/{uri}", ROUTE_BODY_RAW, NULL, NULL, api_proxy, "proxyPatch",
     "Change a part of the resource of a CoAP URI", ACCESS_OPERATE, SUBJECT_NOTHING},
    {HTTP_DELETE, "/hc/{uri}", ROUTE_BODY_NONE, NULL, NULL, api_proxy, "proxyDelete",
     "Delete the resource of a CoAP URI", ACCESS_OPERATE, SUBJECT_NOTHING},
    {HTTP_GET, "/.well-known/core", ROUTE_BODY_NONE, "application/link-format", "rt", api_show_core, "getCore",
     "Discover the proxy (RFC 8075)", ACCESS_PUBLIC, SUBJECT_GATEWAY},

    {HTTP_GET, "/v1/budgets", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_budgets, "listBudgets",
     "List the devices with budgets of their own", ACCESS_READ, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/budgets/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_budget, "getBudget",
     "Show what a device may cost, and what it has cost", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_PUT, "/v1/budgets/{id}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_budget, "putBudget",
     "Set what a device and its containers may cost", ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/budgets/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_budget, "removeBudget",
     "Give a device the budgets of the configuration", ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/emergency-stops", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_emergency_stops, "listEmergencyStops",
     "List emergency stops", ACCESS_READ, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/emergency-stops/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_emergency_stop,
     "getEmergencyStop", "Show an emergency stop, and what still runs", ACCESS_READ, SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/emergency-stops/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_emergency_stop, "putEmergencyStop",
     "Stop a container everywhere, now and later", ACCESS_DEPLOY, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/emergency-stops/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_emergency_stop,
     "removeEmergencyStop", "Lift an emergency stop", ACCESS_DEPLOY, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/quarantines", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_quarantines, "listQuarantines",
     "List devices in quarantine", ACCESS_READ, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/quarantines/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_quarantine, "getQuarantine",
     "Show why a device is in quarantine", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_PUT, "/v1/quarantines/{id}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_quarantine, "putQuarantine",
     "Put a device into quarantine", ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/quarantines/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_quarantine, "removeQuarantine",
     "Release a device from quarantine", ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/groups", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_groups, "listGroups", "List groups of devices",
     ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/groups/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_group, "getGroup", "Show a group",
     ACCESS_READ, SUBJECT_GROUP},
    {HTTP_PUT, "/v1/groups/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_group, "putGroup",
     "Set what holds for the devices in a group", ACCESS_MANAGE, SUBJECT_GROUP},
    {HTTP_DELETE, "/v1/groups/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_group, "removeGroup",
     "Remove a group's settings", ACCESS_MANAGE, SUBJECT_GROUP},
    {HTTP_GET, "/v1/transfers", ROUTE_BODY_NONE, HTTP_JSON, "limit device link", api_list_transfers, "listTransfers",
     "List containers that are on their way to devices", ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/links", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_links, "listLinks",
     "List the links that devices share", ACCESS_READ, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/links/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_link, "getLink", "Show a link", ACCESS_READ,
     SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/links/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_link, "putLink",
     "Say which devices share a link, and how much goes over it", ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/links/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_link, "removeLink", "Remove a link",
     ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/rollouts", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_rollouts, "listRollouts", "List rollouts",
     ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_POST, "/v1/rollouts", ROUTE_BODY_JSON, HTTP_JSON, "dry_run", api_add_rollout, "addRollout",
     "Bring a container to many devices, or plan that", ACCESS_DEPLOY, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/rollouts/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_rollout, "getRollout", "Show a rollout",
     ACCESS_READ, SUBJECT_ROLLOUT},
    {HTTP_DELETE, "/v1/rollouts/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_rollout, "removeRollout",
     "Forget a rollout that has ended", ACCESS_DEPLOY, SUBJECT_ROLLOUT},
    {HTTP_GET, "/v1/rollouts/{id}/devices", ROUTE_BODY_NONE, HTTP_JSON, "state", api_list_rollout_devices,
     "listRolloutDevices", "List the devices of a rollout", ACCESS_READ, SUBJECT_ROLLOUT},
    {HTTP_POST, "/v1/rollouts/{id}/pause", ROUTE_BODY_NONE, HTTP_JSON, "", api_pause_rollout, "pauseRollout",
     "Begin with no further devices", ACCESS_DEPLOY, SUBJECT_ROLLOUT},
    {HTTP_POST, "/v1/rollouts/{id}/resume", ROUTE_BODY_NONE, HTTP_JSON, "", api_resume_rollout, "resumeRollout",
     "Let a rollout go on", ACCESS_DEPLOY, SUBJECT_ROLLOUT},
    {HTTP_POST, "/v1/rollouts/{id}/abort", ROUTE_BODY_NONE, HTTP_JSON, "", api_abort_rollout, "abortRollout",
     "End a rollout where it stands", ACCESS_DEPLOY, SUBJECT_ROLLOUT},
    {HTTP_POST, "/v1/rollouts/{id}/rollback", ROUTE_BODY_NONE, HTTP_JSON, "", api_roll_back, "rollBack",
     "Bring a rollout's devices back to what they had", ACCESS_DEPLOY, SUBJECT_ROLLOUT},
    {HTTP_GET, "/v1/telemetry", ROUTE_BODY_NONE, NULL, HISTORY, api_list_telemetry, "listTelemetry",
     "Read the telemetry of all devices", ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/devices/{id}/telemetry", ROUTE_BODY_NONE, NULL, HISTORY, api_list_device_telemetry,
     "listDeviceTelemetry", "Read the telemetry of a device", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/series", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor", api_list_series, "listSeries",
     "List the series of all devices", ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/devices/{id}/series", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor", api_list_device_series,
     "listDeviceSeries", "List the series of a device", ACCESS_READ, SUBJECT_DEVICE},
    {HTTP_GET, "/v1/storage", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_storage, "getStorage",
     "How much is stored, and how long it lasts", ACCESS_READ, SUBJECT_GATEWAY},

    {HTTP_GET, "/v1/join", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_join, "getJoin", "List agents that ask to join",
     ACCESS_CREDENTIALS, SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/join", ROUTE_BODY_JSON, HTTP_JSON, "", api_open_join, "openJoin",
     "Let agents without credentials ask to join", ACCESS_CREDENTIALS, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/join", ROUTE_BODY_NONE, HTTP_JSON, "", api_close_join, "closeJoin",
     "Let no further agents ask to join", ACCESS_CREDENTIALS, SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/join/{id}", ROUTE_BODY_OPTIONAL, HTTP_JSON, "", api_approve_pending, "approvePending",
     "Make a device of an agent that asks to join", ACCESS_CREDENTIALS, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/join/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_reject_pending, "rejectPending",
     "Reject an agent that asks to join", ACCESS_CREDENTIALS, SUBJECT_GATEWAY},

    {HTTP_GET, "/v1/events", ROUTE_BODY_NONE, NULL, "kind device group name after limit", api_read_events, "getEvents",
     "Read or follow the journal", ACCESS_READ, SUBJECT_NOTHING},

    {HTTP_GET, "/v1/artifacts", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor", api_list_artifacts, "listArtifacts",
     "List artifacts", ACCESS_BROWSE, SUBJECT_NOTHING},
    {HTTP_POST, "/v1/artifacts", ROUTE_BODY_UPLOAD, HTTP_JSON, "name type loop_period_ms", api_add_artifact,
     "addArtifact", "Upload an artifact", ACCESS_PUBLISH, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/artifacts/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_artifact, "getArtifact",
     "Show an artifact", ACCESS_BROWSE, SUBJECT_ARTIFACT},
    {HTTP_DELETE, "/v1/artifacts/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_artifact, "removeArtifact",
     "Remove an artifact", ACCESS_PUBLISH, SUBJECT_ARTIFACT},
    {HTTP_GET, "/v1/artifacts/{id}/code", ROUTE_BODY_NONE, HTTP_OCTETS, "", api_show_code, "getArtifactCode",
     "Download an artifact's code", ACCESS_BROWSE, SUBJECT_ARTIFACT},
    {HTTP_GET, "/v1/artifacts/{id}/data", ROUTE_BODY_NONE, HTTP_OCTETS, "", api_show_data, "getArtifactData",
     "Download an artifact's data", ACCESS_BROWSE, SUBJECT_ARTIFACT},

    {HTTP_PUT, "/v1/artifacts/{id}/pin", ROUTE_BODY_NONE, HTTP_JSON, "", api_pin_artifact, "pinArtifact",
     "Keep an artifact", ACCESS_PUBLISH, SUBJECT_ARTIFACT},
    {HTTP_DELETE, "/v1/artifacts/{id}/pin", ROUTE_BODY_NONE, HTTP_JSON, "", api_unpin_artifact, "unpinArtifact",
     "Keep an artifact only as long as it is needed", ACCESS_PUBLISH, SUBJECT_ARTIFACT},
    {HTTP_POST, "/v1/artifacts/gc", ROUTE_BODY_NONE, HTTP_JSON, "dry_run", api_collect_artifacts, "collectArtifacts",
     "Remove artifacts that nobody needs", ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/uploads", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_uploads, "listUploads",
     "List uploads that can be continued", ACCESS_PUBLISH, SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/uploads", ROUTE_BODY_JSON, HTTP_JSON, "", api_begin_upload, "beginUpload",
     "Begin an upload that can be continued", ACCESS_PUBLISH, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/uploads/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_upload, "getUpload",
     "How far an upload has come", ACCESS_PUBLISH, SUBJECT_GATEWAY},
    {HTTP_PATCH, "/v1/uploads/{id}", ROUTE_BODY_RESUMABLE, HTTP_JSON, "", api_continue_upload, "continueUpload",
     "Continue an upload", ACCESS_PUBLISH, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/uploads/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_upload, "removeUpload",
     "Give an upload up", ACCESS_PUBLISH, SUBJECT_GATEWAY},

    {HTTP_GET, "/v1/publishers", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_publishers, "listPublishers",
     "List publishers", ACCESS_BROWSE, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/publishers/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_publisher, "getPublisher",
     "Show a publisher", ACCESS_BROWSE, SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/publishers/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_publisher, "putPublisher",
     "Set a publisher's keys and scope", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/publishers/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_publisher, "removePublisher",
     "Remove a publisher", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/releases", ROUTE_BODY_NONE, HTTP_JSON, "name", api_list_releases, "listReleases", "List releases",
     ACCESS_BROWSE, SUBJECT_NOTHING},
    {HTTP_POST, "/v1/releases", ROUTE_BODY_JSON, HTTP_JSON, "", api_add_release, "addRelease", "Add a release",
     ACCESS_PUBLISH, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/releases/{release}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_release, "getRelease",
     "Show a release", ACCESS_BROWSE, SUBJECT_RELEASE},
    {HTTP_DELETE, "/v1/releases/{release}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_release, "removeRelease",
     "Remove a release", ACCESS_PUBLISH, SUBJECT_RELEASE},
    {HTTP_GET, "/v1/policies", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_policies, "listPolicies", "List policies",
     ACCESS_BROWSE, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/policies/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_policy, "getPolicy", "Show a policy",
     ACCESS_BROWSE, SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/policies/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_policy, "putPolicy",
     "Set what may run where", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/policies/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_policy, "removePolicy",
     "Remove a policy", ACCESS_OWNER, SUBJECT_GATEWAY},

    {HTTP_GET, "/v1/operations", ROUTE_BODY_NONE, HTTP_JSON, "limit cursor device container state", api_list_operations,
     "listOperations", "List operations", ACCESS_READ, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/operations/{id}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_operation, "getOperation",
     "Show an operation", ACCESS_READ, SUBJECT_OPERATION},
    {HTTP_POST, "/v1/operations/{id}/cancel", ROUTE_BODY_NONE, HTTP_JSON, "", api_cancel_operation, "cancelOperation",
     "Cancel an operation", ACCESS_OPERATE, SUBJECT_OPERATION},

    {HTTP_GET, "/v1/whoami", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_caller, "getCaller",
     "Who the gateway takes you for", ACCESS_PUBLIC, SUBJECT_NOTHING},
    {HTTP_GET, "/v1/tokens", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_tokens, "listTokens",
     "List tokens, without secrets", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/tokens", ROUTE_BODY_SECRET, HTTP_JSON, "", api_add_token, "addToken", "Make a token", ACCESS_OWNER,
     SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/tokens/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_token, "getToken",
     "Show a token, without its secret", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/tokens/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_token, "removeToken",
     "Revoke a token", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/grants", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_grants, "listGrants", "List grants", ACCESS_OWNER,
     SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/grants/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_grant, "getGrant", "Show a grant",
     ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/grants/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_grant, "putGrant", "Say who has which role",
     ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/grants/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_grant, "removeGrant",
     "Remove a grant", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/tenants", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_tenants, "listTenants", "List tenants",
     ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/tenants/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_tenant, "getTenant", "Show a tenant",
     ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_PUT, "/v1/tenants/{name}", ROUTE_BODY_JSON, HTTP_JSON, "", api_put_tenant, "putTenant",
     "Say which devices and names a tenant has", ACCESS_OWNER, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/tenants/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_tenant, "removeTenant",
     "Remove a tenant", ACCESS_OWNER, SUBJECT_GATEWAY},

    {HTTP_GET, "/v1/sinks", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_sinks, "listSinks", "List the sinks", ACCESS_READ,
     SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/sinks/{name}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_sink, "getSink", "Show a sink", ACCESS_READ,
     SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/sinks/{name}/retry", ROUTE_BODY_NONE, HTTP_JSON, "", api_retry_sink, "retrySink", "Try again now",
     ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/sinks/{name}/dead-letters", ROUTE_BODY_NONE, HTTP_JSON, "", api_list_letters, "listDeadLetters",
     "List what a sink gave up", ACCESS_READ, SUBJECT_GATEWAY},
    {HTTP_GET, "/v1/sinks/{name}/dead-letters/{first}", ROUTE_BODY_NONE, HTTP_JSON, "", api_show_letter,
     "getDeadLetter", "Show a dead letter", ACCESS_READ, SUBJECT_GATEWAY},
    {HTTP_DELETE, "/v1/sinks/{name}/dead-letters/{first}", ROUTE_BODY_NONE, HTTP_JSON, "", api_remove_letter,
     "removeDeadLetter", "Remove a dead letter", ACCESS_MANAGE, SUBJECT_GATEWAY},
    {HTTP_POST, "/v1/sinks/{name}/dead-letters/{first}/retry", ROUTE_BODY_NONE, HTTP_JSON, "", api_retry_letter,
     "retryDeadLetter", "Send a dead letter again", ACCESS_MANAGE, SUBJECT_GATEWAY},
};

const size_t route_table_size = array_size(route_table);

/* Where the template's segment at `at` ends when it takes the given segment; NULL when it does not. */
static const char *match_segment(const char *at, const char *segment)
{
    if (*at == '{')
        return *segment ? strchr(at, '}') + 1 : NULL;
    while (*at && *at != '/')
        if (*at++ != *segment++)
            return NULL;
    return *segment ? NULL : at;
}

/* The last {...} of a route that passes through takes all that is left. */
static bool takes_rest(const struct route *route, const char *at)
{
    return !route->query && *at == '{' && !strchr(at, '/');
}

static bool matches(const struct route *route, struct http_request *req)
{
    const char *at = route->path;
    size_t param = 0;

    for (size_t i = 0; i < req->segment_count; i++) {
        if (i == HTTP_SEGMENTS_MAX || *at++ != '/')
            return false;
        if (takes_rest(route, at)) {
            req->tail = req->raw[i];
            return true;
        }
        if (*at == '{')
            req->params[param++] = req->segments[i];
        at = match_segment(at, req->segments[i]);
        if (!at)
            return false;
    }
    return *at == 0;
}

int route_find(struct http_request *req, unsigned *methods)
{
    enum http_method method = req->method == HTTP_HEAD ? HTTP_GET : req->method;

    *methods = 0;
    for (size_t i = 0; i < route_table_size; i++) {
        if (!matches(&route_table[i], req))
            continue;
        if (route_table[i].method == method) {
            req->route = &route_table[i];
            return 0;
        }
        *methods |= 1u << route_table[i].method;
    }
    return *methods ? 2 : 1;
}

bool route_takes_parameter(const struct route *route, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = route->query; *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");

        if (word == n && memcmp(at, name, n) == 0)
            return true;
        at += word;
    }
    return false;
}

void route_format_allow(unsigned methods, char out[ROUTE_ALLOW_SIZE])
{
    size_t used = 0;

    if (methods & 1u << HTTP_GET)
        methods |= 1u << HTTP_HEAD;
    methods |= 1u << HTTP_OPTIONS;
    out[0] = 0;
    for (unsigned m = 0; m < HTTP_METHOD_OTHER; m++)
        if (methods & 1u << m)
            used += (size_t)snprintf(out + used, ROUTE_ALLOW_SIZE - used, "%s%s", used ? ", " : "",
                                     http_method_name((enum http_method)m));
}
