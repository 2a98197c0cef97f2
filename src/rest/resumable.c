#define _GNU_SOURCE /* asprintf */

#include "rest/resumable_private.h"

#include "base/clock.h"
#include "core/bodycheck.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "partial-"
#define SUFFIX ".json"
#define RECORD_MAX (256u << 10) /* bytes of a stored record that are read */

const char *const resumable_piece_names[PIECE_COUNT] = {"code", "data"};

int64_t resumable_now(void)
{
    return clock_wall_ms(clock_system());
}

uint64_t resumable_length(const struct resumable *upload)
{
    return upload->pieces[PIECE_CODE].size + upload->pieces[PIECE_DATA].size;
}

uint64_t resumable_offset(const struct resumable *upload)
{
    uint64_t offset = 0;

    if (*upload->artifact)
        return resumable_length(upload);
    for (int i = 0; i < PIECE_COUNT; i++)
        offset += upload->pieces[i].spool ? spool_size(upload->pieces[i].spool) : 0;
    return offset;
}

struct resumable *resumable_find(const struct rest *rest, const char *id)
{
    list_each(node, &rest->resumables)
    {
        struct resumable *upload = container_of(node, struct resumable, node);

        if (strcmp(upload->id, id) == 0)
            return upload;
    }
    return NULL;
}

/* Its record on the disk ------------------------------------------------------------------------------------------- */

static char *record_path(const struct resumable *upload, const char *suffix)
{
    char *path = NULL;

    return asprintf(&path, "%s/spool/" PREFIX "%s%s", upload->rest->state_directory, upload->id, suffix) < 0 ? NULL
                                                                                                             : path;
}

/* Appears under its name when it is complete. */
int resumable_write(const struct resumable *upload)
{
    cleanup_free char *path = record_path(upload, SUFFIX), *fresh = record_path(upload, ".new");
    json_t *record = json_pack("{s:O, s:s}", "body", upload->body, "artifact", upload->artifact);
    int r = path && fresh && record && json_dump_file(record, fresh, JSON_COMPACT) == 0 ? 0 : -EIO;

    json_decref(record);
    if (r == 0 && rename(fresh, path) < 0)
        r = -errno;
    return r;
}

void resumable_drop_spools(struct resumable *upload)
{
    for (int i = 0; i < PIECE_COUNT; i++) {
        if (upload->pieces[i].spool)
            spool_discard(upload->pieces[i].spool);
        upload->pieces[i].spool = spool_free(upload->pieces[i].spool);
    }
}

struct resumable *resumable_free(struct resumable *upload)
{
    if (!upload)
        return NULL;
    list_unlink(&upload->node);
    for (int i = 0; i < PIECE_COUNT; i++)
        (void)spool_free(upload->pieces[i].spool);
    json_decref(upload->body);
    free(upload);
    return NULL;
}

/* With all that is on the disk. */
void resumable_forget(struct resumable *upload)
{
    cleanup_free char *path = record_path(upload, SUFFIX);

    resumable_drop_spools(upload);
    if (path)
        (void)unlink(path);
    resumable_free(upload);
}

void resumable_forget_old(struct rest *rest)
{
    struct list *next;

    for (struct list *node = rest->resumables.next; node != &rest->resumables; node = next) {
        struct resumable *upload = container_of(node, struct resumable, node);

        next = node->next;
        if (!upload->taken && resumable_now() - upload->touched > INT64_C(1000) * RESUMABLE_EXPIRY_S)
            resumable_forget(upload);
    }
}

/* Made of a body --------------------------------------------------------------------------------------------------- */

static const struct body_rule body_rules[] = {
    {"description", BODY_OBJECT, true, false, 0, 0, NULL},
    {"code", BODY_OBJECT, true, false, 0, 0, NULL},
    {"data", BODY_OBJECT, false, true, 0, 0, NULL},
};

static const struct body_rule piece_rules[] = {
    {"size", BODY_NUMBER, true, false, 0, INT64_MAX, NULL},
    {"sha256", BODY_TEXT, true, false, RESUMABLE_ID_SIZE, RESUMABLE_ID_SIZE, NULL},
};

static int read_piece(struct piece *piece, const json_t *body, int which, struct fault *fault)
{
    const json_t *object = json_object_get(body, resumable_piece_names[which]);
    char pointer[FAULT_POINTER_SIZE];

    if (!object || json_is_null(object))
        return 0;
    (void)snprintf(pointer, sizeof pointer, "/%s", resumable_piece_names[which]);
    if (body_check(object, pointer, piece_rules, array_size(piece_rules), fault))
        return 1;
    piece->size = (uint64_t)body_number(object, "size", 0);
    (void)text_copy(piece->sha256, sizeof piece->sha256, body_text(object, "sha256"));
    if (strspn(piece->sha256, "0123456789abcdef") == RESUMABLE_ID_SIZE)
        return 0;
    return fault_set_at(fault, FAULT_INVALID_FIELD, pointer, "%s/sha256 is not 64 lower-case hexadecimal digits",
                        pointer);
}

static int read_body(struct resumable *upload, json_t *body, struct fault *fault)
{
    uint64_t limit = upload->rest->options.max_artifact_bytes;

    if (body_check(body, "", body_rules, array_size(body_rules), fault))
        return 1;
    for (int i = 0; i < PIECE_COUNT; i++)
        if (read_piece(&upload->pieces[i], body, i, fault))
            return 1;
    if (upload->pieces[PIECE_CODE].size == 0)
        return fault_set_at(fault, FAULT_INVALID_FIELD, "/code/size", "The code is empty");
    if (upload->pieces[PIECE_CODE].size > limit ||
        upload->pieces[PIECE_DATA].size > limit - upload->pieces[PIECE_CODE].size)
        return fault_set(fault, FAULT_BODY_TOO_LARGE, "Code and data have more than %llu bytes together",
                         (unsigned long long)limit);
    upload->body = json_incref(body);
    return 0;
}

