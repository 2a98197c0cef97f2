#ifndef TC_BASE_FAULT_H
#define TC_BASE_FAULT_H

#include "base/cleanup.h"

/*
 * Every error that a user can see, in one table: its stable slug (the last segment of the problem type, RFC 9457), the
 * HTTP status that carries it, a title, and what to do about it.
 */
enum fault_code {
    FAULT_NONE,
    /* the request */
    FAULT_MALFORMED_REQUEST,
    FAULT_MALFORMED_JSON,
    FAULT_INVALID_FIELD,
    FAULT_UNKNOWN_FIELD,
    FAULT_INVALID_ID,
    FAULT_INVALID_PARAMETER,
    FAULT_NOT_FOUND,
    FAULT_METHOD_NOT_ALLOWED,
    FAULT_NOT_ACCEPTABLE,
    FAULT_ALREADY_EXISTS,
    FAULT_IN_USE,
    FAULT_CONFLICT,
    FAULT_PRECONDITION_FAILED,
    FAULT_BODY_TOO_LARGE,
    FAULT_HEADERS_TOO_LARGE,
    FAULT_URI_TOO_LONG,
    FAULT_CROSS_SITE,
    FAULT_HOST_REFUSED,
    FAULT_UNSUPPORTED_MEDIA_TYPE,
    FAULT_KEY_REUSED,
    /* the artifact */
    FAULT_INVALID_WASM,
    FAULT_INVALID_RBPF,
    FAULT_INVALID_METADATA,
    FAULT_INVALID_ARTIFACT,
    FAULT_RUNTIME_UNSUPPORTED,
    FAULT_PACKAGE_TOO_LARGE,
    FAULT_DIGEST_MISMATCH,
    FAULT_INVALID_MANIFEST,
    FAULT_UNSIGNED,
    FAULT_SIGNATURE_INVALID,
    FAULT_PUBLISHER_UNKNOWN,
    FAULT_PUBLISHER_REVOKED,
    FAULT_OUT_OF_SCOPE,
    FAULT_POLICY_DENIED,
    FAULT_ROLLBACK_REFUSED,
    FAULT_NOTHING_SELECTED,
    FAULT_UPSTREAM_FAILED,
    FAULT_ARTIFACT_PENDING,
    /* the device */
    FAULT_AGENT_UNSUPPORTED,
    FAULT_AGENT_UNKNOWN,
    FAULT_UID_OCCUPIED,
    FAULT_NO_SLOT,
    FAULT_LOAD_REFUSED,
    FAULT_VERIFICATION_REFUSED,
    FAULT_START_REFUSED,
    FAULT_STOPPED_EARLY,
    FAULT_OUTCOME_UNKNOWN,
    FAULT_DEVICE_UNREACHABLE,
    FAULT_DEVICE_TIMEOUT,
    FAULT_DEVICE_ANSWER,
    FAULT_DEVICE_ERROR,
    FAULT_CONTAINER_NOT_ON_DEVICE,
    FAULT_DEVICE_ASLEEP,
    FAULT_NOT_CACHED,
    FAULT_UNKNOWN_HOST,
    FAULT_SCHEME_UNSUPPORTED,
    FAULT_NOT_IMPLEMENTED,
    /* trust */
    FAULT_CREDENTIALS_REQUIRED,
    FAULT_CREDENTIALS_IN_USE,
    FAULT_CREDENTIALS_STALE,
    FAULT_DEVICE_UNTRUSTED,
    FAULT_JOIN_CLOSED,
    FAULT_FORBIDDEN,
    FAULT_QUARANTINED,
    FAULT_EMERGENCY_STOP,
    FAULT_UNAUTHENTICATED,
    /* the operation */
    FAULT_EXPIRED,
    FAULT_CANCELLED,
    FAULT_NOT_CANCELLABLE,
    /* limits and the gateway itself */
    FAULT_LIMIT_REACHED,
    FAULT_QUEUE_FULL,
    FAULT_RATE_LIMITED,
    FAULT_BUDGET_EXCEEDED,
    FAULT_TOO_MANY_CONNECTIONS,
    FAULT_STORAGE_FULL,
    FAULT_STORAGE_FAILED,
    FAULT_SHUTTING_DOWN,
    FAULT_INTERNAL,
    FAULT_COUNT
};

#define FAULT_DETAIL_SIZE 384
#define FAULT_POINTER_SIZE 96
#define FAULT_TYPE_BASE "https://tcgw.dev/problems/"

struct fault {
    enum fault_code code;
    char pointer[FAULT_POINTER_SIZE]; /* JSON pointer (RFC 6901) into the request's body, or empty */
    char detail[FAULT_DETAIL_SIZE];   /* what happened, to which device or container, with the figures */
};

struct fault_info {
    const char *slug;   /* "no-slot": stable, part of the contract */
    int status;         /* HTTP status */
    const char *title;  /* a short sentence that is the same for each occurrence */
    const char *advice; /* what to do; empty where the title says it */
};

/* Never NULL. */
const struct fault_info *fault_info(enum fault_code code);

/* The code of a slug, FAULT_NONE when there is none. */
enum fault_code fault_from_slug(const char *slug);

/*
 * Fills in a fault (which may be NULL) and returns 1, the positive result that tells a caller that a fault was set, so
 * that a function may `return fault_set(fault, ...)`.
 */
int fault_set(struct fault *fault, enum fault_code code, const char *format, ...) printf_like(3, 4);

/* The same with a JSON pointer to the offending member. */
int fault_set_at(struct fault *fault, enum fault_code code, const char *pointer, const char *format, ...)
    printf_like(4, 5);

#endif
