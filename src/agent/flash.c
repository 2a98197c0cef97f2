#include "agent/flash.h"

#include "base/text.h"
#include "codec/token.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_LABEL "tcagent state of OSCORE credentials"

/* A digest of what tells credentials apart; it says nothing of the secret. */
static void make_name(char name[FLASH_NAME_SIZE], const struct oscore_credentials *c)
{
    uint8_t bytes[sizeof NAME_LABEL + OSCORE_SECRET_MAX + OSCORE_SALT_MAX + (size_t)2 * OSCORE_ID_MAX +
                  OSCORE_ID_CONTEXT_MAX + 6];
    const struct {
        const void *data;
        size_t size;
    } parts[] = {{c->secret, c->secret_size},
                 {c->salt, c->salt_size},
                 {c->sender_id, c->sender_id_size},
                 {c->recipient_id, c->recipient_id_size},
                 {c->id_context, c->id_context_size}};
    uint8_t digest[32];
    size_t used = sizeof NAME_LABEL;

    memcpy(bytes, NAME_LABEL, sizeof NAME_LABEL);
    bytes[used++] = (uint8_t)c->algorithm;
    for (size_t i = 0; i < array_size(parts); i++) {
        bytes[used++] = (uint8_t)parts[i].size;
        memcpy(bytes + used, parts[i].data, parts[i].size);
        used += parts[i].size;
    }
    token_digest(bytes, used, NULL, 0, digest);
    explicit_bzero(bytes, sizeof bytes);
    (void)text_hex(digest, (FLASH_NAME_SIZE - 1) / 2, name);
}

static int make_path(const struct flash *f, const char *suffix, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/%s%s", f->directory, f->name, suffix);

    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool read_window(const json_t *json, struct oscore_window *window)
{
    const json_t *highest = json_object_get(json, "highest"), *seen = json_object_get(json, "seen");

    if (!json_is_integer(highest) || !json_is_integer(seen) || json_integer_value(highest) < 0)
        return false;
    *window = (struct oscore_window){true, (uint64_t)json_integer_value(highest), (uint32_t)json_integer_value(seen)};
    return true;
}

static bool read_id_context(const json_t *json, struct flash_state *state)
{
    const char *text = json_string_value(json);
    size_t size = text ? strlen(text) / 2 : 0;

    state->has_id_context = text != NULL;
    state->id_context_size = (uint8_t)size;
    if (!text)
        return json_is_null(json);
    return size <= OSCORE_ID_CONTEXT_MAX && text_unhex(text, state->id_context, size);
}

static bool read_state(const json_t *json, struct flash_state *state)
{
    const json_t *reserved = json_object_get(json, "reserved"), *window = json_object_get(json, "window");

    *state = (struct flash_state){.lost = json_is_true(json_object_get(json, "lost"))};
    if (state->lost)
        return true;
    if (!json_is_integer(reserved) || json_integer_value(reserved) < 0)
        return false;
    state->reserved = (uint64_t)json_integer_value(reserved);
    return read_id_context(json_object_get(json, "id_context"), state) &&
           (!window || read_window(window, &state->window));
}

/* The state of a device that never used its credentials. */
static void reset(struct flash *f, const struct oscore_credentials *c)
{
    f->state = (struct flash_state){
        .has_id_context = c->has_id_context, .id_context_size = c->id_context_size, .window = {.known = true}};
    memcpy(f->state.id_context, c->id_context, c->id_context_size);
}

int flash_open(struct flash *f, const char *directory, const struct oscore_credentials *credentials)
{
    char path[PATH_MAX];
    json_t *json;
    int r;

    *f = (struct flash){.directory = directory};
    make_name(f->name, credentials);
    reset(f, credentials);
    if (!directory)
        return 0;
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    r = make_path(f, "", path);
    if (r)
        return r;
    if (access(path, F_OK) < 0)
        return errno == ENOENT ? 0 : -errno;
    json = json_load_file(path, 0, NULL);
    if (!json || !read_state(json, &f->state))
        f->state = (struct flash_state){.lost = true};
    json_decref(json);
    return 0;
}

static int write_text(int fd, const struct flash_state *s)
{
    char hex[2 * OSCORE_ID_CONTEXT_MAX + 1], id_context[sizeof hex + 2] = "null", window[96] = "", line[384];
    int n;

    if (s->has_id_context)
        (void)snprintf(id_context, sizeof id_context, "\"%s\"", text_hex(s->id_context, s->id_context_size, hex));
    if (s->window.known)
        (void)snprintf(window, sizeof window, ", \"window\": {\"highest\": %llu, \"seen\": %u}",
                       (unsigned long long)s->window.highest, s->window.seen);
    if (s->lost)
        n = snprintf(line, sizeof line, "{\"lost\": true}\n");
    else
        n = snprintf(line, sizeof line, "{\"id_context\": %s, \"reserved\": %llu%s}\n", id_context,
                     (unsigned long long)s->reserved, window);
    if (write(fd, line, (size_t)n) != n)
        return -EIO;
    return fsync(fd) < 0 ? -errno : 0;
}

static int sync_directory(const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int flash_write(const struct flash *f)
{
    char path[PATH_MAX], beside[PATH_MAX];
    cleanup_close int fd = -1;
    int r;

    if (!f->directory)
        return 0;
    r = make_path(f, "", path);
    if (!r)
        r = make_path(f, ".new", beside);
    if (r)
        return r;
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    r = write_text(fd, &f->state);
    if (r)
        return r;
    return rename(beside, path) < 0 ? -errno : sync_directory(f->directory);
}
