#include "daemon/limits.h"

struct agents_options conf_agents_options(const struct conf *conf)
{
    return (struct agents_options){
        .max_sessions = (uint32_t)conf->coap_max_sessions,
        .max_peer_sessions = (uint32_t)conf->coap_max_peer_sessions,
        .kept_bytes = (uint64_t)conf->coap_kept_answers_bytes,
        .answer_timeout_ms = (uint32_t)conf->coap_answer_timeout_ms,
        .ack_timeout_ms = (uint32_t)conf->coap_ack_timeout_ms,
        .max_retransmit = (uint32_t)conf->coap_max_retransmit,
        .load_timeout_ms = (uint32_t)conf->coap_load_timeout_ms,
        .log_max = (uint32_t)conf->coap_log_max,
        .max_transfers = (uint32_t)conf->coap_max_transfers,
        .max_observers = (uint32_t)conf->coap_max_observers,
        .max_body = (uint64_t)conf->coap_max_body_bytes,
        .max_records = (uint32_t)conf->telemetry_max_records,
        .max_unfragmented = (uint64_t)conf->coap_max_unfragmented_bytes,
    };
}

struct store_retention conf_retention(const struct conf *conf)
{
    return (struct store_retention){
        .journal_age_ms = conf->journal_max_age_ms,
        .journal_bytes = (uint64_t)conf->journal_max_bytes,
        .raw_age_us = conf->telemetry_max_age_ms * 1000,
        .downsample_us = conf->telemetry_downsample_ms * 1000,
        .downsampled_age_us = conf->telemetry_downsampled_age_ms * 1000,
        .telemetry_bytes = (uint64_t)conf->telemetry_max_bytes,
    };
}

struct core_options conf_core_options(const struct conf *conf)
{
    return (struct core_options){
        .state_directory = conf->state_directory,
        .max_devices = (uint32_t)conf->max_devices,
        .max_artifacts = (uint32_t)conf->max_artifacts,
        .max_containers_per_device = (uint32_t)conf->max_containers_per_device,
        .max_queue_per_device = (uint32_t)conf->max_queue_per_device,
        .max_artifact_bytes = (uint64_t)conf->max_artifact_bytes,
        .keep = {.age_ms = conf->artifacts_keep_age_ms,
                 .count = (uint32_t)conf->artifacts_keep_count,
                 .releases = (uint32_t)conf->artifacts_keep_releases},
        .reconcile = {.retry_min_ms = (uint32_t)conf->reconcile_retry_min_ms,
                      .retry_max_ms = (uint32_t)conf->reconcile_retry_max_ms,
                      .interval_ms = (uint32_t)conf->reconcile_interval_ms,
                      .unasked = (enum unasked)conf->reconcile_unasked},
        .verify_delay_ms = (uint32_t)conf->verify_delay_ms,
        .settle_delay_ms = (uint32_t)conf->settle_delay_ms,
        .operation_ttl_ms = (uint32_t)conf->operation_ttl_ms,
        .operation_ttl_max_ms = (uint32_t)conf->operation_ttl_max_ms,
        .operations_kept = (uint32_t)conf->operations_kept,
        .require_signature = (enum signature_requirement)conf->artifacts_require_signature,
        .max_pending = (uint32_t)conf->max_pending,
        .max_shadow_bytes = (uint32_t)conf->max_shadow_bytes,
        .max_operations = (uint32_t)conf->max_operations,
        .telemetry = {.max_rate = (uint32_t)conf->telemetry_max_rate,
                      .max_series = (uint32_t)conf->telemetry_max_series,
                      .max_records = (uint32_t)conf->telemetry_max_records,
                      .clock_ahead_ms = conf->telemetry_clock_ahead_ms,
                      .clock_behind_ms = conf->telemetry_clock_behind_ms,
                      .retention = conf_retention(conf)},
        .audit = {.keep = (uint32_t)conf->audit_max_entries},
        .journal_memory = (uint64_t)conf->journal_memory_bytes,
        .presence = {.online_ms = (uint32_t)conf->presence_online_ms,
                     .late_ms = (uint32_t)conf->presence_late_ms,
                     .awake_ms = (uint32_t)conf->presence_awake_ms,
                     .failures = (uint32_t)conf->presence_failures},
        .budget = {.period_ms = (uint32_t)conf->budget_period_ms,
                   .device = {(uint64_t)conf->budget_requests, (uint64_t)conf->budget_bytes,
                              (uint64_t)conf->budget_wakeups},
                   .container = {(uint64_t)conf->budget_container_requests, (uint64_t)conf->budget_container_bytes},
                   .alarm_factor = (double)conf->budget_alarm_factor},
        .transfer = {.parallel = (uint32_t)conf->transfer_parallel,
                     .rate = (uint32_t)conf->transfer_rate,
                     .block = (uint32_t)conf->transfer_block},
        .max_registrations = (uint32_t)conf->directory_max_registrations,
        .max_registrations_per_address = (uint32_t)conf->directory_max_per_address,
        .cache_bytes = (uint64_t)conf->proxy_cache_bytes,
        .allow_plain_groups = conf->coap_allow_plain_groups,
    };
}

struct rest_options conf_rest_options(const struct conf *conf)
{
    return (struct rest_options){
        .state_directory = conf->state_directory,
        .max_connections = (uint32_t)conf->http_max_connections,
        .max_json_bytes = (uint32_t)conf->http_max_json_bytes,
        .max_artifact_bytes = (uint64_t)conf->max_artifact_bytes,
        .max_raw_bytes = (uint32_t)(conf->coap_max_body_bytes > conf->max_shadow_bytes ? conf->coap_max_body_bytes
                                                                                       : conf->max_shadow_bytes),
        .max_wait_s = (uint32_t)(conf->http_max_wait_ms / 1000),
        .connection_timeout_s = (uint32_t)(conf->http_connection_timeout_ms / 1000),
        .tls_rate = (uint32_t)conf->http_tls_rate,
        .max_streams = (uint32_t)conf->http_max_streams,
        .anonymous = (enum role)conf->auth_anonymous,
        .jwt = {.issuer = *conf->auth_jwt_keys ? conf->auth_jwt_issuer : NULL,
                .audience = conf->auth_jwt_audience,
                .leeway_ms = conf->auth_jwt_leeway_ms},
        .anonymous_remote = conf->http_allow_remote,
        .allow_unknown_hosts = conf->proxy_allow_unknown_hosts,
    };
}
