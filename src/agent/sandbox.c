#include "agent/sandbox.h"

#include "base/text.h"

#include <stdarg.h>
#include <string.h>

#define NOTE_PREFIX "agent: "

struct sandbox {
    const struct metadata *md;
    struct board *board;
    struct runtime_host host;
    struct bus_member member;
    const struct container_endpoint *open[SANDBOX_DESCRIPTORS]; /* descriptor n is open[n - 1]; NULL: closed */
    struct sandbox_counters counters;
    char last_denial[SANDBOX_LINE_SIZE]; /* so that a container that repeats itself leaves one line */
    char log[SANDBOX_LOG_SIZE];          /* whole lines, the oldest first */
    size_t log_size;
    uint32_t log_revision;
};

/* The log ------------------------------------------------------------------ */

static void drop_oldest_line(struct sandbox *s)
{
    const char *end = memchr(s->log, '\n', s->log_size);
    size_t line = end ? (size_t)(end - s->log) + 1 : s->log_size;

    s->log_size -= line;
    memmove(s->log, s->log + line, s->log_size);
}

static void add_line(struct sandbox *s, const char *line, size_t size)
{
    while (s->log_size + size + 1 > sizeof s->log)
        drop_oldest_line(s);
    memcpy(s->log + s->log_size, line, size);
    s->log[s->log_size + size] = '\n';
    s->log_size += size + 1;
    s->log_revision++;
}

/* The log is shown to people as text: one line per call, no control characters, UTF-8 or else ASCII. */
static void log_line(void *arg, const char *text, size_t size)
{
    char line[SANDBOX_LINE_SIZE];
    bool is_utf8;

    if (size > 0 && text[size - 1] == '\n')
        size--;
    if (size > sizeof line)
        size = sizeof line;
    is_utf8 = text_is_utf8(text, size);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        line[i] = c < ' ' || c == 0x7f || (c > 0x7f && !is_utf8) ? '?' : text[i];
    }
    add_line(arg, line, size);
}

static void format_note(char line[SANDBOX_LINE_SIZE], const char *format, va_list ap)
{
    memcpy(line, NOTE_PREFIX, sizeof NOTE_PREFIX);
    (void)vsnprintf(line + strlen(NOTE_PREFIX), SANDBOX_LINE_SIZE - strlen(NOTE_PREFIX), format, ap);
}

void sandbox_note(struct sandbox *s, const char *format, ...)
{
    char line[SANDBOX_LINE_SIZE];
    va_list ap;

    va_start(ap, format);
    format_note(line, format, ap);
    va_end(ap);
    add_line(s, line, strlen(line));
}

size_t sandbox_log(const struct sandbox *s, char *out, size_t size)
{
    const char *from = s->log, *end;

    while (s->log_size - (size_t)(from - s->log) > size) {
        end = memchr(from, '\n', s->log_size - (size_t)(from - s->log));
        from = end ? end + 1 : s->log + s->log_size;
    }
    size = s->log_size - (size_t)(from - s->log);
    memcpy(out, from, size);
    return size;
}

uint32_t sandbox_log_revision(const struct sandbox *s)
{
    return s->log_revision;
}

/* The calls ---------------------------------------------------------------- */

printf_like(2, 3) static int32_t deny(struct sandbox *s, const char *format, ...)
{
    char line[SANDBOX_LINE_SIZE];
    va_list ap;

    s->counters.denials++;
    va_start(ap, format);
    format_note(line, format, ap);
    va_end(ap);
    if (strcmp(line, s->last_denial) != 0)
        add_line(s, line, strlen(line));
    memcpy(s->last_denial, line, sizeof line);
    return -1;
}

static bool is_allowed(struct sandbox *s, enum container_syscall id)
{
    if (s->md->syscall_mask & 1u << (id - 1))
        return true;
    (void)deny(s, "denied %s(): the metadata's system calls do not include it", container_syscall_name(id));
    return false;
}

static const struct container_endpoint *find_endpoint(const struct metadata *md, uint32_t id)
{
    for (size_t i = 0; i < md->endpoint_count; i++)
        if (md->endpoints[i].id == id)
            return &md->endpoints[i];
    return NULL;
}

/* 0 when an endpoint leads somewhere, else the result of the denial. */
static int32_t check_peer(struct sandbox *s, const struct container_endpoint *endpoint)
{
    uint32_t id = endpoint->id;

    if (endpoint->peer == ENDPOINT_PEER_REMOTE && !board_has_radio(s->board))
        return deny(s, "denied open(%u): its peer is remote, and this agent has no gateway", id);
    if (endpoint->peer == ENDPOINT_PEER_REMOTE && endpoint->direction == ENDPOINT_IN)
        return deny(s, "denied open(%u): nothing comes in from its remote peer", id);
    if (endpoint->peer == ENDPOINT_PEER_LOCAL && !board_part_name(endpoint->peer_endpoint))
        return deny(s, "denied open(%u): the board has no part %u", id, endpoint->peer_endpoint);
    return 0;
}

static int32_t host_open(void *arg, uint32_t id)
{
    struct sandbox *s = arg;
    const struct container_endpoint *endpoint;

    if (!is_allowed(s, CONTAINER_SYSCALL_OPEN))
        return -1;
    endpoint = find_endpoint(s->md, id);
    if (!endpoint)
        return deny(s, "denied open(%u): the metadata has no such endpoint", id);
    if (check_peer(s, endpoint))
        return -1;
    for (int32_t i = 0; i < SANDBOX_DESCRIPTORS; i++) {
        if (s->open[i])
            continue;
        s->open[i] = endpoint;
        s->counters.calls++;
        return i + 1;
    }
    return deny(s, "denied open(%u): %d descriptors are open already", id, SANDBOX_DESCRIPTORS);
}

