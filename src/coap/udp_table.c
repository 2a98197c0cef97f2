#include "coap/udp_private.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Keys ------------------------------------------------------------------------------------------------------------ */

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* One round of SipHash (Aumasson and Bernstein, 2012). */
static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* The machine's boot ID: strangers do not know it, and a restarted gateway finds the same one. */
static bool read_boot_id(uint64_t secret[2])
{
    cleanup_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char digits[33] = "", text[36];

    if (fd < 0 || read(fd, text, sizeof text) != sizeof text)
        return false;
    for (size_t i = 0, n = 0; i < sizeof text && n < sizeof digits - 1; i++)
        if (text[i] != '-')
            digits[n++] = text[i];
    return text_unhex(digits, secret, 2 * sizeof *secret);
}

/* SipHash-1-3 with a key of this boot; all keys of one table have the same size. */
uint32_t udp_hash(const void *key, size_t size)
{
    static uint64_t secret[2];
    uint64_t v[4] = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573}, word;

    if (!secret[0] && !read_boot_id(secret) && !endpoint_random(secret, sizeof secret))
        secret[0] = 1; /* the tables are slower when they are attacked, but work */
    for (size_t i = 0; i < 4; i++)
        v[i] ^= secret[i % 2];
    for (size_t i = 0; i < size; i += sizeof word) {
        word = 0;
        memcpy(&word, (const uint8_t *)key + i, size - i < sizeof word ? size - i : sizeof word);
        v[3] ^= word;
        mix(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (size_t i = 0; i < 3; i++)
        mix(v);
    word = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (uint32_t)(word ^ word >> 32);
}

struct udp_key udp_make_key(const struct peer *peer, uint16_t mid)
{
    struct udp_key key = {.mid = mid};

    if (peer->address.any.sa_family == AF_INET) {
        key.ip[10] = key.ip[11] = 0xff;
        memcpy(key.ip + 12, &peer->address.v4.sin_addr, sizeof peer->address.v4.sin_addr);
        key.port = peer->address.v4.sin_port;
    } else {
        memcpy(key.ip, &peer->address.v6.sin6_addr, sizeof key.ip);
        key.scope = peer->address.v6.sin6_scope_id;
        key.port = peer->address.v6.sin6_port;
    }
    return key;
}

struct udp_key udp_make_key_of(const struct peer *from, const struct coapmsg *msg)
{
    struct udp_key key = udp_make_key(from, msg->id);

    key.content = udp_hash(msg->token, msg->token_length) ^ udp_hash(msg->payload, msg->payload_size);
    return key;
}

/* Alarms ---------------------------------------------------------------------------------------------------------- */

static void place(struct udp_alarms *alarms, size_t position, struct udp_alarm *alarm)
{
    alarms->heap[position - 1] = alarm;
    alarm->position = position;
}

static void sift_up(struct udp_alarms *alarms, struct udp_alarm *alarm)
{
    size_t at = alarm->position;

    for (; at > 1 && alarms->heap[at / 2 - 1]->due > alarm->due; at /= 2)
        place(alarms, at, alarms->heap[at / 2 - 1]);
    place(alarms, at, alarm);
}

static void sift_down(struct udp_alarms *alarms, struct udp_alarm *alarm)
{
    size_t at = alarm->position, child;

    while ((child = 2 * at) <= alarms->count) {
        if (child < alarms->count && alarms->heap[child]->due < alarms->heap[child - 1]->due)
            child++;
        if (alarms->heap[child - 1]->due >= alarm->due)
            break;
        place(alarms, at, alarms->heap[child - 1]);
        at = child;
    }
    place(alarms, at, alarm);
}

static int make_room(struct udp_alarms *alarms)
{
    size_t room = alarms->room ? 2 * alarms->room : 64;
    struct udp_alarm **heap;

    if (alarms->count < alarms->room)
        return 0;
    heap = realloc(alarms->heap, room * sizeof *heap); /* NOLINT(bugprone-sizeof-expression): they are pointers */
    if (!heap)
        return -ENOMEM;
    alarms->heap = heap;
    alarms->room = room;
    return 0;
}

int udp_set_alarm(struct udp *udp, struct udp_alarm *alarm, uint64_t due)
{
    int r;

    udp_clear_alarm(udp, alarm);
    r = make_room(&udp->alarms);
    if (r < 0)
        return r;
    alarm->due = due;
    place(&udp->alarms, ++udp->alarms.count, alarm);
    sift_up(&udp->alarms, alarm);
    if (alarm->position == 1)
        udp->driver->arm(udp, due);
    return 0;
}

void udp_clear_alarm(struct udp *udp, struct udp_alarm *alarm)
{
    size_t position = alarm->position;
    struct udp_alarm *last;

    if (!position)
        return;
    alarm->position = 0;
    last = udp->alarms.heap[--udp->alarms.count];
    if (last == alarm)
        return;
    place(&udp->alarms, position, last);
    sift_up(&udp->alarms, last);
    sift_down(&udp->alarms, last);
}

void udp_run(struct udp *udp)
{
    uint64_t now = udp_now(udp);

    while (!udp->closing && udp->alarms.count && udp->alarms.heap[0]->due <= now) {
        struct udp_alarm *alarm = udp->alarms.heap[0];

        udp_clear_alarm(udp, alarm);
        alarm->ring(udp, alarm);
    }
    if (!udp->closing && udp->alarms.count)
        udp->driver->arm(udp, udp->alarms.heap[0]->due);
}

/* Message IDs (RFC 7252 section 4.4) ------------------------------------------------------------------------------ */

static void forget_peer(struct udp *udp, struct udp_peer *peer)
{
    HASH_DEL(udp->peers, peer); /* NOLINT(clang-analyzer-core.NullDereference) */
    list_unlink(&peer->node);
    free(peer);
}

void udp_forget_peers(struct udp *udp)
{
    while (!list_empty(&udp->peers_by_use))
        forget_peer(udp, list_first(&udp->peers_by_use, struct udp_peer, node));
}

/* A few at each new one, so that nothing takes long. */
static void forget_old_peers(struct udp *udp, uint64_t now)
{
    for (int i = 0; i < 4 && !list_empty(&udp->peers_by_use); i++) {
        struct udp_peer *oldest = list_first(&udp->peers_by_use, struct udp_peer, node);

        if (now - oldest->last_used < UDP_EXCHANGE_LIFETIME_MS && HASH_COUNT(udp->peers) < UDP_PEERS_MAX)
            break;
        forget_peer(udp, oldest);
    }
}

/* What nobody can foresee, but ahead of what a gateway that ran a moment ago used for the same peer, which would take
 * the message for a copy: 65,536 in EXCHANGE_LIFETIME are one in 4 ms. The loop's time is that since the boot. */
static uint16_t first_mid(const struct udp_key *key, uint64_t now)
{
    return (uint16_t)(udp_hash(key, sizeof *key) + now / 4);
}

static int find_peer(struct udp *udp, const struct peer *address, uint64_t now, struct udp_peer **out)
{
    struct udp_key key = udp_make_key(address, 0);
    struct udp_peer *peer = NULL;

    HASH_FIND(hh, udp->peers, &key, sizeof key, peer);
    if (!peer) {
        forget_old_peers(udp, now);
        peer = calloc(1, sizeof *peer);
        if (!peer)
            return -ENOMEM;
        peer->key = key;
        peer->next = first_mid(&key, now);
        list_init(&peer->node);
        HASH_ADD(hh, udp->peers, key, sizeof peer->key, peer);
    }
    *out = peer;
    return 0;
}

/* They are counted up, and a quarter of them is begun only when all of it has rested. */
int udp_take_mid(struct udp *udp, const struct peer *address, uint16_t *mid)
{
    uint64_t now = udp_now(udp);
    uint32_t seconds = (uint32_t)(now / 1000) + 1, *used;
    struct udp_peer *peer;
    int r = find_peer(udp, address, now, &peer);

    if (r < 0)
        return r;
    list_unlink(&peer->node);
    list_append(&udp->peers_by_use, &peer->node);
    used = &peer->used[peer->next >> 14];
    if ((peer->next & 0x3fff) == 0 && *used && seconds - *used <= UDP_EXCHANGE_LIFETIME_MS / 1000)
        return -EAGAIN;
    *used = seconds;
    peer->last_used = now;
    *mid = peer->next++;
    return 0;
}
