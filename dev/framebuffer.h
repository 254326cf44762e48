/*
 * dev/framebuffer.h - the picture memory of QEMU's standard VGA (PCI 1234:1111), and its modes.
 *
 * The card starts as a VGA with a text screen. The first mode that is set turns it into a plain array of
 * pixels, and there is no way back: text mode keeps its font in the same memory, which is drawn over. From
 * then on the text screen shows nothing, and the console is what else `console=` names.
 */
#ifndef HAWSER_DEV_FRAMEBUFFER_H
#define HAWSER_DEV_FRAMEBUFFER_H

#include "kernel/base.h"

struct framebuffer_mode {
	uint32_t width, height; /* pixels */
	uint32_t bits;          /* of a pixel: 16 (5:6:5) or 32 (8:8:8, the highest byte unused) */
};

/* Looks for the card. Once, at boot, after pci_init(). */
void framebuffer_probe(void);
bool framebuffer_present(void);

/* Where its memory is, in the processor's addresses, and how much. There is a card. */
paddr_t framebuffer_base(void);
uint64_t framebuffer_size(void);
/* The same for the kernel, mapped at the first call; NULL: no memory. */
void *framebuffer_map(void);

/* True if the card can show it. */
bool framebuffer_can(const struct framebuffer_mode *mode);
/* Shows that mode, black. It can. Sleeps. */
void framebuffer_set_mode(const struct framebuffer_mode *mode);
/* What is shown; a mode is set if none has been. Sleeps. */
struct framebuffer_mode framebuffer_get_mode(void);

#endif
