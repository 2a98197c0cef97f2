#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/handlers.h"
#include "cli/options.h"

/* What needs no gateway. */

const struct command commands_offline[] = {
    {"metadata build",
     "FILE",
     {build_options, describe_options},
     "make signed metadata for a code file, offline",
     NULL,
     "  tcgw metadata build counter.rbpf --key key.pem --uid counter -o counter.metadata\n",
     metadata_command_build},
    {"metadata inspect",
     "FILE",
     {inspect_options},
     "show and verify metadata, offline",
     NULL,
     "  tcgw metadata inspect counter.metadata --key key.pem --code counter.rbpf\n",
     metadata_command_inspect},
    {"suit create",
     "",
     {suit_create_options, suit_sign_options},
     "make a SUIT manifest, offline",
     "Options behind --component belong to that component; those before the first one belong to all. Components with "
     "the same id and different offsets are slots of one component. Without --key the manifest is not signed.",
     "  tcgw suit create --vendor riot-os.org --class native --component ram/0 --file job.bin "
     "--uri coap://[fd00::1]/job.bin -k key.pem -o job.suit\n",
     suit_command_create},
    {"suit sign",
     "FILE",
     {suit_sign_options},
     "sign a SUIT manifest, in place of those who signed it before",
     NULL,
     "  tcgw suit sign job.suit -k 'pkcs11:token=release;object=signer' -o signed.suit\n",
     suit_command_sign},
    {"suit verify",
     "FILE",
     {suit_verify_options},
     "check who signed a SUIT manifest, and its payloads",
     NULL,
     "  tcgw suit verify job.suit -k key.pub --payload job.bin\n",
     suit_command_verify},
    {"suit show",
     "FILE",
     {NULL},
     "show what a SUIT manifest tells a device to do",
     NULL,
     "  tcgw suit show job.suit\n",
     suit_command_show},
    {"key generate",
     "FILE",
     {generate_options},
     "make a private key in a new file that only you can read",
     NULL,
     "  tcgw key generate release.pem && tcgw key show release.pem --pem > release.pub\n",
     key_command_generate},
    {"key show",
     "[KEY]",
     {key_options},
     "show the public key that devices have to trust, or that of another key",
     "KEY is a PEM file, private or public, or the URI of a TPM or token (docs/suit.md). Without one it is the "
     "gateway's.",
     "  tcgw key show --pem > gateway.pub\n",
     key_command_show},
};
const size_t commands_offline_size = array_size(commands_offline);
