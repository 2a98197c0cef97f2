#ifndef TC_UPLINK_MQTT_H
#define TC_UPLINK_MQTT_H

#include "uplink/sink.h"

#include <mosquitto.h>

/* What mqtt.c (connection), mqtt_send.c (entries and their acknowledgements) and mqtt_command.c share. */

#define MQTT_TOPIC_MAX 512
#define MQTT_COMMANDS_MAX 16         /* that are worked on for a sink */
#define MQTT_ANSWERS_MAX 256         /* that the broker has not acknowledged; over that commands get none */
#define MQTT_ANSWER_BYTES (2u << 20) /* of them; over that commands are refused */

/* An entry that was published. */
struct flight {
    uint64_t seq;
    uint64_t sent_at; /* uv_now */
    int mid;
    bool acknowledged;
};

/*
 * One connection, from its first attempt to its end. Looking up a name blocks, so mosquitto_connect_async runs on
 * another thread, and until that is done nobody else touches `mosq`. A link that is dropped is freed when its handle
 * has closed, or when that thread is done.
 */
struct link {
    struct mqtt *mqtt; /* NULL: dropped */
    struct mosquitto *mosq;
    uv_work_t work;
    uv_poll_t poll;
    bool working, polled, connected, refused, gone;
    int result; /* of mosquitto_connect_async */
    int events; /* of the poll */
    char host[168];
    int port, keepalive;
    bool uses_tls;
    char problem[128]; /* what the library last said */
};

struct mqtt {
    struct sink *sink;
    struct link *link;
    char base[MQTT_TOPIC_MAX / 2]; /* "tcgw/gateway" */
    struct buffer password, scratch;
    struct flight *flights; /* a ring of `window` */
    size_t window, head, count;
    uint64_t connected_at; /* uv_now */
    int letter_mid;        /* of the dead letter that was published; 0: none */
    uint64_t refused_seq;  /* the entry that the broker refused last, and how often */
    unsigned refusals;
    bool pumping;
    struct list commands; /* command.node, that are worked on */
    struct list answers;  /* command.node, whose answers the broker has not acknowledged */
    unsigned command_count, answer_count;
    size_t answer_bytes;
};

/* mqtt.c */
/* Ends the connection and tries again later. Not from within a callback of the library: link->gone is for those. */
void mqtt_drop(struct mqtt *mqtt);
void mqtt_update_poll(struct mqtt *mqtt);
/* Publishes with QoS 1. Returns the library's result. */
int mqtt_publish(struct mqtt *mqtt, int *mid, const char *topic, const void *payload, size_t size, bool retain,
                 const mosquitto_property *properties);

/* mqtt_farewell.c */
/* Takes over a duplicate of the socket, and closes it when the broker has closed its side, or soon. */
void mqtt_linger(struct sink *sink, int fd);

/* mqtt_send.c */
void mqtt_pump(struct sink *sink);
void mqtt_acknowledged(struct mqtt *mqtt, int mid, int reason);
/* How long the oldest entry has waited for its acknowledgement, ms. */
uint64_t mqtt_oldest_wait(const struct mqtt *mqtt);
void mqtt_send_letter(struct sink *sink, const struct dead_letter *letter);

/* mqtt_command.c */
void mqtt_take_command(struct mqtt *mqtt, const struct mosquitto_message *message,
                       const mosquitto_property *properties);
void mqtt_answer_taken(struct mqtt *mqtt, int mid);
void mqtt_forget_answers(struct mqtt *mqtt); /* they went with the connection */
void mqtt_forget_commands(struct mqtt *mqtt);

#endif
