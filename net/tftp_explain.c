/*
 * net/tftp_explain.c - what the log says of a transfer that has failed.
 */
#include "net/tftp_proto.h"

#include "kernel/string.h"

void tftp_proto_explain(const struct tftp_proto *proto, char *out, size_t size)
{
	unsigned long long last = MAX(proto->good, proto->resume_block);
	long long announced = proto->size;

	switch (proto->reason) {
	case TFTP_TIMED_OUT:
		if (proto->send_error != 0)
			snprintf(out, size, "cannot be sent to (error %d), last block %llu",
				 -proto->send_error, last);
		else
			snprintf(out, size, "timed out after %u tries, last block %llu",
				 proto->tries, last);
		break;
	case TFTP_GIVEN_UP:
		snprintf(out, size,
			 "stalled, and asked for %u times again in vain, last block %llu",
			 proto->restarts - 1, last);
		break;
	case TFTP_REFUSED:
		snprintf(out, size, "server says error %u \"%s\", last block %llu",
			 proto->error_code, proto->error_text, last);
		break;
	case TFTP_SILENT:
		snprintf(out, size, "announced %lld bytes and sent none (a directory?)", announced);
		break;
	case TFTP_WRONG_SIZE:
		if (proto->wrong_size == 0)
			snprintf(out, size,
				 "announced %lld bytes and sent an empty file (a directory?)",
				 announced);
		else
			snprintf(out, size, "announced %lld bytes, but block %llu ends at %llu",
				 announced, (unsigned long long)proto->wrong_block,
				 (unsigned long long)proto->wrong_size);
		break;
	case TFTP_CHANGED:
		snprintf(out, size, "changed on the server during the transfer, last block %llu",
			 last);
		break;
	case TFTP_MALFORMED:
		snprintf(out, size, "server contradicts itself, last block %llu", last);
		break;
	case TFTP_PATH_TOO_LONG:
		snprintf(out, size, "the name is too long for TFTP");
		break;
	case TFTP_STOPPED:
		snprintf(out, size, "stopped, last block %llu", last);
		break;
	case TFTP_OK:
		snprintf(out, size, "no error, last block %llu", last);
		break;
	}
}
