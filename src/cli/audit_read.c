#include "base/text.h"
#include "cli/audit.h"
#include "cli/gateway.h"
#include "cli/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lines of an audit trail, from a gateway and from files. */

static json_int_t seq_of(const json_t *object)
{
    return json_integer_value(json_object_get(object, "seq"));
}

static bool give(audit_line_fn line, void *arg, json_t *object)
{
    bool more = object && line(arg, object);

    json_decref(object);
    return more;
}

/* The anchors of a page from *at on, up to a number. */
static bool give_anchors(const json_t *anchors, size_t *at, json_int_t until, audit_line_fn line, void *arg)
{
    const json_t *anchor;

    while ((anchor = json_array_get(anchors, *at)) && seq_of(anchor) <= until) {
        ++*at;
        if (!give(line, arg, json_pack("{s:O}", "anchor", anchor)))
            return false;
    }
    return true;
}

static bool give_page(const json_t *page, json_int_t until, audit_line_fn line, void *arg)
{
    const json_t *anchors = json_object_get(page, "anchors"), *item;
    size_t i, at = 0;

    json_array_foreach(json_object_get(page, "items"), i, item)
    {
        if (seq_of(item) > until)
            return give_anchors(anchors, &at, until, line, arg);
        if (!give_anchors(anchors, &at, seq_of(item) - 1, line, arg) || !line(arg, item))
            return false;
    }
    return give_anchors(anchors, &at, until, line, arg);
}

/* Entries that are made while they are read are left out: what is read ends with its anchor. */
int audit_read_gateway(struct cli *cli, audit_line_fn line, void *arg)
{
    cleanup_json json_t *anchor = NULL;
    char cursor[32] = "0";
    bool more = true;
    int rc = gateway_get(cli, client_path("/v1/audit/anchor"), &anchor);

    if (rc)
        return rc;
    more = give(line, arg, json_pack("{s:i, s:s}", "tcgw_audit", 1, "public_key", view_string(anchor, "public_key")));
    while (more) {
        cleanup_json json_t *page = NULL;
        char *path = client_path("/v1/audit");

        client_add_query(&path, "limit", "1000");
        client_add_query(&path, "cursor", cursor);
        rc = gateway_get(cli, path, &page);
        if (rc)
            return rc;
        more = give_page(page, seq_of(anchor), line, arg) && *view_string(page, "next") &&
               text_copy(cursor, sizeof cursor, view_string(page, "next")) && atoll(cursor) < seq_of(anchor);
    }
    (void)json_object_del(anchor, "public_key");
    (void)give(line, arg, json_pack("{s:O}", "anchor", anchor));
    return 0;
}

bool audit_is_database(const char *path)
{
    char head[16] = "";
    FILE *file = fopen(path, "rbe");
    bool is = file && fread(head, 1, sizeof head, file) == sizeof head && memcmp(head, "SQLite format 3", 16) == 0;

    if (file)
        (void)fclose(file);
    return is;
}

int audit_read_file(struct cli *cli, const char *path, audit_line_fn line, void *arg)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool more = true;
    size_t number = 0;
    int rc = 0;

    if (!file)
        return cli_error(cli, CLI_INVALID, NULL, "%s cannot be read: %s", path, strerror(errno));
    while (more && !rc) {
        json_error_t error;
        json_t *object = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);

        number++;
        if (object)
            more = give(line, arg, object);
        else if (feof(file) && error.position <= 1 && json_error_code(&error) == json_error_premature_end_of_input)
            more = false;
        else
            rc = cli_error(cli, CLI_FAILED, NULL, "line %zu of %s is no JSON: it was changed or cut off", number, path);
    }
    if (file != stdin)
        (void)fclose(file);
    return rc;
}
