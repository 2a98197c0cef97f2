#include "coap/endpoint_libcoap_private.h"

#include "base/log.h"
#include "base/text.h"

#include <string.h>

/* Messages and libcoap's forms of them. */

static void handle_log(coap_log_t level, const char *message)
{
    char line[512];

    (void)level;
    (void)text_copy(line, sizeof line, message);
    line[strcspn(line, "\n")] = 0;
    log_debug(line, "from", "libcoap", NULL);
}

/* At its debug level libcoap prints whole messages, to standard output besides. */
void libcoap_follow_log_level(void)
{
    int level = log_enabled(LOG_LEVEL_DEBUG) ? LOG_INFO : LOG_EMERG;

    coap_set_log_level((coap_log_t)level);
    coap_dtls_set_log_level(level);
}

static int take_random(void *out, size_t size)
{
    return endpoint_random(out, size);
}

void libcoap_start(void)
{
    coap_startup();
    coap_set_prng(take_random);
    coap_set_log_handler(handle_log);
    libcoap_follow_log_level();
}

void libcoap_view(struct coapmsg *msg, const coap_pdu_t *pdu)
{
    coap_bin_const_t token = coap_pdu_get_token(pdu);
    coap_opt_iterator_t iterator;
    const uint8_t *payload;
    coap_opt_t *option;
    size_t size;

    coapmsg_init(msg, (enum coapmsg_type)coap_pdu_get_type(pdu), (uint8_t)coap_pdu_get_code(pdu));
    msg->id = (uint16_t)coap_pdu_get_mid(pdu);
    coapmsg_set_token(msg, token.s, token.length);
    coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
    while ((option = coap_option_next(&iterator)))
        coapmsg_add(msg, iterator.number, coap_opt_value(option), coap_opt_length(option));
    if (coap_get_data(pdu, &size, &payload))
        coapmsg_set_payload(msg, payload, size);
}

/* libcoap would wait here for the CSM of a connection that is not ready, which blocks the loop. */
static size_t message_max(const struct link *link)
{
    if (!link->reliable)
        return LIBCOAP_UNRELIABLE_MAX;
    return link->ready ? coap_session_max_pdu_size(link->session) : LIBCOAP_BASE_MAX;
}

coap_pdu_t *libcoap_make_pdu(const struct link *link, const struct coapmsg *msg)
{
    coap_pdu_t *pdu = coap_pdu_init((coap_pdu_type_t)msg->type, (coap_pdu_code_t)msg->code,
                                    link->reliable ? 0 : msg->id, message_max(link));
    bool ok = pdu && !msg->failed && coap_add_token(pdu, msg->token_length, msg->token);

    for (size_t i = 0; ok && i < msg->option_count; i++) {
        const struct coapmsg_option *option = &msg->options[i];

        ok = coap_add_option(pdu, option->number, option->length, option->value) > 0;
    }
    if (ok && msg->payload_size)
        ok = coap_add_data(pdu, msg->payload_size, msg->payload);
    if (!ok) {
        coap_delete_pdu(pdu);
        pdu = NULL;
    }
    return pdu;
}
