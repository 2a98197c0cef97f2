#ifndef TC_AGENT_TRICKS_H
#define TC_AGENT_TRICKS_H

#include "agent/bugs.h"
#include "agent/server.h"

/* What an attacker, or a broken device, does to the protected answers of a server (bugs.h). */
struct tricks {
    struct bugs *bugs;
    struct server *server;
    uint8_t *answer; /* the latest protected one, encoded */
    size_t answer_size;
    uint8_t *notification; /* the latest, or the one that was held back */
    size_t notification_size;
    bool held;
};

/* Before an answer is sent: outer may become something else, made of plain or of what was sent before. */
void tricks_answer(struct tricks *t, const struct peer *peer, const struct coapmsg *request,
                   const struct coapmsg *plain, struct coapmsg *outer, uint8_t *room);
/* Sends a notification as the bugs say; the result of server_notify. */
bool tricks_notify(struct tricks *t, const struct peer *peer, struct coapmsg *response, unsigned owner);
void tricks_clear(struct tricks *t);

#endif
