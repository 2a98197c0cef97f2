#include "coap/endpoint_libcoap_private.h"

#include <errno.h>

/* Notifications (RFC 7641). libcoap says nothing of a RST to one that is not confirmable. */

struct libcoap_notice {
    struct notice base;
    struct libcoap *libcoap;
    struct list node; /* in the link's notices, or in notice_events */
    coap_mid_t mid;
    uint32_t number; /* among the messages of the link */
    int event;
};

static void queue_event(struct libcoap_notice *notice, int event)
{
    notice->event = event;
    list_unlink(&notice->node);
    list_append(&notice->libcoap->notice_events, &notice->node);
    libcoap_wake(notice->libcoap);
}

void libcoap_tell_notices(struct libcoap *libcoap)
{
    while (!list_empty(&libcoap->notice_events)) {
        struct libcoap_notice *notice = list_first(&libcoap->notice_events, struct libcoap_notice, node);
        void *owner = notice->base.owner;
        int event = notice->event;

        list_unlink(&notice->node);
        free(notice);
        libcoap_options(libcoap)->handlers->notified(owner, event);
    }
}

void notices_forget_link(struct link *link)
{
    while (!list_empty(&link->notices))
        queue_event(list_first(&link->notices, struct libcoap_notice, node), CHANNEL_REFUSED);
}

void notices_proved(struct link *link)
{
    bool left = false;

    list_each(node, &link->notices)
    {
        struct libcoap_notice *notice = container_of(node, struct libcoap_notice, node);

        /* Numbers wrap around. */
        if ((int32_t)(link->proved - notice->number) > 0)
            queue_event(notice, -1);
        else
            left = true;
    }
    if (left)
        link_prove(link);
}

void notices_failed(struct link *link, coap_mid_t mid, enum channel_event event)
{
    list_each(node, &link->notices)
    {
        struct libcoap_notice *notice = container_of(node, struct libcoap_notice, node);

        if (notice->mid == mid)
            queue_event(notice, (int)event);
    }
}

/* Who waits for the outcome. */
static struct libcoap_notice *new_notice(struct link *link, void *owner)
{
    struct libcoap_notice *notice = calloc(1, sizeof *notice);

    if (!notice)
        return NULL;
    notice->base = (struct notice){.transport = &link->owner->base, .owner = owner};
    notice->libcoap = link->owner;
    list_init(&notice->node);
    return notice;
}

static int send_notification(struct link *link, struct coapmsg *notification, bool confirmable)
{
    const struct endpoint_options *options = libcoap_options(link->owner);
    coap_pdu_t *pdu;

    notification->type = confirmable && !link->reliable ? COAPMSG_CON : COAPMSG_NON;
    notification->id = coap_new_message_id(link->session);
    link_set_times(link, options->ack_timeout_ms, options->max_retransmit);
    pdu = libcoap_make_pdu(link, notification);
    return pdu ? link_send(link, pdu) : -EMSGSIZE;
}

int libcoap_notify(struct transport *transport, const struct peer *peer, struct coapmsg *notification, bool confirmable,
                   void *owner, struct notice **out)
{
    struct libcoap *l = container_of(transport, struct libcoap, base);
    struct libcoap_notice *notice = NULL;
    struct link *link = NULL;
    int r;

    *out = NULL;
    HASH_FIND(hh, l->by_serial, &peer->session, sizeof peer->session, link);
    if (!link || !link->ready)
        return -ENOTCONN;
    if (confirmable && owner) {
        notice = new_notice(link, owner);
        if (!notice)
            return -ENOMEM;
    }
    r = send_notification(link, notification, confirmable);
    if (r < 0 || !notice) {
        free(notice);
        return r < 0 ? r : 0;
    }
    notice->mid = r;
    notice->number = link->sent - 1;
    list_append(&link->notices, &notice->node);
    link_prove(link);
    *out = &notice->base;
    return 0;
}

void libcoap_cancel(struct notice *base)
{
    struct libcoap_notice *notice = container_of(base, struct libcoap_notice, base);

    list_unlink(&notice->node);
    free(notice);
}

void notices_free(struct libcoap *libcoap)
{
    while (!list_empty(&libcoap->notice_events))
        libcoap_cancel(&list_first(&libcoap->notice_events, struct libcoap_notice, node)->base);
}
