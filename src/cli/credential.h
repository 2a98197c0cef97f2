#ifndef TC_CLI_CREDENTIAL_H
#define TC_CLI_CREDENTIAL_H

#include "cli/cli.h"

#include <jansson.h>
#include <stddef.h>

/* The forms that credentials take for firmware and for other programs. All are the device's side of them: its Sender ID
 * is the gateway's Recipient ID. */

#define CREDENTIAL_FORMS "json libcoap aiocoap c pem qr"

/* Whether credentials of a kind can be written in a form. */
bool credential_has_form(const char *kind, const char *form);
/* Writes secrets (docs/rest-api.md, "Credentials"). False when they lack something. */
bool credential_write(struct cli *cli, FILE *to, const char *form, const json_t *secrets);

/* Reads what credential_write makes as json, libcoap and aiocoap (OSCORE); which it is shows in the text. *out is the
 * body for an import with the ids of the device's side. 0, or CLI_INVALID with an error written. */
int credential_read(struct cli *cli, const char *name, const char *text, json_t **out) must_check;

/* Draws a text as a QR code with half blocks. False when it is too long. */
bool credential_draw_qr(FILE *to, const char *text, bool colours);

#endif
