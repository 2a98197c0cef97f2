#include "codec/release.h"

#include "base/text.h"
#include "codec/cborio.h"

#include <stdio.h>
#include <string.h>

enum key { KEY_NAME = 1, KEY_VERSION, KEY_SEQUENCE, KEY_ARTIFACTS };

static int refuse(char *reason, size_t reason_size, const char *why)
{
    (void)snprintf(reason, reason_size, "%s", why);
    return 1;
}

static bool has_twice(const struct release_statement *statement)
{
    for (size_t i = 0; i < statement->artifact_count; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(statement->artifacts[i], statement->artifacts[j], 32) == 0)
                return true;
    return false;
}

int release_check(const struct release_statement *statement, char *reason, size_t reason_size)
{
    if (!text_is_name(statement->name, RELEASE_NAME_MAX))
        return refuse(reason, reason_size, "The name is not 1 to 127 letters, digits and . _ ~ -.");
    if (!text_is_name(statement->version, RELEASE_VERSION_MAX))
        return refuse(reason, reason_size, "The version is not 1 to 63 letters, digits and . _ ~ -.");
    if (statement->sequence < 1 || statement->sequence > RELEASE_SEQUENCE_MAX)
        return refuse(reason, reason_size, "The sequence number is not in the range of 1 to 2^63 - 1.");
    if (statement->artifact_count < 1 || statement->artifact_count > RELEASE_ARTIFACTS_MAX)
        return refuse(reason, reason_size, "There are not 1 to 16 artifacts.");
    if (has_twice(statement))
        return refuse(reason, reason_size, "An artifact is there twice.");
    return 0;
}

void release_encode(struct buffer *out, const struct release_statement *statement)
{
    uint8_t bytes[RELEASE_STATEMENT_MAX];
    struct cborio_writer w = cborio_writer_init(bytes, sizeof bytes);

    cborio_put_map(&w, KEY_ARTIFACTS);
    cborio_put_uint(&w, KEY_NAME);
    cborio_put_text(&w, statement->name);
    cborio_put_uint(&w, KEY_VERSION);
    cborio_put_text(&w, statement->version);
    cborio_put_uint(&w, KEY_SEQUENCE);
    cborio_put_uint(&w, statement->sequence);
    cborio_put_uint(&w, KEY_ARTIFACTS);
    cborio_put_array(&w, statement->artifact_count);
    for (size_t i = 0; i < statement->artifact_count; i++)
        cborio_put_bytes(&w, statement->artifacts[i], 32);
    buffer_append(out, bytes, cborio_written(&w));
}

static bool take_key(struct cborio_reader *r, enum key key)
{
    return cborio_get_uint(r, KEY_ARTIFACTS) == key;
}

static bool take_artifacts(struct cborio_reader *r, struct release_statement *out)
{
    size_t count = cborio_get_array(r), size;

    if (count > RELEASE_ARTIFACTS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *id = cborio_get_bytes(r, &size);

        if (!id || size != sizeof out->artifacts[i])
            return false;
        memcpy(out->artifacts[i], id, size);
    }
    out->artifact_count = count;
    return true;
}

int release_parse(struct release_statement *out, const void *data, size_t size, char *reason, size_t reason_size)
{
    struct cborio_reader r = cborio_reader_init(data, size);

    memset(out, 0, sizeof *out);
    if (size > RELEASE_STATEMENT_MAX)
        return refuse(reason, reason_size, "The statement has more than 1024 bytes.");
    if (cborio_get_map(&r) != KEY_ARTIFACTS || !take_key(&r, KEY_NAME))
        return refuse(reason, reason_size, "The statement is not a CBOR map of 4 members that begins with key 1.");
    cborio_copy_text(&r, out->name, sizeof out->name);
    if (!take_key(&r, KEY_VERSION))
        return refuse(reason, reason_size, "Key 1 is not a name of at most 127 bytes, followed by key 2.");
    cborio_copy_text(&r, out->version, sizeof out->version);
    if (!take_key(&r, KEY_SEQUENCE))
        return refuse(reason, reason_size, "Key 2 is not a version of at most 63 bytes, followed by key 3.");
    out->sequence = cborio_get_uint(&r, RELEASE_SEQUENCE_MAX);
    if (!take_key(&r, KEY_ARTIFACTS))
        return refuse(reason, reason_size, "Key 3 is not a sequence number, followed by key 4.");
    if (!take_artifacts(&r, out) || !cborio_ended(&r))
        return refuse(reason, reason_size, "Key 4 is not an array of 1 to 16 digests of 32 bytes, at the end.");
    return release_check(out, reason, reason_size);
}

bool release_is_same(const struct release_statement *a, const struct release_statement *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->version, b->version) == 0 && a->sequence == b->sequence &&
           a->artifact_count == b->artifact_count &&
           memcmp(a->artifacts, b->artifacts, a->artifact_count * sizeof a->artifacts[0]) == 0;
}
