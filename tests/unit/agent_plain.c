#include "agent_plain.h"

#include <string.h>

#define GATEWAY_PORT 40000

struct fixture *plain_new(const struct agent_options *options)
{
    struct agent_options all = *options;

    all.device.kind = DEVICE_V2;
    all.device.slots = 3;
    all.device.package_max = 65536;
    all.pdu_size = 1204;
    all.traffic.count = 1;
    all.traffic.gateway = fixture_peer(GATEWAY_PORT);
    return fixture_new_agent(&all);
}

void plain_pass(struct fixture *f, int64_t ms)
{
    f->sent_count = 0;
    fixture_pass(f, ms);
}

int64_t plain_wait(struct fixture *f, int64_t ms)
{
    int64_t waited = 0;

    f->sent_count = 0;
    for (; waited < ms && !f->sent_count; waited++)
        fixture_pass(f, 1);
    return waited;
}

bool plain_take(struct fixture *f)
{
    for (unsigned i = f->sent_count; i > 0; i--)
        if (coapmsg_decode(&f->answer, f->sent[i - 1].data, f->sent[i - 1].size) == 0 &&
            COAPMSG_CLASS(f->answer.code) == 0 && f->answer.code)
            return true;
    return false;
}

void plain_expect(struct fixture *f, uint8_t method, const char *path)
{
    ck_assert_msg(plain_take(f), "no request, but %s was expected", path);
    ck_assert_uint_eq(f->answer.code, method);
    ck_assert_msg(coapmsg_path_is(&f->answer, path), "not a request for %s", path);
}

bool plain_has_query(const struct fixture *f, const char *query)
{
    const struct coapmsg_option *option = coapmsg_find(&f->answer, COAPMSG_OPT_URI_QUERY);

    for (; option; option = coapmsg_find_next(&f->answer, option))
        if (option->length == strlen(query) && memcmp(option->value, query, option->length) == 0)
            return true;
    return false;
}

bool plain_contains(const struct fixture *f, const char *text)
{
    size_t size = strlen(text);

    for (size_t i = 0; i + size <= f->answer.payload_size; i++)
        if (memcmp(f->answer.payload + i, text, size) == 0)
            return true;
    return false;
}

void plain_reply(struct fixture *f, struct coapmsg *reply, uint8_t code)
{
    reply->type = COAPMSG_ACK;
    reply->code = code;
    reply->id = f->answer.id;
    coapmsg_set_token(reply, f->answer.token, f->answer.token_length);
    fixture_send(f, reply);
}

void plain_reply_code(struct fixture *f, uint8_t code)
{
    struct coapmsg reply;

    coapmsg_init(&reply, COAPMSG_ACK, code);
    plain_reply(f, &reply, code);
}
