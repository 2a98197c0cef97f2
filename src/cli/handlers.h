#ifndef TC_CLI_HANDLERS_H
#define TC_CLI_HANDLERS_H

#include "cli/command.h"

#include <jansson.h>

/* What the commands of the table do. Each returns a cli_exit code and has written its result or error. */

int device_add(struct cli *cli, const struct arguments *args);
int device_list(struct cli *cli, const struct arguments *args);
int device_show(struct cli *cli, const struct arguments *args);
int device_remove(struct cli *cli, const struct arguments *args);
int device_probe(struct cli *cli, const struct arguments *args);
int device_set(struct cli *cli, const struct arguments *args);

/* cmd_trace.c */
int device_trace(struct cli *cli, const struct arguments *args);
int device_pcap(struct cli *cli, const struct arguments *args);
int gateway_log_level(struct cli *cli, const struct arguments *args);

int directory_list(struct cli *cli, const struct arguments *args);
int directory_show(struct cli *cli, const struct arguments *args);
int directory_remove(struct cli *cli, const struct arguments *args);

/* --group of args as the member "groups" of a body; nothing when it was not given. */
void device_add_groups(const struct arguments *args, json_t *body);

int credential_enrol(struct cli *cli, const struct arguments *args);
int credential_rotate(struct cli *cli, const struct arguments *args);
int credential_import(struct cli *cli, const struct arguments *args);
int credential_list(struct cli *cli, const struct arguments *args);
int credential_revoke(struct cli *cli, const struct arguments *args);

int join_open(struct cli *cli, const struct arguments *args);
int join_close(struct cli *cli, const struct arguments *args);
int join_list(struct cli *cli, const struct arguments *args);
int join_approve(struct cli *cli, const struct arguments *args);
int join_reject(struct cli *cli, const struct arguments *args);

int sink_list(struct cli *cli, const struct arguments *args);
int sink_show(struct cli *cli, const struct arguments *args);
int sink_retry(struct cli *cli, const struct arguments *args);
int sink_letters(struct cli *cli, const struct arguments *args);
int sink_letter(struct cli *cli, const struct arguments *args);
int sink_resend(struct cli *cli, const struct arguments *args);
int sink_drop(struct cli *cli, const struct arguments *args);

int resource_get(struct cli *cli, const struct arguments *args);
int resource_put(struct cli *cli, const struct arguments *args);
int resource_post(struct cli *cli, const struct arguments *args);
int resource_patch(struct cli *cli, const struct arguments *args);
int resource_delete(struct cli *cli, const struct arguments *args);
int resource_observe(struct cli *cli, const struct arguments *args);

/* cmd_transfer.c */
int transfer_list(struct cli *cli, const struct arguments *args);
int transfer_watch(struct cli *cli, const struct arguments *args);
int container_stop_everywhere(struct cli *cli, const struct arguments *args);
int emergency_list(struct cli *cli, const struct arguments *args);
int emergency_show(struct cli *cli, const struct arguments *args);
int emergency_lift(struct cli *cli, const struct arguments *args);
int device_quarantine(struct cli *cli, const struct arguments *args);
int device_release(struct cli *cli, const struct arguments *args);
int quarantine_list(struct cli *cli, const struct arguments *args);
int quarantine_show(struct cli *cli, const struct arguments *args);
int budget_list(struct cli *cli, const struct arguments *args);
int budget_show(struct cli *cli, const struct arguments *args);
int budget_set(struct cli *cli, const struct arguments *args);
int budget_remove(struct cli *cli, const struct arguments *args);
int link_list(struct cli *cli, const struct arguments *args);
int link_show(struct cli *cli, const struct arguments *args);
int link_set(struct cli *cli, const struct arguments *args);
int link_remove(struct cli *cli, const struct arguments *args);
/* cmd_rollout.c */
int rollout_create(struct cli *cli, const struct arguments *args);
int rollout_list(struct cli *cli, const struct arguments *args);
int rollout_show(struct cli *cli, const struct arguments *args);
int rollout_devices(struct cli *cli, const struct arguments *args);
int rollout_watch(struct cli *cli, const struct arguments *args);
int rollout_pause(struct cli *cli, const struct arguments *args);
int rollout_resume(struct cli *cli, const struct arguments *args);
int rollout_abort(struct cli *cli, const struct arguments *args);
int rollout_rollback(struct cli *cli, const struct arguments *args);
int rollout_remove(struct cli *cli, const struct arguments *args);

/* cmd_group.c */
int access_whoami(struct cli *cli, const struct arguments *args);
int token_list(struct cli *cli, const struct arguments *args);
int token_show(struct cli *cli, const struct arguments *args);
int token_add(struct cli *cli, const struct arguments *args);
int token_remove(struct cli *cli, const struct arguments *args);
int grant_list(struct cli *cli, const struct arguments *args);
int grant_show(struct cli *cli, const struct arguments *args);
int grant_set(struct cli *cli, const struct arguments *args);
int grant_remove(struct cli *cli, const struct arguments *args);
int tenant_list(struct cli *cli, const struct arguments *args);
int tenant_show(struct cli *cli, const struct arguments *args);
int tenant_set(struct cli *cli, const struct arguments *args);
int tenant_remove(struct cli *cli, const struct arguments *args);

int group_list(struct cli *cli, const struct arguments *args);
int group_show(struct cli *cli, const struct arguments *args);
int group_set(struct cli *cli, const struct arguments *args);
int group_remove(struct cli *cli, const struct arguments *args);
int resource_list(struct cli *cli, const struct arguments *args);
int observation_list(struct cli *cli, const struct arguments *args);
json_t *group_observed(const struct arguments *args); /* the paths of --observe */

