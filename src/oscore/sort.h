#ifndef TC_OSCORE_SORT_H
#define TC_OSCORE_SORT_H

#include "base/cleanup.h"
#include "tcgw/oscore.h"

/* Which options of a message are protected and which stay readable for proxies (section 4.1, figure 5). */

/* Whether a code is one of a request, or of a response. */
static inline bool sort_code_is_right(uint8_t code, bool request)
{
    unsigned class = COAPMSG_CLASS(code);

    return request ? class == 0 && code != COAPMSG_EMPTY : class >= 2 && class <= 5;
}

/* Memory of a caller, used up from the front. */
struct space {
    uint8_t *at;
    size_t left;
};

/* n bytes, NULL when fewer are left. */
uint8_t *space_take(struct space *space, size_t n);

/*
 * Adds the Class E options of `from` to `inner`, where they may point into `from` or into `decoded`, and copies those
 * of Class U to `outer`, whose values stand in `space` then. 0, OSCORE_E_OPTION for a message that cannot be protected
 * (it has an OSCORE option, an Observe that is none, or a Proxy-Uri that is no URI), OSCORE_E_LIMIT.
 */
int sort_outgoing(const struct coapmsg *from, struct coapmsg *inner, struct coapmsg *outer, struct space *space,
                  struct space *decoded) must_check;

/* Adds copies of the Class U options of `outer` to what was decrypted, except where that has one of its own. What else
 * stands outside is dropped. 0 or OSCORE_E_LIMIT. */
int sort_incoming(const struct coapmsg *outer, struct coapmsg *to, struct space *space) must_check;

#endif
