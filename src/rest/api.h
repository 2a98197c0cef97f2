#ifndef TC_REST_API_H
#define TC_REST_API_H

#include "core/core.h"
#include "rest/http.h"

/* The handlers of the route table. Each answers its request at once or later. */

/* api_access.c */
void api_show_caller(struct http_request *req);
void api_list_tokens(struct http_request *req);
void api_add_token(struct http_request *req);
void api_show_token(struct http_request *req);
void api_remove_token(struct http_request *req);

/* api_directory.c */
void api_list_directory(struct http_request *req);
void api_show_registration(struct http_request *req);
void api_remove_registration(struct http_request *req);

/* api_events.c */
void api_read_events(struct http_request *req);

/* health.c */
void api_show_health(struct http_request *req);
void api_show_ready(struct http_request *req);

/* api_log.c */
void api_show_log_levels(struct http_request *req);
void api_put_log_levels(struct http_request *req);

/* api_trace.c */
void api_begin_trace(struct http_request *req);
void api_show_trace(struct http_request *req);
void api_end_trace(struct http_request *req);
void api_show_pcap(struct http_request *req);

/* api_gateway.c */
void api_show_openapi(struct http_request *req);
void api_show_info(struct http_request *req);
void api_show_key(struct http_request *req);

/* api_device.c */
void api_list_devices(struct http_request *req);
void api_add_device(struct http_request *req);
void api_show_device(struct http_request *req);
void api_patch_device(struct http_request *req);
void api_remove_device(struct http_request *req);
void api_probe_device(struct http_request *req);

/* api_container.c */
void api_list_containers(struct http_request *req);
void api_show_container(struct http_request *req);
void api_put_container(struct http_request *req);
void api_remove_container(struct http_request *req);
void api_start_container(struct http_request *req);
void api_stop_container(struct http_request *req);
void api_exec_container(struct http_request *req);
void api_show_log(struct http_request *req);
void api_explain_container(struct http_request *req);

/* api_artifact.c */
void api_list_artifacts(struct http_request *req);
void api_add_artifact(struct http_request *req);
void api_show_artifact(struct http_request *req);
void api_remove_artifact(struct http_request *req);
void api_show_code(struct http_request *req);
void api_show_data(struct http_request *req);
void api_pin_artifact(struct http_request *req);
void api_unpin_artifact(struct http_request *req);
void api_collect_artifacts(struct http_request *req);

/* resumable_api.c */
void api_list_uploads(struct http_request *req);
void api_begin_upload(struct http_request *req);
void api_show_upload(struct http_request *req);
void api_continue_upload(struct http_request *req);
void api_remove_upload(struct http_request *req);

/* api_credentials.c */
void api_list_credentials(struct http_request *req);
void api_enrol_device(struct http_request *req);
void api_import_credentials(struct http_request *req);
void api_revoke_credentials(struct http_request *req);
void api_distrust_contexts(struct http_request *req);

/* api_join.c */
void api_show_join(struct http_request *req);
void api_open_join(struct http_request *req);
void api_close_join(struct http_request *req);
void api_approve_pending(struct http_request *req);
void api_reject_pending(struct http_request *req);

/* api_metrics.c */
void api_show_metrics(struct http_request *req);

/* api_resource.c, api_observe.c */
void api_pass_request(struct http_request *req);
void api_pass_to(struct http_request *req, struct device *device); /* what the tail says, to this device */

/* api_proxy.c */
void api_proxy(struct http_request *req);
void api_show_core(struct http_request *req);

/* api_link.c */
void api_list_resources(struct http_request *req);
void api_list_observations(struct http_request *req);

/* api_transfer.c */
void api_list_transfers(struct http_request *req);

