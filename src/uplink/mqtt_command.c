#include "uplink/mqtt.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "uplink/command.h"

#include <mqtt_protocol.h>
#include <string.h>

/* A command that is worked on, or whose answer is on its way. */
struct command {
    struct list node;
    int mid;           /* of the answer */
    size_t size;       /* of the answer */
    struct mqtt *mqtt; /* NULL: the sink is gone */
    char topic[MQTT_TOPIC_MAX];
    uint8_t correlation[COMMAND_CORRELATION_MAX]; /* of MQTT 5 */
    uint16_t correlation_size;
};

/* The last level of the topic; NULL: it is none. */
static const char *correlation_of(const struct mqtt *mqtt, const char *topic)
{
    size_t n = strlen(mqtt->base);
    const char *id;

    if (strncmp(topic, mqtt->base, n) != 0 || strncmp(topic + n, "/command/", 9) != 0)
        return NULL;
    id = topic + n + 9;
    return *id && strlen(id) <= COMMAND_CORRELATION_MAX && !strchr(id, '/') ? id : NULL;
}

/* An answer must not come back as a command or pass for what the gateway says by itself, nor go to topics that are the
 * broker's own. */
static bool is_answer_topic(const struct mqtt *mqtt, const char *topic)
{
    size_t n = strlen(mqtt->base);
    bool own = strncmp(topic, mqtt->base, n) == 0 && topic[n] == '/';

    return *topic && *topic != '$' && strlen(topic) < MQTT_TOPIC_MAX &&
           (!own || strncmp(topic + n, "/response/", 10) == 0) && mosquitto_pub_topic_check(topic) == MOSQ_ERR_SUCCESS;
}

/* Where the answer goes: what MQTT 5 says, or the response topic of the correlation. */
static bool read_return(struct command *command, const struct mqtt *mqtt, const char *correlation,
                        const mosquitto_property *properties)
{
    cleanup_free char *topic = NULL;
    cleanup_free void *data = NULL;
    uint16_t size = 0;

    (void)snprintf(command->topic, sizeof command->topic, "%s/response/%s", mqtt->base, correlation);
    if (mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &topic, false) && topic) {
        if (!is_answer_topic(mqtt, topic))
            return false;
        (void)text_copy(command->topic, sizeof command->topic, topic);
    }
    if (mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &data, &size, false) && data) {
        if (size > sizeof command->correlation)
            return false;
        memcpy(command->correlation, data, size);
        command->correlation_size = size;
    }
    return true;
}

static void command_free(struct command *command)
{
    if (command->mqtt)
        command->mqtt->command_count--;
    list_unlink(&command->node);
    free(command);
}

/* The library keeps the answer until the broker has acknowledged it: so long it is counted. */
static void send_answer(struct command *command, const struct buffer *text)
{
    struct mqtt *mqtt = command->mqtt;
    mosquitto_property *properties = NULL;
    int result;

    if (text->failed) {
        command_free(command);
        return;
    }
    if (mqtt->sink->conf->mqtt_version == 5 && command->correlation_size)
        (void)mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, command->correlation,
                                            command->correlation_size);
    result = mqtt_publish(mqtt, &command->mid, command->topic, text->data, text->size, false, properties);
    mosquitto_property_free_all(&properties);
    mqtt_update_poll(mqtt);
    if (result != MOSQ_ERR_SUCCESS) {
        command_free(command);
        return;
    }
    list_unlink(&command->node);
    list_append(&mqtt->answers, &command->node);
    mqtt->command_count--;
    mqtt->answer_count++;
    mqtt->answer_bytes += command->size = text->size;
}

static void answer_free(struct command *command)
{
    command->mqtt->answer_count--;
    command->mqtt->answer_bytes -= command->size;
    list_unlink(&command->node);
    free(command);
}

void mqtt_answer_taken(struct mqtt *mqtt, int mid)
{
    list_each(node, &mqtt->answers)
    {
        struct command *command = container_of(node, struct command, node);

        if (command->mid == mid) {
            answer_free(command);
            return;
        }
    }
}

