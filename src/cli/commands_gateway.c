#include "cli/commands.h"
#include "cli/handlers.h"
#include "cli/options.h"

/* The gateway itself. */

const struct command commands_gateway[] = {
    {"sink list",
     "",
     {NULL},
     "list where the journal is sent to, and how far that is",
     NULL,
     "  tcgw sink list\n",
     sink_list},
    {"sink show", "SINK", {NULL}, "show a sink", NULL, "  tcgw sink show platform\n", sink_show},
    {"sink retry",
     "SINK",
     {NULL},
     "end the pause of a sink that waits for its next attempt",
     NULL,
     "  tcgw sink retry platform\n",
     sink_retry},
    {"sink dead-letters",
     "SINK",
     {NULL},
     "list what a sink gave up",
     NULL,
     "  tcgw sink dead-letters platform\n",
     sink_letters},
    {"sink letter",
     "SINK NUMBER",
     {NULL},
     "show a dead letter with its body",
     NULL,
     "  tcgw sink letter platform 4711\n",
     sink_letter},
    {"sink resend",
     "SINK NUMBER",
     {NULL},
     "send a dead letter again",
     "It is removed when the platform has taken it.",
     "  tcgw sink resend platform 4711\n",
     sink_resend},
    {"sink drop", "SINK NUMBER", {NULL}, "remove a dead letter", NULL, "  tcgw sink drop platform 4711\n", sink_drop},
    {"events",
     "",
     {kind_options, follow_options},
     "follow what happens: telemetry and every change",
     "Begins with what comes next, goes on where it was when the gateway was away, and ends with Ctrl-C. The number of "
     "an event (--json, --quiet) is good for --after.",
     "  tcgw events --kind device,presence --since 1h\n"
     "  tcgw events --json --after 0 | jq .\n",
     events_follow},
    {"gateway distrust",
     "",
     {NULL},
     "have every OSCORE context renewed",
     "For a gateway that was put back to an older state, such as a snapshot of the whole machine. Devices renew their "
     "contexts by themselves where they can (RFC 8613 appendix B.2); the others have to be enrolled again.",
     "  tcgw gateway distrust\n",
     gateway_distrust},
    {"status", "", {NULL}, "show how the gateway is", NULL, "  tcgw status --json\n", gateway_status},
    {"doctor",
     "",
     {doctor_options},
     "look for what is wrong, and say what to do about it",
     "Configuration, clock, disk, database, network, multicast, certificates, uplink and each device; those that were "
     "not heard of are asked, at most 20. What concerns the machine is looked at on the machine where it runs. The "
     "exit "
     "code is 1 when there are errors; warnings alone are no failure.",
     "  tcgw doctor\n"
     "  tcgw doctor --json | jq '.findings[] | select(.state != \"ok\")'\n",
     doctor_run},
    {"support-bundle",
     "",
     {bundle_options, doctor_options},
     "write what somebody who helps has to see into one file",
     "A tar.gz with what tcgw doctor finds, the gateway's state and metrics, its log and configuration, and the state "
     "of "
     "the machine. Keys, passwords and tokens are left out; names and addresses are not.",
     "  tcgw support-bundle -o bundle.tar.gz\n",
     support_bundle},
    {"top",
     "",
     {top_options},
     "watch devices, operations, transfers and rates on the terminal",
     "Keys: 1, 2, 3 or Tab choose what is shown, s and S the column that it is sorted by, r turns that round, p "
     "pauses, + "
     "and - change how often the gateway is asked, ? explains, q quits. Shows the first 1000 of each. With --json it "
     "is "
     "one look, for scripts.",
     "  tcgw top\n"
     "  tcgw top --json | jq .rates\n",
     top_run},
    {"version", "", {NULL}, "print the version of this program", NULL, "  tcgw version\n", gateway_version},
    {"completion",
     "bash|zsh|fish",
     {NULL},
     "print a completion script for a shell",
     NULL,
     "  tcgw completion bash > ~/.local/share/bash-completion/completions/tcgw\n",
     gateway_completion},
    {"help",
     "[COMMAND] [SUBCOMMAND]",
     {help_options},
     "explain a command, or list them",
     NULL,
     "  tcgw help device add\n",
     gateway_help},
};
const size_t commands_gateway_size = array_size(commands_gateway);
