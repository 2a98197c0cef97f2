#include <arpa/inet.h>
#include <coap3/coap.h>
#include <stdio.h>
#include <stdlib.h>

/* A bare libcoap server for comparison: POST /t is answered 2.04, and nothing is done. Prints its port when it is
 * ready. */

static void on_post(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                    const coap_string_t *query, coap_pdu_t *response)
{
    (void)resource;
    (void)session;
    (void)request;
    (void)query;
    coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
}

int main(int argc, char **argv)
{
    coap_address_t address;
    coap_context_t *context;
    coap_resource_t *resource;

    if (argc != 2)
        return 2;
    coap_startup();
    coap_address_init(&address);
    address.addr.sin.sin_family = AF_INET;
    address.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.addr.sin.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    address.size = sizeof address.addr.sin;
    context = coap_new_context(NULL);
    if (!context || !coap_new_endpoint(context, &address, COAP_PROTO_UDP)) {
        (void)fprintf(stderr, "raw_coap_server: cannot listen\n");
        return 1;
    }
    resource = coap_resource_init(coap_make_str_const("t"), 0);
    coap_register_handler(resource, COAP_REQUEST_POST, on_post);
    coap_add_resource(context, resource);
    printf("%s\n", argv[1]);
    (void)fflush(stdout);
    while (coap_io_process(context, COAP_IO_WAIT) >= 0)
        ;
    return 0;
}
