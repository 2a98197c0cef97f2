#ifndef TC_CLI_OPTIONS_H
#define TC_CLI_OPTIONS_H

#include "cli/command.h"

/* Groups of options, for the table of commands. */

extern const struct option_spec wait_options[];
extern const struct option_spec device_options[];
extern const struct option_spec list_options[];
extern const struct option_spec trace_options[];
extern const struct option_spec pcap_options[];
extern const struct option_spec add_options[];
extern const struct option_spec set_options[];
extern const struct option_spec enrol_options[];
extern const struct option_spec create_options[];
extern const struct option_spec import_options[];
extern const struct option_spec approve_options[];
extern const struct option_spec read_options[];
extern const struct option_spec device_wait_options[];
extern const struct option_spec history_options[];
extern const struct option_spec series_options[];
extern const struct option_spec limit_options[];
extern const struct option_spec cache_options[];
extern const struct option_spec transfer_options[];
extern const struct option_spec reason_options[], budget_options[];
extern const struct option_spec link_options[];
extern const struct option_spec rollout_devices_options[];
extern const struct option_spec rollout_options[];
extern const struct option_spec rollout_state_options[];
extern const struct option_spec group_options[];
extern const struct option_spec type_options[];
extern const struct option_spec observe_options[];
extern const struct option_spec shadow_options[];
extern const struct option_spec push_options[];
extern const struct option_spec deploy_options[];
extern const struct option_spec publisher_options[];
extern const struct option_spec release_options[];
extern const struct option_spec release_key_options[];
extern const struct option_spec get_options[];
extern const struct option_spec show_options[];
extern const struct option_spec log_options[];
extern const struct option_spec operations_options[];
extern const struct option_spec kind_options[];
extern const struct option_spec follow_options[];
extern const struct option_spec watch_options[];
extern const struct option_spec build_options[];
extern const struct option_spec inspect_options[];
extern const struct option_spec key_options[];
extern const struct option_spec generate_options[];
extern const struct option_spec suit_sign_options[];
extern const struct option_spec suit_create_options[];
extern const struct option_spec suit_verify_options[];
extern const struct option_spec export_options[];
extern const struct option_spec verify_options[];
extern const struct option_spec doctor_options[];
extern const struct option_spec top_options[];
extern const struct option_spec coap_options[];
extern const struct option_spec coap_body_options[];
extern const struct option_spec bundle_options[];
extern const struct option_spec token_options[];
extern const struct option_spec grant_options[];
extern const struct option_spec tenant_options[];
extern const struct option_spec help_options[];

#endif