/* The endpoint of a descriptor, NULL and a denial when it is not open. */
static const struct container_endpoint *find_open(struct sandbox *s, enum container_syscall id, int32_t fd)
{
    if (fd >= 1 && fd <= SANDBOX_DESCRIPTORS && s->open[fd - 1])
        return s->open[fd - 1];
    (void)deny(s, "denied %s(%d): this descriptor is not open", container_syscall_name(id), fd);
    return NULL;
}

static int32_t host_close(void *arg, int32_t fd)
{
    struct sandbox *s = arg;

    if (!is_allowed(s, CONTAINER_SYSCALL_CLOSE) || !find_open(s, CONTAINER_SYSCALL_CLOSE, fd))
        return -1;
    s->open[fd - 1] = NULL;
    s->counters.calls++;
    return 0;
}

static int32_t receive(struct sandbox *s, const struct container_endpoint *endpoint, uint8_t *out, uint32_t size)
{
    int32_t r = bus_read(&s->member, endpoint->id, out, size);

    if (r < 0)
        return deny(s, "failed read from endpoint %u: the message is larger than %u bytes", endpoint->id, size);
    s->counters.calls++;
    return r;
}

static int32_t host_read(void *arg, int32_t fd, uint8_t *out, uint32_t size)
{
    struct sandbox *s = arg;
    const struct container_endpoint *endpoint;
    int32_t r;

    if (!is_allowed(s, CONTAINER_SYSCALL_READ) || !(endpoint = find_open(s, CONTAINER_SYSCALL_READ, fd)))
        return -1;
    if (endpoint->direction == ENDPOINT_OUT || endpoint->peer == ENDPOINT_PEER_REMOTE)
        return deny(s, "denied read(%d): endpoint %u is for output only", fd, endpoint->id);
    if (endpoint->peer == ENDPOINT_PEER_CONTAINER)
        return receive(s, endpoint, out, size);
    r = board_read(s->board, endpoint->peer_endpoint, out, size);
    if (r < 0)
        return deny(s, "failed read(%d): %u bytes are too few for the %s", fd, size,
                    board_part_name(endpoint->peer_endpoint));
    s->counters.calls++;
    return r;
}

static int32_t send(struct sandbox *s, const struct container_endpoint *endpoint, const uint8_t *data, uint32_t size)
{
    int32_t r = board_send(s->board, s->md->uid, endpoint->id, data, size);

    if (r < 0)
        return deny(s, "failed write to the remote endpoint %u: %u bytes are not taken", endpoint->id, size);
    s->counters.calls++;
    return r;
}

static int32_t send_to_container(struct sandbox *s, const struct container_endpoint *endpoint, const uint8_t *data,
                                 uint32_t size)
{
    const char *why = bus_write(board_bus(s->board), &s->member, endpoint, data, size);

    if (why)
        return deny(s, "failed write to endpoint %u of %s: %s", endpoint->peer_endpoint, endpoint->peer_uid, why);
    s->counters.calls++;
    return (int32_t)size;
}

static int32_t host_write(void *arg, int32_t fd, const uint8_t *data, uint32_t size)
{
    struct sandbox *s = arg;
    const struct container_endpoint *endpoint;
    int32_t r;

    if (!is_allowed(s, CONTAINER_SYSCALL_WRITE) || !(endpoint = find_open(s, CONTAINER_SYSCALL_WRITE, fd)))
        return -1;
    if (endpoint->direction == ENDPOINT_IN)
        return deny(s, "denied write(%d): endpoint %u is for input only", fd, endpoint->id);
    if (endpoint->peer == ENDPOINT_PEER_REMOTE)
        return send(s, endpoint, data, size);
    if (endpoint->peer == ENDPOINT_PEER_CONTAINER)
        return send_to_container(s, endpoint, data, size);
    r = board_write(s->board, endpoint->peer_endpoint, data, size);
    if (r < 0)
        return deny(s, "failed write(%d): the %s does not take %u bytes", fd, board_part_name(endpoint->peer_endpoint),
                    size);
    s->counters.calls++;
    return r;
}

static void host_heartbeat(void *arg)
{
    struct sandbox *s = arg;

    if (!is_allowed(s, CONTAINER_SYSCALL_HEARTBEAT))
        return;
    s->counters.heartbeats++;
    s->counters.calls++;
}

struct sandbox *sandbox_new(const struct metadata *md, struct board *board)
{
    struct sandbox *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->md = md;
    s->board = board;
    s->host = (struct runtime_host){
        .arg = s,
        .log = log_line,
        .open = host_open,
        .close = host_close,
        .read = host_read,
        .write = host_write,
        .heartbeat = host_heartbeat,
    };
    bus_join(board_bus(board), &s->member, md);
    return s;
}

struct sandbox *sandbox_free(struct sandbox *s)
{
    if (s)
        bus_leave(board_bus(s->board), &s->member);
    free(s);
    return NULL;
}

const struct runtime_host *sandbox_host(const struct sandbox *s)
{
    return &s->host;
}

void sandbox_begin(struct sandbox *s)
{
    memset(s->open, 0, sizeof s->open);
    s->last_denial[0] = '\0';
    bus_listen(&s->member, true);
}

void sandbox_end(struct sandbox *s)
{
    bus_listen(&s->member, false);
}

struct sandbox_counters sandbox_counters(const struct sandbox *s)
{
    return s->counters;
}