/* api_named.c */
void api_list_grants(struct http_request *req);
void api_show_grant(struct http_request *req);
void api_put_grant(struct http_request *req);
void api_remove_grant(struct http_request *req);
void api_list_tenants(struct http_request *req);
void api_show_tenant(struct http_request *req);
void api_put_tenant(struct http_request *req);
void api_remove_tenant(struct http_request *req);
void api_list_groups(struct http_request *req);
void api_show_group(struct http_request *req);
void api_put_group(struct http_request *req);
void api_remove_group(struct http_request *req);
void api_list_budgets(struct http_request *req);
void api_show_budget(struct http_request *req);
void api_put_budget(struct http_request *req);
void api_remove_budget(struct http_request *req);
void api_list_emergency_stops(struct http_request *req);
void api_show_emergency_stop(struct http_request *req);
void api_put_emergency_stop(struct http_request *req);
void api_remove_emergency_stop(struct http_request *req);
void api_list_quarantines(struct http_request *req);
void api_show_quarantine(struct http_request *req);
void api_put_quarantine(struct http_request *req);
void api_remove_quarantine(struct http_request *req);
void api_list_links(struct http_request *req);
void api_show_link(struct http_request *req);
void api_put_link(struct http_request *req);
void api_remove_link(struct http_request *req);
void api_list_policies(struct http_request *req);
void api_show_policy(struct http_request *req);
void api_put_policy(struct http_request *req);
void api_remove_policy(struct http_request *req);
void api_list_publishers(struct http_request *req);
void api_show_publisher(struct http_request *req);
void api_put_publisher(struct http_request *req);
void api_remove_publisher(struct http_request *req);
void api_list_services(struct http_request *req);
void api_show_service(struct http_request *req);
void api_put_service(struct http_request *req);
void api_remove_service(struct http_request *req);

/* api_rollout.c */
void api_list_rollouts(struct http_request *req);
void api_add_rollout(struct http_request *req);
void api_show_rollout(struct http_request *req);
void api_list_rollout_devices(struct http_request *req);
void api_pause_rollout(struct http_request *req);
void api_resume_rollout(struct http_request *req);
void api_abort_rollout(struct http_request *req);
void api_roll_back(struct http_request *req);
void api_remove_rollout(struct http_request *req);

/* api_shadow.c */
void api_show_desired(struct http_request *req);
void api_put_desired(struct http_request *req);
void api_remove_desired(struct http_request *req);
void api_show_reported(struct http_request *req);

/* api_release.c */
void api_list_releases(struct http_request *req);
void api_add_release(struct http_request *req);
void api_show_release(struct http_request *req);
void api_remove_release(struct http_request *req);

/* api_telemetry.c */
void api_list_telemetry(struct http_request *req);
void api_list_device_telemetry(struct http_request *req);
void api_list_series(struct http_request *req);
void api_list_device_series(struct http_request *req);
void api_show_storage(struct http_request *req);
void api_make_backup(struct http_request *req);
void api_check_database(struct http_request *req);
void api_compact_database(struct http_request *req);
void api_list_audit(struct http_request *req);
void api_show_anchor(struct http_request *req);

/* api_operation.c */
void api_list_operations(struct http_request *req);
void api_show_operation(struct http_request *req);
void api_cancel_operation(struct http_request *req);

/* api_sink.c */
void api_list_sinks(struct http_request *req);
void api_show_sink(struct http_request *req);
void api_retry_sink(struct http_request *req);
void api_list_letters(struct http_request *req);
void api_show_letter(struct http_request *req);
void api_retry_letter(struct http_request *req);
void api_remove_letter(struct http_request *req);

/* resolve.c: the record that the path names, also entered in req->about. NULL when the id is bad (400) or there is none
 * (404), which is answered then. */
struct device *resolve_device(struct http_request *req);
struct container *resolve_container(struct http_request *req);
struct artifact *resolve_artifact(struct http_request *req);
struct operation *resolve_operation(struct http_request *req);
/* The id of the path of an agent that asks to join; NULL when it is bad, which is answered then. */
const char *resolve_pending(struct http_request *req);
/* The device of the path and its container, which may be missing (NULL) when the uid is good. False when answered. */
bool resolve_container_place(struct http_request *req, struct device **device, struct container **container);

#endif