static int make_id(struct resumable *upload)
{
    cleanup_free char *text = json_dumps(upload->body, JSON_COMPACT | JSON_SORT_KEYS);
    uint8_t digest[32];

    if (!text || EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    text_hex(digest, sizeof digest, upload->id);
    return 0;
}

int resumable_open_spools(struct resumable *upload)
{
    char name[RESUMABLE_ID_SIZE + 8];
    int r = 0;

    for (int i = 0; i < PIECE_COUNT && r == 0; i++) {
        struct piece *piece = &upload->pieces[i];

        (void)snprintf(name, sizeof name, "%s.%s", upload->id, resumable_piece_names[i]);
        if (piece->size)
            r = spool_resume(&piece->spool, upload->rest->state_directory, name, piece->size);
    }
    return r;
}

/* 0, 1 with a fault, or negative. */
int resumable_make(struct resumable **out, struct rest *rest, json_t *body, struct fault *fault)
{
    struct resumable *upload = calloc(1, sizeof *upload);
    int r;

    if (!upload)
        return -ENOMEM;
    list_init(&upload->node);
    upload->rest = rest;
    upload->touched = resumable_now();
    r = read_body(upload, body, fault);
    if (r == 0)
        r = make_id(upload);
    *out = r ? resumable_free(upload) : upload;
    return r;
}

/* At the start ----------------------------------------------------------------------------------------------------- */

/* When the last of its bytes came. */
static int64_t last_change(const struct resumable *upload, int64_t otherwise)
{
    const struct spool *code = upload->pieces[PIECE_CODE].spool, *data = upload->pieces[PIECE_DATA].spool;
    struct stat st;

    if (data && stat(spool_path(data), &st) == 0 && (int64_t)st.st_mtime > otherwise)
        otherwise = (int64_t)st.st_mtime;
    if (code && stat(spool_path(code), &st) == 0 && (int64_t)st.st_mtime > otherwise)
        otherwise = (int64_t)st.st_mtime;
    return otherwise * 1000;
}

static void load(struct rest *rest, const char *path)
{
    struct resumable *upload = NULL;
    struct fault fault = {0};
    json_t *record = json_load_file(path, 0, NULL);
    const char *artifact = json_string_value(json_object_get(record, "artifact"));
    struct stat st;

    if (artifact && stat(path, &st) == 0 && st.st_size < RECORD_MAX &&
        resumable_make(&upload, rest, json_object_get(record, "body"), &fault) == 0) {
        (void)text_copy(upload->artifact, sizeof upload->artifact, artifact);
        if (*artifact || resumable_open_spools(upload) == 0) {
            upload->touched = last_change(upload, (int64_t)st.st_mtime);
            list_append(&rest->resumables, &steal_pointer(upload)->node);
        }
    }
    resumable_free(upload);
    json_decref(record);
}

static bool is_record(const char *name)
{
    return strlen(name) == sizeof PREFIX - 1 + RESUMABLE_ID_SIZE + sizeof SUFFIX - 1 &&
           strcmp(name + sizeof PREFIX - 1 + RESUMABLE_ID_SIZE, SUFFIX) == 0;
}

/* What was begun to be fetched from the platform's store goes on, unless nobody asks for it any more. */
static bool is_fetched_today(const char *directory, const char *name)
{
    cleanup_free char *path = NULL;
    struct stat st;

    return strncmp(name, PREFIX "fetch-", sizeof PREFIX "fetch-" - 1) == 0 &&
           asprintf(&path, "%s/%s", directory, name) >= 0 && stat(path, &st) == 0 &&
           resumable_now() / 1000 - (int64_t)st.st_mtime < RESUMABLE_EXPIRY_S;
}

/* A file that belongs to no upload. */
static void remove_stray(const struct rest *rest, const char *directory, const char *name)
{
    cleanup_free char *path = NULL;
    char id[RESUMABLE_ID_SIZE + 1];

    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 || is_fetched_today(directory, name))
        return;
    (void)snprintf(id, sizeof id, "%s", name + sizeof PREFIX - 1);
    if (!resumable_find(rest, id) && asprintf(&path, "%s/%s", directory, name) >= 0)
        (void)unlink(path);
}

static void close_directory(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

int resumables_open(struct rest *rest)
{
    cleanup_free char *path = NULL;
    cleanup(close_directory) DIR *entries = NULL;
    const struct dirent *entry;
    size_t count = 0;

    if (asprintf(&path, "%s/spool", rest->state_directory) < 0)
        return -ENOMEM;
    entries = opendir(path);
    while (entries && (entry = readdir(entries)) && count < RESUMABLE_MAX) {
        cleanup_free char *file = NULL;

        if (!is_record(entry->d_name) || asprintf(&file, "%s/%s", path, entry->d_name) < 0)
            continue;
        load(rest, file);
        count++;
    }
    resumable_forget_old(rest);
    if (entries)
        rewinddir(entries);
    while (entries && (entry = readdir(entries)))
        remove_stray(rest, path, entry->d_name);
    return 0;
}

void resumables_close(struct rest *rest)
{
    while (!list_empty(&rest->resumables)) {
        struct resumable *upload = list_first(&rest->resumables, struct resumable, node);

        if (upload->taken)
            upload->taken->resumable = NULL;
        resumable_free(upload);
    }
}
