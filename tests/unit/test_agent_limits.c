/* What a device has: memory, a flash that fails, runtimes, and reboots. */
#include "agent/sandbox.h"
#include "agent_fixture.h"
#include "suite.h"

#include <string.h>

static struct fixture *limited(const struct device_options *limits)
{
    struct device_options options = *limits;

    options.kind = DEVICE_V2;
    options.slots = 3;
    options.package_max = 65536;
    return fixture_new_with(&options, 1204);
}

START_TEST(test_memory_holds_so_many_packages)
{
    struct fixture *f = limited(&(struct device_options){.memory = 1024});
    uint64_t room;

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    room = fixture_map_uint(f, 7);
    ck_assert_uint_lt(room, 1024 - 400);
    ck_assert_uint_eq(fixture_load(f, "b", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_load(f, "c", code_runs), COAPMSG_TOO_LARGE);
    ck_assert_ptr_nonnull(coapmsg_find(&f->answer, COAPMSG_OPT_SIZE1));
    ck_assert_uint_eq(fixture_load(f, "b", code_ends), COAPMSG_CHANGED); /* in the place of the old one */
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_DELETE, "/tc/c/a", NULL), COAPMSG_DELETED);
    ck_assert_uint_eq(fixture_load(f, "c", code_runs), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

/* One page of 64 KiB. */
static const uint8_t wasm_page[] = {0x00, 'a', 's', 'm', 1, 0, 0,  0, 1, 5, 1, 0x60, 0, 1,
                                    0x7f, 3,   2,   1,   0, 5, 3,  1, 0, 1, 7, 8,    1, 4,
                                    'l',  'o', 'o', 'p', 0, 0, 10, 6, 1, 4, 0, 0x41, 0, 0x0b};

START_TEST(test_what_packages_leave_is_for_those_that_run)
{
    const struct code page = {wasm_page, sizeof wasm_page};
    struct fixture *f = limited(&(struct device_options){.memory = 65536});

    ck_assert_uint_eq(fixture_load(f, "a", page), COAPMSG_UNPROCESSABLE);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    fixture_end(f);
    f = limited(&(struct device_options){.memory = 65536 + 1000});
    ck_assert_uint_eq(fixture_load(f, "a", page), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/a", "start"), COAPMSG_CHANGED);
    fixture_end(f);
}
END_TEST

START_TEST(test_flash_fails)
{
    struct fixture *f = limited(&(struct device_options){.flash_fail_rate = 100});

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_INTERNAL_ERROR);
    ck_assert_int_eq(memcmp(f->answer.payload, "the flash", 9), 0);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "the flash could not be written"), 1);
    fixture_end(f);
    f = limited(&(struct device_options){.flash_fail_rate = 50});
    for (unsigned i = 0, failed = 0, fine = 0; !failed || !fine; i++) {
        uint8_t code = fixture_load(f, "a", i % 2 ? code_runs : code_ends);

        failed += code == COAPMSG_INTERNAL_ERROR;
        fine += code == COAPMSG_CREATED || code == COAPMSG_CHANGED;
        ck_assert_uint_lt(i, 100);
    }
    fixture_end(f);
}
END_TEST

START_TEST(test_runtimes)
{
    struct fixture *f = limited(&(struct device_options){.runtimes = 1u << CONTAINER_TYPE_RBPF});

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_UNPROCESSABLE);
    ck_assert_uint_eq(fixture_journal_count(f, "\"load\"", "no runtime for containers of type wasm"), 1);
    fixture_end(f);
}
END_TEST

static struct fixture *rebooting(enum device_kind kind, bool forgets)
{
    struct agent_options options = {.device = {.kind = kind, .slots = 3, .package_max = 65536}, .pdu_size = 1204};

    options.reboot_ms = 1000;
    options.forgets = forgets;
    return fixture_new_agent(&options);
}

START_TEST(test_reboot_keeps_or_forgets)
{
    struct fixture *f = rebooting(DEVICE_V2, false);

    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/a", "start"), COAPMSG_CHANGED);
    fixture_pass(f, 400);
    ck_assert_int_eq(fixture_v2_state(f, "a"), CONTAINER_RUNNING);
    fixture_pass(f, 1200);
    ck_assert_int_eq(fixture_v2_state(f, "a"), CONTAINER_INSTALLED);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_GET, "/tc", NULL), COAPMSG_CONTENT);
    ck_assert_uint_ge(fixture_map_uint(f, 9), 2);
    ck_assert_uint_eq(fixture_ask(f, COAPMSG_POST, "/tc/c/a", "start"), COAPMSG_CHANGED);
    fixture_end(f);
    f = rebooting(DEVICE_V2, true);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    fixture_pass(f, 1600);
    ck_assert_int_eq(fixture_v2_state(f, "a"), -1);
    fixture_end(f);
    f = rebooting(DEVICE_V1, false);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    fixture_pass(f, 1600);
    ck_assert_uint_eq(fixture_load(f, "a", code_runs), COAPMSG_CREATED);
    fixture_end(f);
}
END_TEST

