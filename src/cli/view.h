#ifndef TC_CLI_VIEW_H
#define TC_CLI_VIEW_H

#include "cli/display.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

static inline void json_cleanup(json_t *const *json)
{
    json_decref(*json);
}
#define cleanup_json cleanup(json_cleanup) /* jansson's json_auto_t does not stand the macro cleanup */

/* How the gateway's JSON objects are shown to people: one table of fields per kind of object. */

enum field_kind {
    FIELD_TEXT,      /* a string, number or boolean as it is; an array as a list of its elements */
    FIELD_DIGEST,    /* a SHA-256: 12 digits in a table, all in a card */
    FIELD_STATE,     /* a state's name, in its colour */
    FIELD_TIME,      /* RFC 3339: relative in a table, both in a card */
    FIELD_ENDPOINTS, /* an artifact's endpoints */
    FIELD_RECORDS,   /* an array of objects: what the first member of each is, and the others with their names */
    FIELD_LINKS,     /* what an endpoint registered */
    /* numbers */
    FIELD_BYTES,   /* a size */
    FIELD_MS,      /* a duration in milliseconds; zero: none */
    FIELD_SECONDS, /* a duration in seconds */
    FIELD_LIMIT,   /* a number; zero: none */
};

struct field {
    const char *title; /* "LAST SEEN" is made of it for tables */
    const char *path;  /* "capabilities.pdu_size" */
    enum field_kind kind;
    bool column; /* stands in tables too */
};

struct view {
    const char *noun, *nouns; /* "device", "devices" */
    const char *id;           /* path of what identifies it */
    const char *none;         /* what to do when there are none */
    const struct field *fields;
    size_t field_count;
};

extern const struct view view_device, view_artifact, view_container, view_operation, view_metadata, view_key,
    view_status, view_upload, view_version, view_credential, view_join, view_sink, view_letter, view_registration,
    view_group, view_link, view_observation, view_suit, view_suit_component, view_publisher, view_release, view_policy,
    view_service, view_explanation, view_transfer, view_network, view_emergency, view_quarantine, view_budget,
    view_collection, view_rollout, view_rollout_device, view_rollout_plan, view_caller, view_token, view_grant,
    view_tenant, view_audit, view_anchor, view_database;

/* The member at a path of names with dots between them; NULL when there is none. */
const json_t *view_at(const json_t *object, const char *path);
/* The string at a path; "" when there is none. */
const char *view_string(const json_t *object, const char *path);

/* A field's text, escaped; NULL when it is not known. The caller frees it. */
char *view_text(const struct field *field, const json_t *object, int64_t now, bool card);
/* The colour of a field's value. */
enum colour view_colour(const struct field *field, const json_t *object);

#endif