void mqtt_forget_answers(struct mqtt *mqtt)
{
    while (!list_empty(&mqtt->answers))
        answer_free(list_first(&mqtt->answers, struct command, node));
}

static void answered(void *arg, const struct uplink_answer *answer)
{
    cleanup_buffer struct buffer text = {0};
    struct command *command = arg;

    if (!command->mqtt) {
        command_free(command);
        return;
    }
    command_format_answer(&text, answer);
    send_answer(command, &text);
}

static void refuse(struct command *command, enum fault_code code, const char *detail)
{
    cleanup_buffer struct buffer text = {0};

    command->mqtt->sink->stats.commands_refused++;
    command_format_refusal(&text, (int)code, detail);
    send_answer(command, &text);
}

static void run(struct command *command, const struct uplink_request *parsed)
{
    struct uplink_request request = *parsed;
    struct sink *sink = command->mqtt->sink;
    const struct uplink_options *options = &sink->uplink->options;

    if (sink->conf->commands == CONF_COMMANDS_READ && !command_is_read(&request)) {
        refuse(command, FAULT_FORBIDDEN, "This sink may read only (commands = read)");
        return;
    }
    request.sink = sink->conf->name;
    request.role = sink->conf->commands == CONF_COMMANDS_READ ? ROLE_VIEWER : ROLE_PLATFORM;
    request.confidential = sink->conf->tls;
    sink->stats.commands++;
    log_info("command of the platform", "sink", sink->conf->name, "method", request.method, "path", request.target,
             NULL);
    if (!options->dispatch || options->dispatch(options->dispatch_arg, &request, answered, command) < 0)
        refuse(command, FAULT_SHUTTING_DOWN, "The gateway takes no commands now");
}

/* Retained ones would be carried out with each new connection. */
static bool is_worth_an_answer(struct mqtt *mqtt, const struct mosquitto_message *message, const char *correlation)
{
    bool good = correlation && !message->retain && mqtt->sink->conf->commands != CONF_COMMANDS_OFF;

    if (good && mqtt->answer_count < MQTT_ANSWERS_MAX)
        return true;
    mqtt->sink->stats.commands_refused++;
    if (!good)
        log_warning("a command is ignored, since it is retained or has no correlation id", "sink",
                    mqtt->sink->conf->name, NULL);
    return false;
}

void mqtt_take_command(struct mqtt *mqtt, const struct mosquitto_message *message, const mosquitto_property *properties)
{
    const char *correlation = correlation_of(mqtt, message->topic), *problem;
    struct command_message parsed;
    struct command *command;

    if (!is_worth_an_answer(mqtt, message, correlation))
        return;
    command = calloc(1, sizeof *command);
    if (!command)
        return;
    command->mqtt = mqtt;
    list_append(&mqtt->commands, &command->node);
    mqtt->command_count++;
    if (!read_return(command, mqtt, correlation, properties)) {
        mqtt->sink->stats.commands_refused++;
        command_free(command);
        return;
    }
    problem = command_parse(&parsed, message->payload, (size_t)message->payloadlen);
    if (mqtt->command_count > MQTT_COMMANDS_MAX)
        refuse(command, FAULT_RATE_LIMITED, "16 commands of this sink are being worked on");
    else if (mqtt->answer_bytes > MQTT_ANSWER_BYTES)
        refuse(command, FAULT_RATE_LIMITED, "The broker has not acknowledged 2 MiB of answers");
    else if (problem)
        refuse(command, FAULT_MALFORMED_REQUEST, problem);
    else
        run(command, &parsed.request);
    command_clear(&parsed);
}

void mqtt_forget_commands(struct mqtt *mqtt)
{
    while (!list_empty(&mqtt->commands)) {
        struct command *command = list_first(&mqtt->commands, struct command, node);

        list_unlink(&command->node);
        command->mqtt = NULL;
    }
}
