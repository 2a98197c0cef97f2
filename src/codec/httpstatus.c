#include "codec/httpstatus.h"

#include "base/cleanup.h"
#include "tcgw/coapmsg.h"

#include <stddef.h>

int httpstatus_from_code(uint8_t code)
{
    static const struct {
        uint8_t code;
        int status;
    } map[] = {
        {COAPMSG_CODE(2, 1), 201},  {COAPMSG_CODE(2, 2), 204},  {COAPMSG_CODE(2, 3), 0},    {COAPMSG_CODE(2, 4), 204},
        {COAPMSG_CODE(2, 5), 200},  {COAPMSG_CODE(2, 31), 0},   {COAPMSG_CODE(4, 0), 400},  {COAPMSG_CODE(4, 1), 403},
        {COAPMSG_CODE(4, 2), 500},  {COAPMSG_CODE(4, 3), 403},  {COAPMSG_CODE(4, 4), 404},  {COAPMSG_CODE(4, 5), 400},
        {COAPMSG_CODE(4, 6), 406},  {COAPMSG_CODE(4, 8), 0},    {COAPMSG_CODE(4, 9), 409},  {COAPMSG_CODE(4, 12), 412},
        {COAPMSG_CODE(4, 13), 413}, {COAPMSG_CODE(4, 15), 415}, {COAPMSG_CODE(4, 22), 422}, {COAPMSG_CODE(4, 29), 429},
        {COAPMSG_CODE(5, 0), 500},  {COAPMSG_CODE(5, 1), 501},  {COAPMSG_CODE(5, 2), 502},  {COAPMSG_CODE(5, 3), 503},
        {COAPMSG_CODE(5, 4), 504},  {COAPMSG_CODE(5, 5), 502},  {COAPMSG_CODE(5, 8), 508},
    };
    static const int classes[8] = {[2] = 200, [4] = 400, [5] = 500};

    for (size_t i = 0; i < array_size(map); i++)
        if (map[i].code == code)
            return map[i].status;
    return classes[code >> 5];
}
