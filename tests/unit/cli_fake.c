#include "config.h"

#include "cli_fake.h"
#include "suite.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/display.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define WALL_MS 1767323045678 /* 2026-01-02T03:04:05.678Z */
#define MAX_REQUESTS 64
#define MAX_WORDS 48

char fake_directory[64], fake_socket[96];
struct fake_run fake_result;

static struct {
    const struct fake_step *script;
    size_t next;
    int listener, stop[2];
    char keys[MAX_REQUESTS][40];
    char complaint[512]; /* the first thing that was not as the script says */
} fake;

static int64_t system_monotonic(const struct clock *clock)
{
    (void)clock;
    return clock_monotonic_ms(clock_system());
}

static int64_t fixed_wall(const struct clock *clock)
{
    (void)clock;
    return WALL_MS;
}

static const struct clock fake_clock = {system_monotonic, fixed_wall};

void fake_setup(void)
{
    (void)snprintf(fake_directory, sizeof fake_directory, "/tmp/tcgw-cli-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fake_directory));
    (void)snprintf(fake_socket, sizeof fake_socket, "%s/s", fake_directory);
    (void)unsetenv("TCGW_SOCKET");
    (void)unsetenv("TCGW_URL");
    (void)unsetenv("NO_COLOR");
    (void)setenv("TERM", "xterm", 1);
    cli_interrupted = 0;
    fake_result = (struct fake_run){0};
    display_init();
}

void fake_teardown(void)
{
    char command[96];

    (void)snprintf(command, sizeof command, "rm -rf %s", fake_directory);
    ck_assert_int_eq(system(command), 0);
    free(fake_result.out);
    free(fake_result.err);
    fake_result = (struct fake_run){0};
}

const char *fake_file(const char *name, const void *content, size_t size)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    FILE *file;

    (void)snprintf(path, sizeof paths[0], "%s/%s", fake_directory, name);
    file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

const char *fake_key(size_t request)
{
    return fake.keys[request];
}

/* Bytes from a connection, or the end of it, or of the test. */
static bool receive(int fd, struct buffer *b)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = fake.stop[0], .events = POLLIN}};
    uint8_t *to = buffer_reserve(b, 4096);
    ssize_t n;

    if (!to || poll(fds, 2, -1) < 0 || fds[1].revents)
        return false;
    n = recv(fd, to, 4096, 0);
    if (n <= 0)
        return false;
    b->size += (size_t)n;
    to[n] = 0;
    return true;
}

/* The whole of one request; false at the end of the connection. */
static bool receive_request(int fd, struct buffer *b)
{
    const char *end, *length;

    while (!(end = strstr(buffer_text(b), "\r\n\r\n")))
        if (!receive(fd, b))
            return false;
    length = strcasestr(buffer_text(b), "\r\nContent-Length:");
    if (length && length < end) {
        size_t whole = (size_t)(end + 4 - buffer_text(b)) + strtoul(length + 17, NULL, 10);

        while (b->size < whole)
            if (!receive(fd, b))
                return false;
    }
    return true;
}

static void complain(const char *what, const char *expected, const char *request)
{
    if (!*fake.complaint)
        (void)snprintf(fake.complaint, sizeof fake.complaint, "%s (expected: %.120s):\n%.300s", what, expected,
                       request);
}

static bool contains(const struct buffer *b, const char *what)
{
    return memmem(b->data, b->size, what, strlen(what)) != NULL;
}

static void check_request(const struct fake_step *step, const struct buffer *b)
{
    const char *text = buffer_text(b), *key = strstr(text, "Idempotency-Key: ");

    if (key && fake.next < MAX_REQUESTS)
        (void)snprintf(fake.keys[fake.next], sizeof fake.keys[0], "%.36s", key + strlen("Idempotency-Key: "));
    if (!step->request)
        complain("more requests than the script has", "none", text);
    else if (strncmp(text, step->request, strlen(step->request)) != 0)
        complain("another request", step->request, text);
    else if (step->contains && !contains(b, step->contains))
        complain("the request lacks something", step->contains, text);
}

