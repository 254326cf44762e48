/*
 * net/tftp_packet.c - composing and taking apart TFTP's packets; see the header for their shapes.
 *
 * Nothing here believes a length or a terminator that came from the wire.
 */
#include "net/tftp_packet.h"

#include "kernel/string.h"

/* A packet that grows: appending beyond `size` sets `full` and changes nothing. */
struct builder {
	uint8_t *out;
	size_t size, length;
	bool full;
};

static void append(struct builder *builder, const void *bytes, size_t length)
{
	if (builder->full || length > builder->size - builder->length) {
		builder->full = true;
		return;
	}
	memcpy(builder->out + builder->length, bytes, length);
	builder->length += length;
}

static void append16(struct builder *builder, uint16_t value)
{
	uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	append(builder, bytes, sizeof(bytes));
}

static void append_string(struct builder *builder, const char *s)
{
	append(builder, s, strlen(s) + 1);
}

/* Appends a whole option or nothing; false if there was no room. */
static bool append_option(struct builder *builder, const char *name, uint32_t value)
{
	size_t before = builder->length;
	char digits[11];

	snprintf(digits, sizeof(digits), "%u", value);
	append_string(builder, name);
	append_string(builder, digits);
	if (!builder->full)
		return true;
	builder->length = before;
	builder->full = false;
	return false;
}

size_t tftp_compose_request(uint8_t *out, const char *path, struct tftp_options *asked)
{
	struct builder builder = { .out = out, .size = TFTP_REQUEST_MAX };

	append16(&builder, TFTP_RRQ);
	append_string(&builder, path);
	append_string(&builder, "octet");
	if (builder.full)
		return 0;
	if (asked->blksize != 0 && !append_option(&builder, "blksize", asked->blksize))
		asked->blksize = 0;
	if (asked->size >= 0 && !append_option(&builder, "tsize", 0))
		asked->size = -1;
	if (asked->windowsize != 0 && !append_option(&builder, "windowsize", asked->windowsize))
		asked->windowsize = 0;
	if (asked->timeout != 0 && !append_option(&builder, "timeout", asked->timeout))
		asked->timeout = 0;
	return builder.length;
}

size_t tftp_compose_ack(uint8_t *out, uint16_t block)
{
	out[0] = 0;
	out[1] = TFTP_ACK;
	out[2] = (uint8_t)(block >> 8);
	out[3] = (uint8_t)block;
	return TFTP_HEADER_SIZE;
}

size_t tftp_compose_error(uint8_t *out, enum tftp_error code, const char *text)
{
	struct builder builder = { .out = out, .size = TFTP_ERROR_MAX };
	size_t room = TFTP_ERROR_MAX - TFTP_HEADER_SIZE - 1;

	append16(&builder, TFTP_ERROR);
	append16(&builder, (uint16_t)code);
	append(&builder, text, MIN(strlen(text), room));
	append(&builder, "", 1);
	return builder.length;
}

/* The next NUL-terminated string of a packet, or NULL if there is none that ends inside it. */
static const char *next_string(const uint8_t *packet, size_t length, size_t *at)
{
	const uint8_t *start = packet + *at, *end;

	if (*at >= length)
		return NULL;
	end = memchr(start, '\0', length - *at);
	if (end == NULL)
		return NULL;
	*at += (size_t)(end - start) + 1;
	return (const char *)start;
}

/* A decimal number from 0 to `max` with nothing around it. */
static bool parse_number(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value) || value > max)
			return false;
	}
	*out = value;
	return true;
}

bool tftp_parse_oack(const uint8_t *packet, size_t length, const struct tftp_options *asked,
		     struct tftp_options *agreed)
{
	const char *name, *text;
	size_t at = sizeof(uint16_t);
	uint64_t value;

	*agreed = (struct tftp_options){ .size = -1 };
	while (at < length) {
		name = next_string(packet, length, &at);
		text = name != NULL ? next_string(packet, length, &at) : NULL;
		if (text == NULL)
			return false;
		if (strcasecmp(name, "blksize") == 0) {
			if (!parse_number(text, asked->blksize, &value) || value < TFTP_BLOCK_MIN)
				return false;
			agreed->blksize = (uint32_t)value;
		} else if (strcasecmp(name, "windowsize") == 0) {
			if (!parse_number(text, asked->windowsize, &value) || value == 0)
				return false;
			agreed->windowsize = (uint32_t)value;
		} else if (strcasecmp(name, "timeout") == 0) {
			if (!parse_number(text, asked->timeout, &value) || value == 0 ||
			    value != asked->timeout)
				return false;
			agreed->timeout = (uint32_t)value;
		} else if (strcasecmp(name, "tsize") == 0) {
			if (asked->size < 0 || !parse_number(text, INT64_MAX, &value))
				return false;
			agreed->size = (int64_t)value;
		} else {
			return false;
		}
	}
	return true;
}

void tftp_error_text(const uint8_t *packet, size_t length, char *out, size_t size)
{
	size_t from, to = 0;

	for (from = TFTP_HEADER_SIZE; from < length && packet[from] != '\0' && to + 1 < size;
	     from++)
		out[to++] = packet[from] >= ' ' && packet[from] <= '~' ? (char)packet[from] : '.';
	out[to] = '\0';
}
