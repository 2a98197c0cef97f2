#include "agent/suitdev_plan.h"
#include "codec/cborio.h"
#include "codec/token.h"

#include <string.h>

#define ROOM 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* {2: <<[<<18([<<{1: -8}>>, {}, <<[2, digest]>>, signature])>>]>>, 3: <<the input>>}, so that what comes behind the
 * digest is reached. Returns its size, 0 when it does not fit. */
static size_t wrap(const uint8_t *data, size_t size, uint8_t out[ROOM])
{
    static const uint8_t head[] = {0xa2, 0x02, 0x58, 0x72, 0x81, 0x58, 0x6f, 0xd2, 0x84, 0x43,
                                   0xa1, 0x01, 0x27, 0xa0, 0x58, 0x24, 0x82, 0x02, 0x58, 0x20};
    uint8_t manifest[ROOM], digest[METADATA_DIGEST_SIZE];
    struct cborio_writer inner = cborio_writer_init(manifest, sizeof manifest);
    size_t used = sizeof head + sizeof digest;

    cborio_put_bytes(&inner, data, size);
    if (!cborio_written(&inner))
        return 0;
    token_digest(manifest, cborio_written(&inner), NULL, 0, digest);
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, digest, sizeof digest);
    memset(out + used, 0, 67);
    out[used] = 0x58;
    out[used + 1] = 64;
    out[used + 66] = 3;
    used += 67;
    if (used + cborio_written(&inner) > ROOM)
        return 0;
    memcpy(out + used, manifest, cborio_written(&inner));
    return used + cborio_written(&inner);
}

static void check(const struct suitdev_plan *plan, size_t size)
{
    if (size > SUITDEV_RIOT_MAX || plan->count < 1 || plan->count > SUITDEV_COMPONENTS || plan->sequence < 6)
        abort();
    for (size_t i = 0; i < plan->count; i++)
        if (!memchr(plan->steps[i].uri, 0, sizeof plan->steps[i].uri) || !plan->steps[i].name[0])
            abort();
}

/* A manifest as a device gets it, and as the part of an envelope whose digest is right. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct suitdev_identity identity = {.sequence = 5, .offset = 4096};
    struct suitdev_plan plan;
    uint8_t wrapped[ROOM];
    char reason[128];
    size_t all;

    suitdev_identify(&identity, "riot-os.org", "native");
    if (suitdev_read_riot(&plan, &identity, data, size, reason, sizeof reason) == 0)
        check(&plan, size);
    (void)!suitdev_read_ietf(&plan, &identity, data, size, reason, sizeof reason);
    all = wrap(data, size, wrapped);
    if (all && suitdev_read_riot(&plan, &identity, wrapped, all, reason, sizeof reason) == 0)
        check(&plan, all);
    return 0;
}
