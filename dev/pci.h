/*
 * dev/pci.h - the PCI devices that the firmware left behind, and what a driver needs of one.
 *
 * Configuration space is reached by mechanism #1 (ports 0xcf8 and 0xcfc), which every PC and every
 * hypervisor has; the extended space above 256 bytes is not used. Buses, bridges and BARs are taken
 * as the firmware set them up. Devices are found once, at boot, and do not go away.
 *
 * pci_init() and everything that changes a device run in its driver's start, one thread at a time.
 */
#ifndef HAWSER_DEV_PCI_H
#define HAWSER_DEV_PCI_H

#include "kernel/base.h"
#include "kernel/irq.h"
#include <linux/pci_regs.h>

/* What a base address register decodes; size 0 if nothing. */
struct pci_bar {
	paddr_t address; /* or the port, if io */
	uint64_t size;
	bool io;
};

struct pci_device {
	struct pci_device *next;
	uint8_t bus, slot, function;
	uint8_t revision;
	uint16_t vendor, device;
	uint16_t class;      /* base class << 8 | subclass */
	uint8_t *msix_table; /* mapped by the first pci_msix_attach() */
	bool bars_measured;  /* by the first pci_bar() */
	struct pci_bar bars[PCI_STD_NUM_BARS];
};

/* A driver's list of what it drives, ended by vendor 0. */
struct pci_id {
	uint16_t vendor, device;
};

/* Finds every device, behind bridges too. Once; needs mm. */
void pci_init(void);

/*
 * The first device after `after` (NULL: of all) that is in `ids` (NULL: any); NULL at the end.
 *
 *	for (d = NULL; (d = pci_find(d, ids)) != NULL;)
 */
struct pci_device *pci_find(struct pci_device *after, const struct pci_id *ids);

/* Configuration space; the offset is below 256 and a multiple of the width. Any context. */
uint8_t pci_read8(const struct pci_device *device, unsigned offset);
uint16_t pci_read16(const struct pci_device *device, unsigned offset);
uint32_t pci_read32(const struct pci_device *device, unsigned offset);
void pci_write16(const struct pci_device *device, unsigned offset, uint16_t value);
void pci_write32(const struct pci_device *device, unsigned offset, uint32_t value);

/*
 * Where the capability `id` (PCI_CAP_ID_*) begins that follows the one at `after` (0: the first);
 * 0 if there is none. However the list is linked, a walk ends.
 */
unsigned pci_capability(const struct pci_device *device, unsigned after, uint8_t id);

/* Lets the device decode its BARs and master the bus; with `false`, takes bus mastering away. */
void pci_enable(struct pci_device *device, bool enable);

/*
 * What BAR `index` (0..5) decodes. All are measured at the first call, with decoding off. -ENXIO if
 * it is empty or the firmware gave it no address; -EINVAL if there is no such BAR.
 */
int pci_bar(struct pci_device *device, unsigned index, struct pci_bar *out);

/* Maps [offset, offset + length) of a memory BAR. -EINVAL if it is not wholly inside; -ENOMEM. */
int pci_map(struct pci_device *device, unsigned index, uint64_t offset, uint64_t length,
	    void **out);

/* How many MSI-X vectors the device has; 0 if it cannot. */
unsigned pci_msix_count(const struct pci_device *device);
/*
 * Routes MSI-X vector `vector` to the handler, and unmasks it. Nothing arrives before
 * pci_msix_enable(). -ENOSPC, -EINVAL, -ENXIO, -ENOMEM; a CPU vector, once taken, is kept.
 */
int pci_msix_attach(struct pci_device *device, unsigned vector, struct irq_handler *handler);
/* Switches the device between MSI-X and its interrupt line. */
void pci_msix_enable(struct pci_device *device, bool enable);

/* Shares the legacy line that the firmware routed. -ENXIO if it routed none. */
int pci_line_attach(struct pci_device *device, struct irq_handler *handler);

#endif
