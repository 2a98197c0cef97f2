#include "agent/enrolment.h"

#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

struct reading {
    struct enrolment *e;
    const char *path;
    char *reason;
    size_t reason_size;
};

static int refuse(const struct reading *r, const char *what)
{
    (void)snprintf(r->reason, r->reason_size, "%s: entry %zu: %s", r->path, r->e->count + 1, what);
    return 1;
}

static bool read_algorithm(const json_t *json, enum oscore_algorithm *out)
{
    static const struct {
        const char *name;
        enum oscore_algorithm algorithm;
    } known[] = {{"AES-CCM-16-64-128", OSCORE_AES_CCM_16_64_128},
                 {"AES-CCM-16-128-128", OSCORE_AES_CCM_16_128_128},
                 {"A128GCM", OSCORE_AES_GCM_128},
                 {"AES-GCM-128", OSCORE_AES_GCM_128},
                 {"ChaCha20/Poly1305", OSCORE_CHACHA20_POLY1305},
                 {"ChaCha20-Poly1305", OSCORE_CHACHA20_POLY1305}};
    const char *name = json_string_value(json);

    *out = OSCORE_AES_CCM_16_64_128;
    if (!json || json_is_null(json))
        return true;
    for (size_t i = 0; i < array_size(known); i++)
        if (name ? strcasecmp(name, known[i].name) == 0 : json_integer_value(json) == known[i].algorithm) {
            *out = known[i].algorithm;
            return true;
        }
    return false;
}

/* Hexadecimal digits; absent and null have no bytes. */
static bool read_hex(const json_t *object, const char *name, uint8_t *out, size_t room, uint8_t *size)
{
    const json_t *json = json_object_get(object, name);
    const char *text = json_string_value(json);
    size_t length = text ? strlen(text) : 0;

    *size = (uint8_t)(length / 2);
    if (!text)
        return !json || json_is_null(json);
    return length / 2 <= room && text_unhex(text, out, length / 2);
}

static int read_credentials(const struct reading *r, const json_t *json, struct oscore_credentials *c)
{
    const char *kind = json_string_value(json_object_get(json, "kind")), *why;

    if (!json_is_object(json) || (kind && strcmp(kind, "oscore") != 0))
        return refuse(r, "is no object of kind \"oscore\"");
    if (!read_algorithm(json_object_get(json, "algorithm"), &c->algorithm))
        return refuse(r, "unknown algorithm");
    if (!read_hex(json, "master_secret", c->secret, sizeof c->secret, &c->secret_size) ||
        !read_hex(json, "master_salt", c->salt, sizeof c->salt, &c->salt_size) ||
        !read_hex(json, "sender_id", c->sender_id, sizeof c->sender_id, &c->sender_id_size) ||
        !read_hex(json, "recipient_id", c->recipient_id, sizeof c->recipient_id, &c->recipient_id_size) ||
        !read_hex(json, "id_context", c->id_context, sizeof c->id_context, &c->id_context_size))
        return refuse(r, "a member is not hexadecimal, or too long");
    c->has_id_context = json_is_string(json_object_get(json, "id_context"));
    why = oscore_credentials_check(c);
    return why ? refuse(r, why) : 0;
}

static bool grow(struct enrolment *e)
{
    struct oscore_credentials *entries = calloc(2 * e->count + 1, sizeof *entries);
    char **names = calloc(2 * e->count + 1, sizeof *names);

    if (!entries || !names) {
        free(entries);
        free(names);
        return false;
    }
    if (e->entries) {
        memcpy(entries, e->entries, e->count * sizeof *entries);
        memcpy(names, e->names, e->count * sizeof *names);
        explicit_bzero(e->entries, e->count * sizeof *entries);
        free(e->entries);
        free(e->names);
    }
    e->entries = entries;
    e->names = names;
    return true;
}

static int take(const struct reading *r, const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "device"));

    if (r->e->count == ENROLMENT_MAX)
        return refuse(r, "too many");
    if (((r->e->count & (r->e->count + 1)) == 0 || !r->e->entries) && !grow(r->e)) /* room for 1, 3, 7, ... */
        return refuse(r, "not enough memory");
    if (read_credentials(r, json, &r->e->entries[r->e->count]))
        return 1;
    if (name)
        r->e->names[r->e->count] = strdup(name);
    r->e->count++;
    return 0;
}

static int take_all(const struct reading *r, const json_t *json)
{
    size_t i;
    json_t *one;

    if (!json_is_array(json))
        return take(r, json);
    json_array_foreach(json, i, one)
    {
        if (take(r, one))
            return 1;
    }
    return 0;
}

int enrolment_read(struct enrolment *e, const char *path, char *reason, size_t reason_size)
{
    cleanup_fclose FILE *file = fopen(path, "re");
    const struct reading reading = {e, path, reason, reason_size};
    json_error_t error;
    json_t *json;
    int r = 0;

    *e = (struct enrolment){0};
    if (!file) {
        (void)snprintf(reason, reason_size, "cannot read %s: %s", path, strerror(errno));
        return 1;
    }
    do {
        json = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
        if (json)
            r = take_all(&reading, json);
        json_decref(json);
    } while (json && !r);
    if (!r && (json_error_code(&error) != json_error_premature_end_of_input || !e->count)) {
        (void)snprintf(reason, reason_size, "%s is no file of credentials: line %d: %s", path, error.line, error.text);
        r = 1;
    }
    return r;
}

void enrolment_clear(struct enrolment *e)
{
    if (e->entries)
        explicit_bzero(e->entries, e->count * sizeof *e->entries);
    for (size_t i = 0; i < e->count; i++)
        free(e->names[i]);
    free(e->names);
    free(e->entries);
    *e = (struct enrolment){0};
}
