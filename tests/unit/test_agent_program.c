/* The program itself on real sockets: its ready line, its signals, many devices, IPv6, a socket that waits. */
#include "base/buffer.h"
#include "base/text.h"
#include "suite.h"
#include "tcgw/coapmsg.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_ARGS 16
#define WAIT_MS 5000

struct program {
    pid_t pid;
    FILE *out;
    char ready[128];
    unsigned port;
};

static const char *program_path(void)
{
    static char path[512];
    const char *build = getenv("TCGW_BUILD");

    (void)snprintf(path, sizeof path, "%s/tcagent", build ? build : ".");
    return path;
}

/* Starts tcagent with arguments divided at blanks. */
static void spawn(struct program *p, const char *line)
{
    static char copy[512];
    char *argv[MAX_ARGS] = {"tcagent"}, *save;
    int argc = 1, ends[2];

    ck_assert(text_copy(copy, sizeof copy, line));
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    ck_assert_int_eq(pipe(ends), 0);
    p->pid = fork();
    ck_assert_int_ge(p->pid, 0);
    if (p->pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)execv(program_path(), argv);
        _exit(127);
    }
    (void)close(ends[1]);
    p->out = fdopen(ends[0], "r");
    ck_assert_ptr_nonnull(p->out);
}

static void start(struct program *p, const char *line)
{
    const char *colon;

    spawn(p, line);
    ck_assert_ptr_nonnull(fgets(p->ready, sizeof p->ready, p->out));
    ck_assert_int_eq(strncmp(p->ready, "tcagent ready ", 14), 0);
    colon = strrchr(p->ready, ':');
    ck_assert_ptr_nonnull(colon);
    p->port = (unsigned)strtoul(colon + 1, NULL, 10);
}