static void answer(int fd, const struct fake_step *step)
{
    cleanup_buffer struct buffer b = {0};
    const char *type = step->type ? step->type : step->status >= 400 ? "application/problem+json" : "application/json";
    const char *body = step->body ? step->body : "";

    buffer_printf(&b, "HTTP/1.1 %d X\r\n", step->status ? step->status : 500);
    if (step->status != 204)
        buffer_printf(&b, "Content-Type: %s; charset=utf-8\r\nContent-Length: %zu\r\n", type, strlen(body));
    buffer_printf(&b, "%s\r\n%s", step->head ? step->head : "", step->status == 204 ? "" : body);
    (void)send(fd, b.data, b.size, MSG_NOSIGNAL);
}

static void serve(int fd)
{
    for (;;) {
        cleanup_buffer struct buffer b = {0};
        const struct fake_step *step = &fake.script[fake.next];

        if (!receive_request(fd, &b))
            return;
        check_request(step, &b);
        if (step->request)
            fake.next++;
        if (step->action == FAKE_CLOSE)
            return;
        if (step->action == FAKE_INTERRUPT)
            cli_interrupted = 1;
        if (step->action != FAKE_SILENCE)
            answer(fd, step);
    }
}

static void *run_server(void *arg)
{
    (void)arg;
    for (;;) {
        struct pollfd fds[] = {{.fd = fake.listener, .events = POLLIN}, {.fd = fake.stop[0], .events = POLLIN}};
        int fd;

        if (poll(fds, 2, -1) < 0 || fds[1].revents)
            return NULL;
        fd = accept(fake.listener, NULL, NULL);
        if (fd >= 0) {
            serve(fd);
            (void)close(fd);
        }
    }
}

static void start(pthread_t *thread, const struct fake_step *script)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(&fake, 0, sizeof fake);
    fake.script = script;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fake_socket);
    (void)unlink(fake_socket);
    fake.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fake.listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fake.listener, 8), 0);
    ck_assert_int_eq(pipe(fake.stop), 0);
    ck_assert_int_eq(pthread_create(thread, NULL, run_server, NULL), 0);
}

static void stop(pthread_t thread)
{
    ck_assert_int_eq(write(fake.stop[1], "x", 1), 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)close(fake.listener);
    (void)close(fake.stop[0]);
    (void)close(fake.stop[1]);
}

static void run(const char *line)
{
    char *copy = strdup(line), *rest = copy, *word, *argv[MAX_WORDS] = {"tcgw", "--socket", fake_socket};
    struct cli cli = {
        .clock = &fake_clock, .out_terminal = fake_result.out_terminal, .err_terminal = fake_result.err_terminal};
    size_t out_size, err_size;
    int argc = getenv("TCGW_SOCKET") || getenv("TCGW_URL") ? 1 : 3;

    while ((word = strsep(&rest, " ")) && argc < MAX_WORDS - 1)
        if (*word)
            argv[argc++] = word;
    free(fake_result.out);
    free(fake_result.err);
    cli.out = open_memstream(&fake_result.out, &out_size);
    cli.err = open_memstream(&fake_result.err, &err_size);
    fake_result.code = cli_run(&cli, argc, argv);
    (void)fclose(cli.out);
    (void)fclose(cli.err);
    free(copy);
}

void fake_run(const struct fake_step *script, const char *line)
{
    static const struct fake_step nothing[] = {{0}};
    pthread_t thread;

    start(&thread, script ? script : nothing);
    run(line);
    stop(thread);
    ck_assert_msg(!*fake.complaint, "tcgw %s: %s", line, fake.complaint);
    ck_assert_msg(!fake.script[fake.next].request, "tcgw %s: a request is missing: %s\n%s", line,
                  fake.script[fake.next].request, fake_result.err);
}

void fake_expect(const struct fake_step *script, const char *line, int code)
{
    fake_run(script, line);
    ck_assert_msg(fake_result.code == code, "tcgw %s: exit code %d, not %d\n%s", line, fake_result.code, code,
                  fake_result.err);
}

void fake_one(const char *request, int status, const char *body, const char *line, int code)
{
    struct fake_step script[] = {{.request = request, .status = status, .body = body}, {0}};

    fake_expect(script, line, code);
}

int fake_run_tests(const char *name, const TTest *const *tests, size_t count)
{
    TCase *tc = tcase_create(name);
    Suite *suite = suite_create(name);

    tcase_add_checked_fixture(tc, fake_setup, fake_teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