/* Containers that talk to each other ------------------------------------------------------------------------------- */

#define CALLS                                                                                                          \
    (1u << (CONTAINER_SYSCALL_OPEN - 1) | 1u << (CONTAINER_SYSCALL_READ - 1) | 1u << (CONTAINER_SYSCALL_WRITE - 1))

struct half {
    struct metadata md;
    struct sandbox *sandbox;
    const struct runtime_host *host;
    int32_t fd;
};

static struct half half(const char *uid, const struct container_endpoint *endpoint)
{
    struct half h = {.md = {.syscall_mask = CALLS, .endpoint_count = 1}};

    (void)snprintf(h.md.uid, sizeof h.md.uid, "%s", uid);
    h.md.endpoints[0] = *endpoint;
    return h;
}

static void begin(struct half *h, struct board *board)
{
    h->sandbox = sandbox_new(&h->md, board);
    h->host = sandbox_host(h->sandbox);
    sandbox_begin(h->sandbox);
    h->fd = h->host->open(h->host->arg, h->md.endpoints[0].id);
    ck_assert_int_ge(h->fd, 1);
}

START_TEST(test_messages_between_containers)
{
    static const struct container_endpoint out = {.id = 1,
                                                  .peer_uid = "b",
                                                  .peer_endpoint = 2,
                                                  .direction = ENDPOINT_OUT},
                                           in = {
                                               .id = 2, .peer_uid = "a", .peer_endpoint = 1, .direction = ENDPOINT_IN};
    struct clock_manual clock;
    cleanup_board struct board *board = NULL;
    struct half a, b;
    uint8_t bytes[BUS_MESSAGE_MAX + 1] = {0};

    clock_manual_init(&clock, 0, 0);
    board = board_new(&clock.clock, 0);
    a = half("a", &out);
    b = half("b", &in);
    begin(&a, board);
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, 1), -1); /* it is not there */
    begin(&b, board);
    ck_assert_int_eq(b.host->read(b.host->arg, b.fd, bytes, sizeof bytes), 0);
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, (const uint8_t *)"one", 3), 3);
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, (const uint8_t *)"second", 6), 6);
    ck_assert_int_eq(b.host->read(b.host->arg, b.fd, bytes, 2), -1); /* messages stay whole */
    ck_assert_int_eq(b.host->read(b.host->arg, b.fd, bytes, sizeof bytes), 3);
    ck_assert_int_eq(memcmp(bytes, "one", 3), 0);
    ck_assert_int_eq(b.host->write(b.host->arg, b.fd, bytes, 1), -1); /* its direction */
    for (unsigned i = 1; i < BUS_QUEUE; i++)
        ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, BUS_MESSAGE_MAX), BUS_MESSAGE_MAX);
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, 1), -1); /* full */
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, BUS_MESSAGE_MAX + 1), -1);
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, 0), -1);
    sandbox_end(b.sandbox);
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, 1), -1);
    sandbox_begin(b.sandbox);
    b.fd = b.host->open(b.host->arg, 2);
    ck_assert_int_eq(b.host->read(b.host->arg, b.fd, bytes, sizeof bytes), 0); /* nothing is left over */
    b.md.endpoints[0].peer_endpoint = 7;                                       /* the other half is another one */
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, 1), -1);
    b.md.endpoints[0] = in;
    (void)snprintf(b.md.endpoints[0].peer_uid, sizeof b.md.endpoints[0].peer_uid, "c");
    ck_assert_int_eq(a.host->write(a.host->arg, a.fd, bytes, 1), -1);
    sandbox_free(a.sandbox);
    sandbox_free(b.sandbox);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent limits");
    TCase *tc = tcase_create("limits");

    tcase_add_test(tc, test_memory_holds_so_many_packages);
    tcase_add_test(tc, test_what_packages_leave_is_for_those_that_run);
    tcase_add_test(tc, test_flash_fails);
    tcase_add_test(tc, test_runtimes);
    tcase_add_test(tc, test_reboot_keeps_or_forgets);
    tcase_add_test(tc, test_messages_between_containers);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
