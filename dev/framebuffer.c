/*
 * dev/framebuffer.c - QEMU's standard VGA as a framebuffer. See the header, and docs/specs/standard-vga.rst
 * of QEMU: BAR 0 is the memory, BAR 2 has the registers of the Bochs display interface (DISPI), 16 bits each.
 */
#include "dev/framebuffer.h"

#include "dev/pci.h"
#include "dev/vga.h"
#include "kernel/lock.h"
#include "kernel/log.h"

#define MEMORY_BAR   0
#define REGISTER_BAR 2
#define DISPI_OFFSET 0x500

/* What the DISPI identifies itself by; from version 5 on the registers are in BAR 2. */
#define DISPI_ID_MASK 0xfff0
#define DISPI_ID      0xb0c0

#define ENABLED       0x01
#define LINEAR        0x40 /* the memory is in BAR 0, not in a window */

/* The largest that the DISPI takes. */
#define WIDTH_MAX  16000
#define HEIGHT_MAX 12000
#define WIDTH_STEP 8

enum dispi {
	DISPI_REG_ID,
	DISPI_REG_WIDTH,
	DISPI_REG_HEIGHT,
	DISPI_REG_BITS,
	DISPI_REG_ENABLE,
	DISPI_REG_BANK,
	DISPI_REG_VIRTUAL_WIDTH,
	DISPI_REG_VIRTUAL_HEIGHT,
	DISPI_REG_X,
	DISPI_REG_Y,
	DISPI_REGS,
};

static const struct pci_id ids[] = { { 0x1234, 0x1111 }, { 0, 0 } };

static const struct framebuffer_mode first_mode = { 1024, 768, 32 };

static struct {
	struct pci_device *device; /* NULL: there is none; fixed at boot, as the next two */
	struct pci_bar memory;
	volatile uint16_t *dispi;
	struct mutex lock;            /* RANK_STREAM: the registers, and */
	void *mapped;                 /* the kernel's view, or NULL */
	struct framebuffer_mode mode; /* 0 by 0: text, as the firmware left it */
} fb;

void framebuffer_probe(void)
{
	struct pci_device *device = pci_find(NULL, ids);
	void *dispi;

	mutex_init(&fb.lock, "framebuffer", RANK_STREAM);
	if (device == NULL || pci_bar(device, MEMORY_BAR, &fb.memory) < 0 || fb.memory.io)
		return;
	if (pci_map(device, REGISTER_BAR, DISPI_OFFSET, DISPI_REGS * sizeof(uint16_t), &dispi) < 0)
		return;
	fb.dispi = dispi;
	if ((fb.dispi[DISPI_REG_ID] & DISPI_ID_MASK) != DISPI_ID)
		return;
	fb.device = device;
	log_info("fb0: %lu KiB at %#lx", fb.memory.size / KIB, fb.memory.address);
}

bool framebuffer_present(void)
{
	return fb.device != NULL;
}

paddr_t framebuffer_base(void)
{
	return fb.memory.address;
}

uint64_t framebuffer_size(void)
{
	return fb.memory.size;
}

void *framebuffer_map(void)
{
	void *mapped;

	mutex_lock(&fb.lock);
	if (fb.mapped == NULL && pci_map(fb.device, MEMORY_BAR, 0, fb.memory.size, &fb.mapped) < 0)
		fb.mapped = NULL;
	mapped = fb.mapped;
	mutex_unlock(&fb.lock);
	return mapped;
}

bool framebuffer_can(const struct framebuffer_mode *mode)
{
	if (mode->bits != 16 && mode->bits != 32)
		return false;
	if (mode->width == 0 || mode->width > WIDTH_MAX || mode->width % WIDTH_STEP != 0 ||
	    mode->height == 0 || mode->height > HEIGHT_MAX)
		return false;
	return (uint64_t)mode->width * mode->height * (mode->bits / 8) <= fb.memory.size;
}

/* With the lock held. Switching it on clears the memory. */
static void set_mode(const struct framebuffer_mode *mode)
{
	vga_stop();
	fb.dispi[DISPI_REG_ENABLE] = 0;
	fb.dispi[DISPI_REG_WIDTH] = (uint16_t)mode->width;
	fb.dispi[DISPI_REG_HEIGHT] = (uint16_t)mode->height;
	fb.dispi[DISPI_REG_BITS] = (uint16_t)mode->bits;
	fb.dispi[DISPI_REG_BANK] = 0;
	fb.dispi[DISPI_REG_VIRTUAL_WIDTH] = (uint16_t)mode->width;
	fb.dispi[DISPI_REG_X] = 0;
	fb.dispi[DISPI_REG_Y] = 0;
	fb.dispi[DISPI_REG_ENABLE] = ENABLED | LINEAR;
	fb.mode = *mode;
}

void framebuffer_set_mode(const struct framebuffer_mode *mode)
{
	assert(framebuffer_can(mode));
	mutex_lock(&fb.lock);
	set_mode(mode);
	mutex_unlock(&fb.lock);
}

struct framebuffer_mode framebuffer_get_mode(void)
{
	struct framebuffer_mode mode;

	mutex_lock(&fb.lock);
	if (fb.mode.width == 0)
		set_mode(&first_mode);
	mode = fb.mode;
	mutex_unlock(&fb.lock);
	return mode;
}
