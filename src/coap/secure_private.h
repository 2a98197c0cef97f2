#ifndef TC_COAP_SECURE_PRIVATE_H
#define TC_COAP_SECURE_PRIVATE_H

#include "coap/secure.h"
#include "coap/task.h"

/* Messages as they are protected and verified, one at a time; good until control goes back to the loop or another
 * request is sent (out) or another response is received (in, inner). */
struct secure_scratch {
    uint8_t out[65536], in[65536];
    struct coapmsg inner;
};

/* Ends the exchange with a response, or without one. */
void secure_finish(struct secure *s, enum agent_outcome outcome, const struct coapmsg *response);
/* Because nothing more can be tried; because nothing came. */
void secure_end_untrusted(struct secure *s);
void secure_end_unanswered(struct secure *s, enum exchange_result result, int error);
/* Ends the exchange; format may be NULL. */
void secure_end(struct secure *s, enum agent_outcome outcome, const char *format, ...) printf_like(3, 4);
/* Sends the request, or the harmless one in its place, with the present credential; or without any. */
void secure_send_request(struct secure *s);
void secure_send_plain(struct secure *s);
/* What came, for who traces the device: `message` as it is inside. */
void secure_trace_response(const struct secure *s, const struct coapmsg *message, const struct coapmsg *outer);
/* What the exchange calls (secure_answer.c). */
enum exchange_verdict secure_judge(struct exchange *exchange, const struct coapmsg *response, bool separate);
void secure_on_exchange_done(struct exchange *exchange, enum exchange_result result, const struct coapmsg *response,
                             int error);
/* Goes on from the present stage: sends, or renews, or ends. */
void secure_proceed(struct secure *s);
/* The same, from the loop, when the credential may have been replaced. */
void secure_resume_later(struct secure *s);
/* Sends a message protected with a context, and expects its answer in the given phase. */
void secure_send_protected(struct secure *s, struct oscore_context *context, const struct coapmsg *message,
                           unsigned flags, enum secure_phase phase);

/* Appendix B.2 as client (renewal_client.c)
 * ------------------------------------------------------------------------------ */

/* True when it was begun or is waited for; false when it may not be now. */
bool renewal_begin(struct secure *s, struct credential *credential);
/* A response with a kid context: true when it is the authentic response #1, whose R2 was kept. */
bool renewal_take_r2(struct secure *s, const struct coapmsg *outer, const struct oscore_option *option);
/* Goes on with request #2 after that. */
void renewal_confirm(struct secure *s);
/* Sends request #2 again, with the Echo that the device asked for. */
void renewal_confirm_again(struct secure *s);
/* Request #2 was answered: the new context replaces the credential's, then the request itself follows. */
void renewal_store(struct secure *s);
/* A request that changes nothing. */
void renewal_prepare_harmless(struct coapmsg *message);
/* Whatever this exchange has begun is over: others that wait go on. */
void renewal_end(struct secure *s);
/* Frees the table. */
void renewal_forget_all(struct agents *agents);

#endif
