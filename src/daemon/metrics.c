#include "daemon/metrics.h"

#include <string.h>

struct figure {
    const char *name, *help;
    bool counter;
    const char *labels;
    size_t offset, size; /* in struct agents_stats */
};

#define FIGURE(member) offsetof(struct agents_stats, member), sizeof((struct agents_stats *)0)->member

/* Those of one name stand together. */
static const struct figure figures[] = {
    {"tcgw_coap_messages_total", "CoAP messages.", true, "direction=\"received\"", FIGURE(messages.received)},
    {"tcgw_coap_messages_total", "CoAP messages.", true, "direction=\"sent\"", FIGURE(messages.sent)},
    {"tcgw_coap_retransmissions_total", "CoAP messages that were sent again since nobody acknowledged them.", true,
     NULL, FIGURE(messages.retransmitted)},
    {"tcgw_coap_duplicates_total", "Messages that came again and had no second effect.", true, NULL,
     FIGURE(messages.duplicates)},
    {"tcgw_coap_discarded_total", "Messages that were not taken.", true, "reason=\"malformed\"",
     FIGURE(messages.malformed)},
    {"tcgw_coap_discarded_total", "Messages that were not taken.", true, "reason=\"unmatched\"",
     FIGURE(messages.unmatched)},
    {"tcgw_coap_discarded_total", "Messages that were not taken.", true, "reason=\"overload\"",
     FIGURE(messages.refused)},
    {"tcgw_coap_handshakes_failed_total", "DTLS and TLS handshakes of peers that failed.", true, NULL,
     FIGURE(messages.denied)},
    {"tcgw_coap_sessions", "Open DTLS, TLS and TCP sessions, in both directions.", false, NULL,
     FIGURE(messages.sessions)},
    {"tcgw_coap_peers", "UDP peers that are remembered.", false, NULL, FIGURE(messages.peers)},
    {"tcgw_coap_held_requests", "Requests of devices that wait for their answer.", false, NULL, FIGURE(messages.held)},
    {"tcgw_coap_kept_answers", "Answers that are kept for retransmitted requests.", false, NULL, FIGURE(messages.kept)},
    {"tcgw_coap_kept_answer_bytes", "Memory of the answers that are kept.", false, NULL, FIGURE(messages.kept_bytes)},
    {"tcgw_device_calls_waiting", "Calls of devices that wait since too many are under way.", false, NULL,
     FIGURE(waiting)},
    {"tcgw_device_requests_total", "Requests that were sent to devices.", true, NULL, FIGURE(requests)},
    {"tcgw_device_responses_total", "Responses of devices.", true, NULL, FIGURE(responses)},
    {"tcgw_device_timeouts_total", "Requests that no device answered in time.", true, NULL, FIGURE(timeouts)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true, "resource=\"core\"",
     FIGURE(server.core_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true,
     "resource=\"desired\"", FIGURE(server.desired_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true,
     "resource=\"reported\"", FIGURE(server.reported_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true,
     "resource=\"telemetry\"", FIGURE(server.telemetry_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true,
     "resource=\"directory\"", FIGURE(server.directory_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true,
     "resource=\"lookup\"", FIGURE(server.lookup_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true,
     "resource=\"update\"", FIGURE(server.update_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true, "resource=\"join\"",
     FIGURE(server.join_requests)},
    {"tcgw_coap_requests_total", "Requests of devices, by the resource that they asked for.", true,
     "resource=\"other\"", FIGURE(server.other_requests)},
    {"tcgw_coap_notifications_total", "Notifications to devices that observe.", true, NULL,
     FIGURE(server.notifications)},
    {"tcgw_coap_observers", "Observations of the gateway's resources.", false, NULL, FIGURE(server.observers)},
    {"tcgw_coap_transfers", "Block-wise transfers of devices under way.", false, NULL, FIGURE(server.transfers)},
    {"tcgw_coap_transfer_bytes", "Memory of the transfers under way.", false, NULL, FIGURE(server.transfer_bytes)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"unprotected\"", FIGURE(server.unprotected_refused)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"option\"", FIGURE(server.bad_options)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"telemetry\"", FIGURE(server.telemetry_malformed)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"block\"", FIGURE(server.blocks_refused)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"abandoned\"", FIGURE(server.blocks_abandoned)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"too_large\"", FIGURE(server.transfers_refused)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"rate\"", FIGURE(server.rate_limited)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"budget\"", FIGURE(server.over_budget)},
    {"tcgw_coap_refused_total", "Requests of devices that were refused whatever protects them.", true,
     "reason=\"overload\"", FIGURE(server.overloaded)},
    {"tcgw_oscore_messages_total", "Protected messages that were verified or sent.", true, "kind=\"request_received\"",
     FIGURE(server.protected_requests)},
    {"tcgw_oscore_messages_total", "Protected messages that were verified or sent.", true, "kind=\"request_sent\"",
     FIGURE(security.protected_requests)},
    {"tcgw_oscore_messages_total", "Protected messages that were verified or sent.", true, "kind=\"response_received\"",
     FIGURE(security.verified_responses)},
    {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"option\"",
     FIGURE(server.malformed_option)},
    {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"context\"",
     FIGURE(server.unknown_context)},
    {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"replay\"",
     FIGURE(server.replays)},
    {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"decrypt\"",
     FIGURE(server.decrypt_failures)},
    {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"inner\"",
     FIGURE(server.inner_malformed)},
    {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"response\"",
     FIGURE(security.failures)},
    {"tcgw_oscore_refused_total", "Protected messages that were refused.", true, "reason=\"unprotected_response\"",
     FIGURE(security.hints)},
    {"tcgw_oscore_echo_total", "Echo challenges (RFC 8613 appendix B.1.2).", true, "event=\"sent\"",
     FIGURE(server.echo_challenges)},
    {"tcgw_oscore_echo_total", "Echo challenges (RFC 8613 appendix B.1.2).", true, "event=\"failed\"",
     FIGURE(server.echo_failures)},
    {"tcgw_oscore_echo_total", "Echo challenges (RFC 8613 appendix B.1.2).", true, "event=\"answered\"",
     FIGURE(security.echoes)},
    {"tcgw_oscore_renewals_total", "New security contexts (RFC 8613 appendix B.2).", true, "event=\"offered\"",
     FIGURE(server.renewals_offered)},
    {"tcgw_oscore_renewals_total", "New security contexts (RFC 8613 appendix B.2).", true, "event=\"by_device\"",
     FIGURE(server.renewals)},
    {"tcgw_oscore_renewals_total", "New security contexts (RFC 8613 appendix B.2).", true, "event=\"failed\"",
     FIGURE(server.renewal_failures)},
    {"tcgw_oscore_renewals_total", "New security contexts (RFC 8613 appendix B.2).", true, "event=\"by_gateway\"",
     FIGURE(security.renewals)},
    {"tcgw_plain_refused_total", "Requests that were not sent to devices, since nothing would have protected them.",
     true, NULL, FIGURE(security.plain_refused)},
};

static double value_of(const struct agents_stats *stats, const struct figure *figure)
{
    const char *at = (const char *)stats + figure->offset;
    uint64_t large;
    uint32_t small;

    if (figure->size == sizeof large) {
        memcpy(&large, at, sizeof large);
        return (double)large;
    }
    memcpy(&small, at, sizeof small);
    return small;
}

static void add_spreads(const struct agents_stats *stats, metric_fn add, void *to)
{
    struct metric metric = {.name = "tcgw_coap_exchange_seconds",
                            .help = "How long requests to devices took, with retransmissions and what protects them.",
                            .labels = "result=\"answered\"",
                            .histogram = &stats->answered_ms,
                            .scale = &histogram_millis};

    add(to, &metric);
    metric.labels = "result=\"failed\"";
    metric.histogram = &stats->failed_ms;
    add(to, &metric);
}

void metrics_add_agents(const struct agents *agents, metric_fn add, void *to)
{
    struct agents_stats stats;

    agents_get_stats(agents, &stats);
    add_spreads(&stats, add, to);
    for (size_t i = 0; i < array_size(figures); i++) {
        const struct figure *figure = &figures[i];
        const struct metric metric = {.name = figure->name,
                                      .help = figure->help,
                                      .counter = figure->counter,
                                      .labels = figure->labels,
                                      .value = value_of(&stats, figure)};

        add(to, &metric);
    }
}
