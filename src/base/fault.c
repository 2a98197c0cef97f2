#include "base/fault.h"

#include "base/text.h"

#include <stdarg.h>
#include <string.h>

static const struct fault_info table[FAULT_COUNT] = {
    [FAULT_NONE] = {"none", 200, "No error", ""},
    [FAULT_MALFORMED_REQUEST] = {"malformed-request", 400, "The request is malformed",
                                 "Correct what the detail names."},
    [FAULT_MALFORMED_JSON] = {"malformed-json", 400, "The body is not valid JSON",
                              "Correct the body; the detail names the line and column."},
    [FAULT_INVALID_FIELD] = {"invalid-field", 400, "A field has a wrong type or value",
                             "Correct the field that the pointer names."},
    [FAULT_UNKNOWN_FIELD] = {"unknown-field", 400, "A field is not known here",
                             "Remove or correct the field that the pointer names."},
    [FAULT_INVALID_ID] = {"invalid-id", 400, "An id has a bad length or character",
                          "Use 1 to 63 letters, digits and . _ ~ - in ids."},
    [FAULT_INVALID_PARAMETER] = {"invalid-parameter", 400, "A query parameter or header has a bad value",
                                 "Correct the parameter that the detail names."},
    [FAULT_NOT_FOUND] = {"not-found", 404, "There is no such resource", "List what exists and check the id."},
    [FAULT_METHOD_NOT_ALLOWED] = {"method-not-allowed", 405, "The resource does not take this method",
                                  "The Allow header lists the methods."},
    [FAULT_NOT_ACCEPTABLE] = {"not-acceptable", 406, "No representation matches Accept", "Accept application/json."},
    [FAULT_ALREADY_EXISTS] = {"already-exists", 409, "The resource exists already",
                              "Change the existing one, or choose another id."},
    [FAULT_IN_USE] = {"in-use", 409, "Something else still uses the resource", "Remove what uses it first."},
    [FAULT_CONFLICT] = {"conflict", 409, "The request does not fit the present state", ""},
    [FAULT_PRECONDITION_FAILED] = {"precondition-failed", 412, "The resource has changed since it was read",
                                   "Read it again and repeat with its new ETag."},
    [FAULT_BODY_TOO_LARGE] = {"body-too-large", 413, "The body is over the limit",
                              "Send less, or raise the limit in tcgw.conf."},
    [FAULT_HEADERS_TOO_LARGE] = {"headers-too-large", 431, "The header fields are over the limit",
                                 "Send fewer or shorter header fields."},
    [FAULT_URI_TOO_LONG] = {"uri-too-long", 414, "The path and query are over the limit",
                            "Send a shorter path and query."},
    [FAULT_CROSS_SITE] = {"cross-site", 403, "Requests from web pages may not change anything",
                          "Use tcgw or another client that sends no Origin header."},
    [FAULT_HOST_REFUSED] = {"host-refused", 421, "The Host is not one that this gateway answers for",
                            "Use an IP address or localhost in the URL."},
    [FAULT_UNSUPPORTED_MEDIA_TYPE] = {"unsupported-media-type", 415, "The body's Content-Type is not taken here",
                                      "The Accept header of the answer lists what is."},
    [FAULT_KEY_REUSED] = {"idempotency-key-reused", 422, "The Idempotency-Key was used for another request",
                          "Use a new key for a new request."},
    [FAULT_INVALID_WASM] = {"invalid-wasm", 422, "The code is not a WebAssembly module that an agent could run",
                            "Build it with clang --target=wasm32 and the options in examples/."},
    [FAULT_INVALID_RBPF] = {"invalid-rbpf", 422, "The code is not an rBPF application that passes verification",
                            "Build it with clang -target bpf and pack it as in examples/."},
    [FAULT_INVALID_METADATA] = {"invalid-metadata", 422, "The metadata cannot be parsed",
                                "See docs/device-protocol.md for its form."},
    [FAULT_INVALID_ARTIFACT] = {"invalid-artifact", 422, "The artifact is not complete or contradicts itself", ""},
    [FAULT_RUNTIME_UNSUPPORTED] = {"runtime-unsupported", 422, "The device has no runtime for this type of artifact",
                                   "Deploy a build for one of the device's runtimes."},
    [FAULT_DIGEST_MISMATCH] = {"digest-mismatch", 422, "The content does not have the digest that was named",
                               "Send it again; if that does not help, its source has another content."},
    [FAULT_INVALID_MANIFEST] = {"invalid-manifest", 422, "The SUIT manifest was refused", "See docs/suit.md."},
    [FAULT_UNSIGNED] = {"unsigned", 403, "A signature is required",
                        "Have a publisher of the trust store sign a release (tcgw release sign)."},
    [FAULT_SIGNATURE_INVALID] = {"signature-invalid", 422, "The signature does not verify", ""},
    [FAULT_PUBLISHER_UNKNOWN] = {"publisher-unknown", 403, "No publisher of the trust store has this key",
                                 "Add the publisher's key, if it is to be trusted (tcgw publisher)."},
    [FAULT_PUBLISHER_REVOKED] = {"publisher-revoked", 403, "The publisher is revoked", ""},
    [FAULT_OUT_OF_SCOPE] = {"out-of-scope", 403, "The publisher may not release this, or not to this device",
                            "Its scope is in the trust store (tcgw publisher show)."},
    [FAULT_POLICY_DENIED] = {"policy-denied", 403, "A policy of the device's owner forbids this",
                             "The rule is named in the detail (tcgw policy show)."},
    [FAULT_ROLLBACK_REFUSED] = {"rollback-refused", 409, "The device had a later version already",
                                "Ask for a rollback explicitly, or release it with a higher sequence number."},
    [FAULT_NOTHING_SELECTED] = {"nothing-selected", 422, "The selector matches no device", ""},
    [FAULT_UPSTREAM_FAILED] = {"upstream-failed", 502, "The platform's store did not deliver",
                               "See the detail; the gateway tries again by itself where that may help."},
    [FAULT_ARTIFACT_PENDING] = {"artifact-pending", 503, "The artifact is not here yet",
                                "Repeat the request in a moment."},
    [FAULT_PACKAGE_TOO_LARGE] = {"package-too-large", 422, "The container does not fit the device",
                                 "Make code or data smaller, or configure the device's real PDU size if its firmware "
                                 "was built with a larger one."},
    [FAULT_AGENT_UNSUPPORTED] = {"agent-unsupported", 501, "The device's agent does not support this",
                                 "Agents of kind v1 have no stop, delete or log: restart the device to free its "
                                 "slots, or update its firmware to an agent of kind v2."},
    [FAULT_AGENT_UNKNOWN] = {"agent-unknown", 409, "It is not known which agent the device runs",
                             "Probe the device, or configure its agent kind."},
    [FAULT_UID_OCCUPIED] =
        {"uid-occupied", 409, "The device already holds another container with this uid",
         "Use a new uid, or restart the device to free its slots: its agent cannot replace a container."},
    [FAULT_NO_SLOT] = {"no-slot", 503, "The device has no free container slot",
                       "Remove a container; agents of kind v1 free slots only when the device restarts."},
    [FAULT_LOAD_REFUSED] = {"load-refused", 502, "The device refused to load the container",
                            "Where the agent gives no reason: check free slots, the trusted key (tcgw key show), and "
                            "the artifact's type."},
    [FAULT_VERIFICATION_REFUSED] = {"verification-refused", 502, "The device could not verify the container",
                                    "Check that the device trusts this gateway's key (tcgw key show)."},
    [FAULT_START_REFUSED] = {"start-refused", 502, "The device refused to start the container",
                             "Look at the container's log, and check its limits."},
    [FAULT_STOPPED_EARLY] =
        {"stopped-early", 502, "The container ended soon after its start",
         "Look at the container's log; check that its runtime fits the device and that start() does not fail."},
    [FAULT_OUTCOME_UNKNOWN] = {"outcome-unknown", 504, "It is not known whether the device did what was asked",
                               "Ask for the container's state; restart the device if it stays unknown."},
    [FAULT_DEVICE_UNREACHABLE] = {"device-unreachable", 504, "The device cannot be reached",
                                  "Check its address, its power and the network, then repeat."},
    [FAULT_DEVICE_TIMEOUT] = {"device-timeout", 504, "The device did not answer in time",
                              "Check that it is awake and in range, then repeat."},
    [FAULT_DEVICE_ANSWER] = {"device-answer", 502, "The device's answer was not understood",
                             "Check that the device's agent kind is configured correctly."},
    [FAULT_DEVICE_ERROR] = {"device-error", 502, "The device answered with an error",
                            "The detail has its code and its words; the status is what the code means in HTTP."},
    [FAULT_CONTAINER_NOT_ON_DEVICE] = {"container-not-on-device", 409, "The device does not hold this container",
                                       "Deploy it first."},
    [FAULT_CREDENTIALS_REQUIRED] = {"credentials-required", 403,
                                    "The device has no credentials, and its changes must be protected",
                                    "Enrol it (tcgw device enrol ID), or allow plain requests for it or its group."},
    [FAULT_CREDENTIALS_IN_USE] = {"credentials-in-use", 409, "Another device has these credentials",
                                  "Choose other ids or another ID Context."},
    [FAULT_CREDENTIALS_STALE] = {"credentials-stale", 409,
                                 "The credentials may not be used any more, since the database is older than their use",
                                 "Let the device renew its context, or enrol it anew."},
    [FAULT_DEVICE_UNTRUSTED] = {"device-untrusted", 502, "Gateway and device do not accept each other's protection",
                                "Compare the credentials on both sides; enrol the device anew if they differ."},
    [FAULT_JOIN_CLOSED] = {"join-closed", 409, "Devices without credentials may not join now",
                           "Open the window first: tcgw join open."},
    [FAULT_UNAUTHENTICATED] = {"unauthenticated", 401, "The request does not prove who asks",
                               "Send a token (Authorization: Bearer ...; tcgw token add), or use the Unix socket."},
    [FAULT_FORBIDDEN] = {"forbidden", 403, "Who asks may not do this", "The detail says who may."},
    [FAULT_QUARANTINED] = {"device-quarantined", 403, "The device is in quarantine",
                           "Find out why (tcgw quarantine list), and end it: tcgw device release ID."},
    [FAULT_EMERGENCY_STOP] = {"emergency-stop", 403, "An emergency stop holds the container",
                              "Find out why (tcgw emergency list), and lift it: tcgw emergency lift NAME."},
    [FAULT_DEVICE_ASLEEP] = {"device-asleep", 504, "The device sleeps",
                             "Repeat when it is expected back, allow an older answer (Cache-Control: max-stale), or "
                             "let the request wait for it (Prefer: respond-async)."},
    [FAULT_NOT_CACHED] = {"not-cached", 504, "The cache has no answer to this",
                          "Repeat without Cache-Control: only-if-cached."},
    [FAULT_UNKNOWN_HOST] = {"unknown-host", 403, "The URI names no device that the gateway knows",
                            "Add the device, or allow other hosts (proxy.allow_unknown_hosts)."},
    [FAULT_SCHEME_UNSUPPORTED] = {"scheme-unsupported", 400, "The URI's scheme is not one that the gateway speaks here",
                                  "Use coap, coap+tcp, or over https coaps and coaps+tcp."},
    [FAULT_NOT_IMPLEMENTED] = {"not-implemented", 501, "The method is not one that the gateway translates", ""},
    [FAULT_EXPIRED] = {"expired", 504, "The operation's time to live ended before it was done",
                       "Repeat with a longer time to live, or when the device is reachable."},
    [FAULT_CANCELLED] = {"cancelled", 409, "The operation was cancelled", ""},
    [FAULT_NOT_CANCELLABLE] = {"not-cancellable", 409, "The operation has already ended", ""},
    [FAULT_LIMIT_REACHED] = {"limit-reached", 507, "A configured limit is reached",
                             "Remove what is no longer needed, or raise the limit in tcgw.conf."},
    [FAULT_QUEUE_FULL] = {"queue-full", 503, "The device's queue is full",
                          "Wait until its operations end, or cancel some."},
    [FAULT_RATE_LIMITED] = {"rate-limited", 429, "Too many messages in a short time",
                            "Send fewer; Retry-After (Max-Age over CoAP) says when to go on."},
    [FAULT_BUDGET_EXCEEDED] = {"budget-exceeded", 429, "The device or container has used up its budget",
                               "Wait for the next period (tcgw budget show ID), or raise the budget."},
    [FAULT_TOO_MANY_CONNECTIONS] = {"too-many-connections", 503, "The gateway has no free connection",
                                    "Close idle connections, repeat later, or raise max_connections in tcgw.conf."},
    [FAULT_STORAGE_FULL] = {"storage-full", 507, "The gateway's disk is full",
                            "Free space in the state directory; nothing was changed."},
    [FAULT_STORAGE_FAILED] = {"storage-failed", 500, "The gateway could not write its database",
                              "Look at the gateway's log and its disk; nothing was changed."},
    [FAULT_SHUTTING_DOWN] = {"shutting-down", 503, "The gateway is stopping", "Repeat in a moment."},
    [FAULT_INTERNAL] = {"internal", 500, "The gateway failed to handle the request", "Look at the gateway's log."},
};

const struct fault_info *fault_info(enum fault_code code)
{
    return &table[(unsigned)code < FAULT_COUNT ? code : FAULT_INTERNAL];
}

enum fault_code fault_from_slug(const char *slug)
{
    for (unsigned i = 1; i < FAULT_COUNT; i++)
        if (strcmp(table[i].slug, slug) == 0)
            return (enum fault_code)i;
    return FAULT_NONE;
}

static int set(struct fault *fault, enum fault_code code, const char *pointer, const char *format, va_list ap)
{
    if (!fault)
        return 1;
    fault->code = code;
    (void)text_copy(fault->pointer, sizeof fault->pointer, pointer);
    (void)vsnprintf(fault->detail, sizeof fault->detail, format, ap);
    text_repair_utf8(fault->pointer);
    text_repair_utf8(fault->detail); /* what was quoted may be garbage from a device, or cut inside of a character */
    return 1;
}

int fault_set(struct fault *fault, enum fault_code code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)set(fault, code, "", format, ap);
    va_end(ap);
    return 1;
}

int fault_set_at(struct fault *fault, enum fault_code code, const char *pointer, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)set(fault, code, pointer, format, ap);
    va_end(ap);
    return 1;
}