int shadow_get(struct cli *cli, const struct arguments *args);
int shadow_set(struct cli *cli, const struct arguments *args);
int shadow_delete(struct cli *cli, const struct arguments *args);

int telemetry_list(struct cli *cli, const struct arguments *args);
int telemetry_show(struct cli *cli, const struct arguments *args);
int telemetry_series(struct cli *cli, const struct arguments *args);
int telemetry_storage(struct cli *cli, const struct arguments *args);

int artifact_push(struct cli *cli, const struct arguments *args);
int artifact_list(struct cli *cli, const struct arguments *args);
int artifact_show(struct cli *cli, const struct arguments *args);
int artifact_get(struct cli *cli, const struct arguments *args);
int artifact_remove(struct cli *cli, const struct arguments *args);
int artifact_pin(struct cli *cli, const struct arguments *args);
int artifact_unpin(struct cli *cli, const struct arguments *args);
int artifact_gc(struct cli *cli, const struct arguments *args);
/* Uploads a file as `push` does, with the options of args; *out is the artifact. */
int artifact_upload(struct cli *cli, const struct arguments *args, const char *file, json_t **out) must_check;

int container_deploy(struct cli *cli, const struct arguments *args);
int container_list(struct cli *cli, const struct arguments *args);
int container_show(struct cli *cli, const struct arguments *args);
int container_start(struct cli *cli, const struct arguments *args);
int container_stop(struct cli *cli, const struct arguments *args);
int container_exec(struct cli *cli, const struct arguments *args);
int container_remove(struct cli *cli, const struct arguments *args);
int container_forget(struct cli *cli, const struct arguments *args);
int container_logs(struct cli *cli, const struct arguments *args);
int container_explain(struct cli *cli, const struct arguments *args);

/* cmd_service.c */
int service_list(struct cli *cli, const struct arguments *args);
int service_show(struct cli *cli, const struct arguments *args);
int service_set(struct cli *cli, const struct arguments *args);
int service_remove(struct cli *cli, const struct arguments *args);

int publisher_list(struct cli *cli, const struct arguments *args);
int publisher_show(struct cli *cli, const struct arguments *args);
int publisher_set(struct cli *cli, const struct arguments *args);
int publisher_remove(struct cli *cli, const struct arguments *args);
int release_sign(struct cli *cli, const struct arguments *args);
int release_add(struct cli *cli, const struct arguments *args);
int release_list(struct cli *cli, const struct arguments *args);
int release_show(struct cli *cli, const struct arguments *args);
int release_remove(struct cli *cli, const struct arguments *args);
int policy_list(struct cli *cli, const struct arguments *args);
int policy_show(struct cli *cli, const struct arguments *args);
int policy_set(struct cli *cli, const struct arguments *args);
int policy_remove(struct cli *cli, const struct arguments *args);

int operation_list(struct cli *cli, const struct arguments *args);
int operation_show(struct cli *cli, const struct arguments *args);
int operation_cancel(struct cli *cli, const struct arguments *args);
int operation_watch(struct cli *cli, const struct arguments *args);

int metadata_command_build(struct cli *cli, const struct arguments *args);
int metadata_command_inspect(struct cli *cli, const struct arguments *args);

int key_command_generate(struct cli *cli, const struct arguments *args);
int key_command_show(struct cli *cli, const struct arguments *args);

int suit_command_create(struct cli *cli, const struct arguments *args);
int suit_command_sign(struct cli *cli, const struct arguments *args);
int suit_command_verify(struct cli *cli, const struct arguments *args);
int suit_command_show(struct cli *cli, const struct arguments *args);

int events_follow(struct cli *cli, const struct arguments *args);
int telemetry_tail(struct cli *cli, const struct arguments *args);

int backup_make(struct cli *cli, const struct arguments *args);
int database_check(struct cli *cli, const struct arguments *args);
int database_compact(struct cli *cli, const struct arguments *args);
int audit_list(struct cli *cli, const struct arguments *args);
int audit_export(struct cli *cli, const struct arguments *args);
int audit_verify(struct cli *cli, const struct arguments *args);
int audit_anchor(struct cli *cli, const struct arguments *args);

int gateway_distrust(struct cli *cli, const struct arguments *args);
int gateway_status(struct cli *cli, const struct arguments *args);
int support_bundle(struct cli *cli, const struct arguments *args);
int coap_get(struct cli *cli, const struct arguments *args);
int coap_put(struct cli *cli, const struct arguments *args);
int coap_post(struct cli *cli, const struct arguments *args);
int coap_patch(struct cli *cli, const struct arguments *args);
int coap_delete(struct cli *cli, const struct arguments *args);
int coap_observe(struct cli *cli, const struct arguments *args);
int top_run(struct cli *cli, const struct arguments *args);
int upload_list(struct cli *cli, const struct arguments *args);
int upload_show(struct cli *cli, const struct arguments *args);
int upload_remove(struct cli *cli, const struct arguments *args);
int doctor_run(struct cli *cli, const struct arguments *args);
int gateway_key(struct cli *cli, const struct arguments *args);
int gateway_version(struct cli *cli, const struct arguments *args);
int gateway_completion(struct cli *cli, const struct arguments *args);
int gateway_help(struct cli *cli, const struct arguments *args);

#endif
