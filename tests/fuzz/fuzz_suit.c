#include "codec/suit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is parsed can be described, signed again, and, where it is complete, made again: the same components. */

static EVP_PKEY *key;

static void parse_again(struct suit_manifest *out, const struct buffer *bytes)
{
    char reason[256] = "";

    if (suit_parse(out, bytes->data, bytes->size, reason, sizeof reason) != 0)
        abort();
}

static void check_signing(const struct suit_manifest *m)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    struct suit_manifest again;
    char reason[256] = "";

    if (suit_sign(&out, m, key, reason, sizeof reason) != 0)
        return; /* larger than the dialect's limit now */
    parse_again(&again, &out);
    if (suit_verify(&again, key, reason, sizeof reason) != 0 || again.sequence != m->sequence)
        abort();
}

static void check_making(const struct suit_manifest *m)
{
    cleanup_buffer struct buffer out = buffer_init(0);
    struct suit_manifest again;
    char reason[256] = "";

    if (suit_make(&out, m, NULL, reason, sizeof reason) != 0)
        return;
    parse_again(&again, &out);
    if (again.component_count != m->component_count || again.sequence != m->sequence)
        abort();
    for (size_t i = 0; i < m->component_count; i++) {
        const struct suit_component *a = &m->components[i], *b = NULL;

        for (size_t j = 0; j < again.component_count && !b; j++)
            if (again.components[j].id_count == a->id_count && again.components[j].offset == a->offset &&
                memcmp(again.components[j].digest, a->digest, sizeof a->digest) == 0 &&
                strcmp(again.components[j].uri, a->uri) == 0)
                b = &again.components[j];
        if (!b && a->has_digest && a->uri[0])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct suit_manifest m;
    char reason[256] = "", *text;

    if (!key)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (suit_parse(&m, data, size, reason, sizeof reason) != 0) {
        if (!reason[0])
            abort();
        return 0;
    }
    if (suit_verify(&m, key, reason, sizeof reason) == 0)
        abort();
    text = suit_describe(&m);
    if (!text)
        abort();
    free(text);
    check_signing(&m);
    check_making(&m);
    return 0;
}
