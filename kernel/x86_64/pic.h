/*
 * kernel/x86_64/pic.h - the pair of 8259 interrupt controllers, lines 0 to 15.
 *
 * Callers serialise mask and unmask (kernel/irq.c's lock). The rest is for the CPU that takes the
 * pair's interrupts, with interrupts off.
 */
#ifndef HAWSER_KERNEL_X86_64_PIC_H
#define HAWSER_KERNEL_X86_64_PIC_H

#include "kernel/base.h"

#define PIC_LINES   16
#define PIC_CASCADE 2 /* where the second one is connected: no device has it */

/* Line n becomes vector `vector` + n; everything masked. `vector` is a multiple of 8. */
void pic_init(uint8_t vector);
void pic_mask(unsigned line);
void pic_unmask(unsigned line);

/*
 * True if the pair really has `line` in service. A line that was withdrawn while the processor
 * was being told reads as 7 or 15 and is not in service; what is to be said to the first chip about
 * a spurious 15 has been said.
 */
bool pic_is_real(unsigned line);
/* The line has been handled: the next one may come. */
void pic_end(unsigned line);

#endif
