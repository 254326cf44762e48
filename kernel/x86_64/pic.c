/*
 * kernel/x86_64/pic.c - the pair of 8259 interrupt controllers (Intel 8259A data sheet).
 *
 * They reach the processor through the local APIC's LINT0 pin in ExtINT mode ("virtual wire"): the
 * APIC passes the vector on and wants no EOI of its own. Trigger modes (ELCR) are firmware's: it
 * knows which lines are PCI's.
 */
#include "kernel/x86_64/pic.h"

#include "kernel/x86_64/regs.h"

#define PIC1_COMMAND      0x20
#define PIC1_DATA         0x21
#define PIC2_COMMAND      0xa0
#define PIC2_DATA         0xa1

#define ICW1_INIT_ICW4    0x11 /* edge (ELCR overrides), cascaded, ICW4 follows */
#define ICW4_8086         0x01
#define OCW2_SPECIFIC_EOI 0x60
#define OCW3_READ_ISR     0x0b
#define ALL_MASKED        0xff

/* What the mask registers hold; kernel/irq.c's lock. */
static uint16_t masked;

static void write_masks(void)
{
	outb(PIC1_DATA, masked & 0xff);
	outb(PIC2_DATA, masked >> 8);
}

void pic_init(uint8_t vector)
{
	outb(PIC1_DATA, ALL_MASKED);
	outb(PIC2_DATA, ALL_MASKED);
	outb(PIC1_COMMAND, ICW1_INIT_ICW4);
	outb(PIC2_COMMAND, ICW1_INIT_ICW4);
	outb(PIC1_DATA, vector);
	outb(PIC2_DATA, vector + 8);
	outb(PIC1_DATA, 1u << PIC_CASCADE); /* ICW3: which input has the second one … */
	outb(PIC2_DATA, PIC_CASCADE);       /* … and which one it is */
	outb(PIC1_DATA, ICW4_8086);
	outb(PIC2_DATA, ICW4_8086);
	outb(PIC1_COMMAND, OCW3_READ_ISR);
	outb(PIC2_COMMAND, OCW3_READ_ISR);
	masked = UINT16_MAX & ~(1u << PIC_CASCADE);
	write_masks();
}

void pic_mask(unsigned line)
{
	masked |= 1u << line;
	write_masks();
}

void pic_unmask(unsigned line)
{
	masked &= ~(1u << line);
	write_masks();
}

bool pic_is_real(unsigned line)
{
	if (line == 7)
		return inb(PIC1_COMMAND) & 1u << 7;
	if (line == 15 && !(inb(PIC2_COMMAND) & 1u << 7)) {
		outb(PIC1_COMMAND, OCW2_SPECIFIC_EOI | PIC_CASCADE);
		return false;
	}
	return true;
}

void pic_end(unsigned line)
{
	if (line >= 8) {
		outb(PIC2_COMMAND, OCW2_SPECIFIC_EOI | (line - 8));
		line = PIC_CASCADE;
	}
	outb(PIC1_COMMAND, OCW2_SPECIFIC_EOI | line);
}
