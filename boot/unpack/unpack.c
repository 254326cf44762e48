/*
 * boot/unpack/unpack.c - the kernel in the image is packed, and this unpacks it.
 *
 * What is packed is one frame as lz4(1) writes it (lz4_Frame_format.md of the LZ4 project), with one block
 * in it and a checksum of the content, which the kernel must have before it is entered. All this runs at
 * physical addresses, and is memory like any other once the kernel runs:
 *
 *	┌──────────┬───────────────────┬────────────────┬──────────────────────┐
 *	│ unpack   │ payload           │ stack, tables  │ kernel, with its BSS │
 *	└──────────┴───────────────────┴────────────────┴──────────────────────┘
 *	0 (the file ends behind the payload)                          init_size
 */
#include "boot/unpack/unpack.h"

#include "kernel/string.h"
#include "kernel/x86_64/regs.h"
#include <lz4.h>
#include <xxhash.h>

#define FRAME_MAGIC UINT32_C(0x184d2204)
/* Version 1, independent blocks, the content's size in the header and its checksum at the end. */
#define FRAME_FLAGS 0x6c
#define BLOCK_PLAIN (UINT32_C(1) << 31) /* of a block's size: it is not packed */

struct frame_head {
	uint32_t magic;
	uint8_t flags, block_descriptor;
	uint64_t content_size;
	uint8_t header_checksum;
	uint32_t block_size;
} __packed;

/* Behind the block. */
struct frame_tail {
	uint32_t end_mark;
	uint32_t content_checksum;
} __packed;

/* --- when it cannot be done -------------------------------------------------------------------------- */

#define COM1          0x3f8
#define COM1_DIVISOR  1 /* 115,200 baud */
#define LINE_8N1      0x03
#define LINE_DIVISOR  0x80
#define LINE_EMPTY    0x20 /* of the status: the next byte may be written */
#define LINE_PATIENCE 1000000
#define VGA_TEXT      UINT64_C(0xb8000)
#define VGA_WHITE_RED 0x4f00

static void serial_put(char c)
{
	for (unsigned i = 0; i < LINE_PATIENCE && !(inb(COM1 + 5) & LINE_EMPTY); i++)
		cpu_relax();
	outb(COM1, (uint8_t)c);
}

/* On the first serial line and on the screen: what the command line asks for, nobody has read yet. */
static __noreturn void give_up(const char *why)
{
	volatile uint16_t *screen = (volatile uint16_t *)VGA_TEXT;

	outb(COM1 + 3, LINE_DIVISOR);
	outb(COM1, COM1_DIVISOR);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, LINE_8N1);
	for (; *why; why++) {
		serial_put(*why);
		if (*why >= ' ')
			*screen++ = VGA_WHITE_RED | (uint8_t)*why;
	}
	for (;;)
		asm volatile("hlt");
}

/* ------------------------------------------------------------------------------------------------------- */

void unpack(const char *payload, const char *payload_end, char *to, const char *to_end)
{
	struct frame_head head;
	struct frame_tail tail;
	size_t room = (size_t)(payload_end - payload), content;
	int done;

	memcpy(&head, payload, sizeof(head));
	content = head.content_size;
	if (head.magic != FRAME_MAGIC || head.flags != FRAME_FLAGS ||
	    (head.block_size & BLOCK_PLAIN) ||
	    head.block_size + sizeof(head) + sizeof(tail) != room ||
	    content > (size_t)(to_end - to))
		give_up("\r\nHawser: the image is damaged: its kernel is not packed as it should "
			"be\r\n");
	done = LZ4_decompress_safe(payload + sizeof(head), to, (int)head.block_size, (int)content);
	memcpy(&tail, payload + sizeof(head) + head.block_size, sizeof(tail));
	if (done < 0 || (size_t)done != content || tail.end_mark != 0 ||
	    XXH32(to, content, 0) != tail.content_checksum)
		give_up("\r\nHawser: the image is damaged: its kernel has a wrong checksum\r\n");
}