static int wait_exit(struct program *p)
{
    int status;

    ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
    (void)fclose(p->out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void stop(struct program *p)
{
    ck_assert_int_eq(kill(p->pid, SIGTERM), 0);
    ck_assert_int_eq(wait_exit(p), 0);
}

static int connected(const char *address, unsigned port)
{
    struct timeval limit = {WAIT_MS / 1000, 0};
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to = {0};
    bool v6 = strchr(address, ':') != NULL;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_ge(fd, 0);
    if (v6) {
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_port = htons((uint16_t)port);
        ck_assert_int_eq(inet_pton(AF_INET6, address, &to.v6.sin6_addr), 1);
    } else {
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = htons((uint16_t)port);
        ck_assert_int_eq(inet_pton(AF_INET, address, &to.v4.sin_addr), 1);
    }
    ck_assert_int_eq(connect(fd, &to.any, v6 ? sizeof to.v6 : sizeof to.v4), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    return fd;
}

static void send_get(int fd, uint16_t id, const char *path)
{
    struct coapmsg msg;
    uint8_t data[256];
    size_t size;

    coapmsg_init(&msg, COAPMSG_CON, COAPMSG_GET);
    msg.id = id;
    coapmsg_add_path(&msg, path);
    size = coapmsg_encode(&msg, data, sizeof data);
    ck_assert_int_eq(send(fd, data, size, 0), (ssize_t)size);
}

/* The code of the next answer, which must be for this id. */
static uint8_t receive(int fd, uint16_t id)
{
    struct coapmsg msg;
    uint8_t data[2048];
    ssize_t n = recv(fd, data, sizeof data, 0);

    ck_assert_msg(n > 0, "no answer: %s", strerror(errno));
    ck_assert_int_eq(coapmsg_decode(&msg, data, (size_t)n), 0);
    ck_assert_uint_eq(msg.id, id);
    ck_assert_int_eq(msg.type, COAPMSG_ACK);
    return msg.code;
}

START_TEST(test_many_devices_answer)
{
    struct program p;
    int last;

    start(&p, "--port 0 --count 50");
    last = atoi(strstr(p.ready, " ..") + 3);
    ck_assert_int_eq(last, (int)p.port + 49);
    for (unsigned i = 0; i < 50; i++) {
        int fd = connected("127.0.0.1", p.port + i);

        send_get(fd, (uint16_t)i, "/tc");
        ck_assert_uint_eq(receive(fd, (uint16_t)i), COAPMSG_CONTENT);
        (void)close(fd);
    }
    stop(&p);
}
END_TEST

/* More than fits a batch at once. */
START_TEST(test_burst)
{
    struct program p;
    int fd;

    start(&p, "--port 0 --agent v1");
    fd = connected("127.0.0.1", p.port);
    for (uint16_t i = 0; i < 100; i++)
        send_get(fd, i, "/.well-known/core");
    for (uint16_t i = 0; i < 100; i++)
        ck_assert_uint_eq(receive(fd, i), COAPMSG_CONTENT);
    (void)close(fd);
    stop(&p);
}
END_TEST

START_TEST(test_ipv6)
{
    struct program p;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) < 0) {
        (void)fprintf(stderr, "skipped: this machine has no IPv6\n");
        return;
    }
    (void)close(fd);
    start(&p, "--port 0 --listen ::1");
    ck_assert_int_eq(strncmp(p.ready, "tcagent ready [::1]:", 20), 0);
    fd = connected("::1", p.port);
    send_get(fd, 1, "/tc/c");
    ck_assert_uint_eq(receive(fd, 1), COAPMSG_CONTENT);
    (void)close(fd);
    stop(&p);
}
END_TEST

/* A datagram of exactly the largest size is answered, one beyond any buffer is dropped and does no harm. */
START_TEST(test_large_datagrams)
{
    static uint8_t data[20000] = {0x40, COAPMSG_GET, 0, 7, 0xff};
    struct program p;
    int fd;

    memset(data + 5, 'x', sizeof data - 5);
    start(&p, "--port 0 --pdu-size 8192");
    fd = connected("127.0.0.1", p.port);
    ck_assert_int_eq(send(fd, data, sizeof data, 0), sizeof data);
    ck_assert_int_eq(send(fd, data, 8193, 0), 8193);
    data[3] = 8;
    ck_assert_int_eq(send(fd, data, 8192, 0), 8192);
    ck_assert_uint_eq(receive(fd, 8), COAPMSG_NOT_FOUND);
    (void)close(fd);
    stop(&p);
}
END_TEST

/* Waits until the file holds a text. */
static bool file_gets(const char *path, const char *text)
{
    const struct timespec step = {.tv_nsec = 10000000};

    for (int i = 0; i < WAIT_MS / 10; i++) {
        cleanup_fclose FILE *file = fopen(path, "r");
        char content[4096] = "";

        if (file && fread(content, 1, sizeof content - 1, file) && strstr(content, text))
            return true;
        (void)nanosleep(&step, NULL);
    }
    return false;
}

START_TEST(test_signals_and_journal)
{
    char path[] = "/tmp/tcgw-test-program-XXXXXX", line[128];
    struct program p;

    (void)close(mkstemp(path));
    (void)snprintf(line, sizeof line, "--port 0 --journal %s", path);
    start(&p, line);
    ck_assert_int_eq(kill(p.pid, SIGUSR1), 0);
    ck_assert(file_gets(path, "\"event\":\"restart\""));
    ck_assert_int_eq(kill(p.pid, SIGINT), 0);
    ck_assert_int_eq(wait_exit(&p), 0);
    (void)remove(path);
}
END_TEST

START_TEST(test_failures_to_start)
{
    struct program p, q;
    char line[64];

    spawn(&p, "--nonsense");
    ck_assert_int_eq(wait_exit(&p), 2);
    spawn(&p, "--port 0 --journal /nowhere/journal");
    ck_assert_int_eq(wait_exit(&p), 1);
    start(&p, "--port 0");
    (void)snprintf(line, sizeof line, "--port %u", p.port);
    spawn(&q, line); /* the port is in use */
    ck_assert_int_eq(wait_exit(&q), 1);
    stop(&p);
    spawn(&p, "--version");
    ck_assert_ptr_nonnull(fgets(p.ready, sizeof p.ready, p.out));
    ck_assert_int_eq(strncmp(p.ready, "tcagent ", 8), 0);
    ck_assert_int_eq(wait_exit(&p), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tcagent");
    TCase *tc = tcase_create("program");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_many_devices_answer);
    tcase_add_test(tc, test_burst);
    tcase_add_test(tc, test_ipv6);
    tcase_add_test(tc, test_large_datagrams);
    tcase_add_test(tc, test_signals_and_journal);
    tcase_add_test(tc, test_failures_to_start);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
