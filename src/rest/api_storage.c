#include "rest/api.h"
#include "rest/reply.h"
#include "rest/state.h"
#include "store/chore.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Backup, integrity and size of the database: work of the store's own thread. */

static void refuse(struct http_request *req, int result, const char *what)
{
    if (req->answered)
        return;
    if (result == -EBUSY)
        reply_problem(req, FAULT_CONFLICT, "Another backup or check is under way");
    else if (result == -ENOSPC)
        reply_problem(req, FAULT_STORAGE_FULL, "There is not enough space in the state directory for %s", what);
    else
        reply_problem(req, FAULT_STORAGE_FAILED, "It failed: %s", strerror(-result));
}

static void started(struct http_request *req, int result, const char *what)
{
    if (result == 0)
        return;
    refuse(req, result, what);
    http_release(req);
}

static void backed_up(void *arg, int result, const char *path, uint64_t size)
{
    struct http_request *req = arg;
    int fd = result == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0) {
        refuse(req, result < 0 ? result : -errno, "a copy of the database");
    } else if (req->answered) {
        (void)close(fd);
    } else {
        http_add(req, "Content-Disposition", "attachment; filename=\"tcgw.backup\"");
        reply_file(req, HTTP_OCTETS, fd, size);
    }
    http_release(req);
}

void api_make_backup(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    http_hold(req);
    started(req, store_backup(req->rest->options.store, backed_up, req), "a copy of the database");
}

static void checked(void *arg, int result, const char *verdict)
{
    struct http_request *req = arg;

    if (result < 0)
        refuse(req, result, "a check");
    else if (!req->answered)
        reply_json(req, 200, json_pack("{s:b, s:s}", "ok", strcmp(verdict, "ok") == 0, "verdict", verdict));
    http_release(req);
}

void api_check_database(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    http_hold(req);
    started(req, store_check(req->rest->options.store, checked, req), "a check");
}

static void compacted(void *arg, int result, const struct store_pages *pages)
{
    struct http_request *req = arg;

    if (result < 0)
        refuse(req, result, "that");
    else if (!req->answered)
        reply_json(req, 200,
                   json_pack("{s:I, s:I}", "free_bytes", (json_int_t)pages->left * (json_int_t)pages->size, "page_size",
                             (json_int_t)pages->size));
    http_release(req);
}

void api_compact_database(struct http_request *req)
{
    http_add(req, "Cache-Control", "no-store");
    http_hold(req);
    started(req, store_compact(req->rest->options.store, compacted, req), "that");
}
