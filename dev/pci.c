/*
 * dev/pci.c - finding PCI devices, and reaching their registers and interrupts.
 *
 * The walk starts at bus 0 and notes the bus behind each bridge that it meets. The numbers are the
 * firmware's; a bus is scanned once however the bridges are wired, so the walk ends, and one after
 * the other, so that no chain of bridges is too deep for the stack. Nothing of a device is changed by
 * looking at it: its BARs are measured only for a driver that takes it.
 */
#include "dev/pci.h"

#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/kmap.h"
#include "mm/slab.h"

/* PCI Local Bus 3.0, 3.2.2.3.2: configuration mechanism #1. */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  (1u << 31)

#define BUSES          256
#define SLOTS          32
#define FUNCTIONS      8
#define CONFIG_SIZE    256

/* Interrupt Line says "not connected" on PCs (PCI Local Bus 3.0, 6.2.4). */
#define LINE_NONE 0xff

static struct spinlock config_lock = SPINLOCK_INIT("pci config", RANK_DEVICE); /* the two ports */
static struct pci_device *devices;                                /* written by pci_init() only */
static enum { BUS_UNKNOWN, BUS_FOUND, BUS_SCANNED } buses[BUSES]; /* pci_init() only */

/* The port behind which the bytes at `offset` are; config_lock held. */
static uint16_t config_select(const struct pci_device *device, unsigned offset)
{
	outl(CONFIG_ADDRESS,
	     CONFIG_ENABLE | (uint32_t)device->bus << 16 | (uint32_t)device->slot << 11 |
		     (uint32_t)device->function << 8 | (offset & (CONFIG_SIZE - 4)));
	return CONFIG_DATA + (offset & 3);
}

#define DEFINE_CONFIG_READ(bits, in)                                                    \
	uint##bits##_t pci_read##bits(const struct pci_device *device, unsigned offset) \
	{                                                                               \
		assert(offset < CONFIG_SIZE && offset % (bits / 8) == 0);               \
		spin_lock(&config_lock);                                                \
		uint##bits##_t value = in(config_select(device, offset));               \
		spin_unlock(&config_lock);                                              \
		return value;                                                           \
	}
#define DEFINE_CONFIG_WRITE(bits, out)                                         \
	void pci_write##bits(const struct pci_device *device, unsigned offset, \
			     uint##bits##_t value)                             \
	{                                                                      \
		assert(offset < CONFIG_SIZE && offset % (bits / 8) == 0);      \
		spin_lock(&config_lock);                                       \
		out(config_select(device, offset), value);                     \
		spin_unlock(&config_lock);                                     \
	}
DEFINE_CONFIG_READ(8, inb)
DEFINE_CONFIG_READ(16, inw)
DEFINE_CONFIG_READ(32, inl)
DEFINE_CONFIG_WRITE(16, outw)
DEFINE_CONFIG_WRITE(32, outl)

/* --- finding devices ---------------------------------------------------------------------- */

/* False if there is nothing at this address. */
static bool scan_function(unsigned bus, unsigned slot, unsigned function, bool *multifunction)
{
	struct pci_device at = { .bus = bus, .slot = slot, .function = function };

	at.vendor = pci_read16(&at, PCI_VENDOR_ID);
	if (at.vendor == 0xffff || at.vendor == 0)
		return false;
	at.device = pci_read16(&at, PCI_DEVICE_ID);
	at.revision = pci_read8(&at, PCI_REVISION_ID);
	at.class = pci_read16(&at, PCI_CLASS_DEVICE);

	uint8_t header = pci_read8(&at, PCI_HEADER_TYPE);
	*multifunction = header & ~PCI_HEADER_TYPE_MASK;
	if ((header & PCI_HEADER_TYPE_MASK) == PCI_HEADER_TYPE_BRIDGE) {
		uint8_t behind = pci_read8(&at, PCI_SECONDARY_BUS);
		if (buses[behind] == BUS_UNKNOWN)
			buses[behind] = BUS_FOUND;
	}

	struct pci_device *device = kzalloc(sizeof(*device));
	if (device == NULL) {
		log_err("pci: no memory for %02x:%02x.%x", bus, slot, function);
		return true;
	}
	*device = at;
	/* At the end, so that the order is the bus's and eth0 is the first card. */
	struct pci_device **link = &devices;
	while (*link != NULL)
		link = &(*link)->next;
	*link = device;
	log_debug("pci: %02x:%02x.%x %04x:%04x class %04x", bus, slot, function, at.vendor,
		  at.device, at.class);
	return true;
}

static void scan_bus(unsigned bus)
{
	buses[bus] = BUS_SCANNED;
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		bool multifunction = false, ignored;
		if (!scan_function(bus, slot, 0, &multifunction) || !multifunction)
			continue;
		for (unsigned function = 1; function < FUNCTIONS; function++)
			scan_function(bus, slot, function, &ignored);
	}
}

static unsigned next_found(void)
{
	unsigned bus = 0;

	while (bus < BUSES && buses[bus] != BUS_FOUND)
		bus++;
	return bus;
}

void pci_init(void)
{
	unsigned bus;

	buses[0] = BUS_FOUND;
	while ((bus = next_found()) < BUSES)
		scan_bus(bus);
}

struct pci_device *pci_find(struct pci_device *after, const struct pci_id *ids)
{
	for (struct pci_device *d = after != NULL ? after->next : devices; d != NULL; d = d->next) {
		if (ids == NULL)
			return d;
		for (const struct pci_id *id = ids; id->vendor != 0; id++) {
			if (d->vendor == id->vendor && d->device == id->device)
				return d;
		}
	}
	return NULL;
}

/* --- capabilities and BARs ---------------------------------------------------------------- */

unsigned pci_capability(const struct pci_device *device, unsigned after, uint8_t id)
{
	if (!(pci_read16(device, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;

	bool past = after == 0;
	uint64_t visited = 0; /* a bit for each place where one can be */
	unsigned at = pci_read8(device, PCI_CAPABILITY_LIST);
	for (;;) {
		at = ALIGN_DOWN(at, PCI_CAP_SIZEOF);
		uint64_t place = UINT64_C(1) << at / PCI_CAP_SIZEOF;
		if (at < PCI_STD_HEADER_SIZEOF || (visited & place))
			break;
		visited |= place;
		if (past && pci_read8(device, at + PCI_CAP_LIST_ID) == id)
			return at;
		if (at == after)
			past = true;
		at = pci_read8(device, at + PCI_CAP_LIST_NEXT);
	}
	return 0;
}

void pci_enable(struct pci_device *device, bool enable)
{
	uint16_t command = pci_read16(device, PCI_COMMAND);
	command |= PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	if (enable)
		command |= PCI_COMMAND_MASTER;
	else
		command &= ~PCI_COMMAND_MASTER;
	pci_write16(device, PCI_COMMAND, command & ~PCI_COMMAND_INTX_DISABLE);
}

/* Writes ones to a BAR register and returns what sticks: zeroes where the size's bits are. */
static uint32_t bar_probe(struct pci_device *device, unsigned offset)
{
	uint32_t saved = pci_read32(device, offset);
	pci_write32(device, offset, UINT32_MAX);
	uint32_t probed = pci_read32(device, offset);
	pci_write32(device, offset, saved);
	return probed;
}

/* Measures the BAR at `index`; the index of the next one, since a 64-bit BAR takes two. */
static unsigned measure_bar(struct pci_device *device, unsigned index)
{
	unsigned offset = PCI_BASE_ADDRESS_0 + 4 * index, next = index + 1;
	uint64_t address = pci_read32(device, offset), mask = bar_probe(device, offset);
	bool io = address & PCI_BASE_ADDRESS_SPACE_IO;

	if (io) {
		/* The upper half of an I/O BAR may be hard-wired to zero. */
		mask |= UINT32_MAX & ~UINT16_MAX;
		mask &= PCI_BASE_ADDRESS_IO_MASK;
		address &= PCI_BASE_ADDRESS_IO_MASK & UINT16_MAX;
	} else {
		bool wide =
			(address & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
		mask &= PCI_BASE_ADDRESS_MEM_MASK;
		address &= PCI_BASE_ADDRESS_MEM_MASK;
		if (wide && next < PCI_STD_NUM_BARS) {
			address |= (uint64_t)pci_read32(device, offset + 4) << 32;
			mask |= (uint64_t)bar_probe(device, offset + 4) << 32;
			next++;
		}
	}
	if (mask != 0 && mask <= UINT32_MAX)
		mask |= ~(uint64_t)UINT32_MAX;
	if (mask != 0 && address != 0)
		device->bars[index] =
			(struct pci_bar){ .address = address, .size = ~mask + 1, .io = io };
	return next;
}

/* PCI Local Bus 3.0, 6.2.5.1. While it is measured a BAR points anywhere, so decoding is off. */
static void measure_bars(struct pci_device *device)
{
	uint16_t command = pci_read16(device, PCI_COMMAND);
	pci_write16(device, PCI_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (unsigned index = 0; index < PCI_STD_NUM_BARS;)
		index = measure_bar(device, index);
	pci_write16(device, PCI_COMMAND, command);
	device->bars_measured = true;
}

int pci_bar(struct pci_device *device, unsigned index, struct pci_bar *out)
{
	if (index >= PCI_STD_NUM_BARS)
		return -EINVAL;
	if (!device->bars_measured)
		measure_bars(device);
	*out = device->bars[index];
	return out->size != 0 ? 0 : -ENXIO;
}

int pci_map(struct pci_device *device, unsigned index, uint64_t offset, uint64_t length, void **out)
{
	struct pci_bar bar;
	int error = pci_bar(device, index, &bar);
	if (error != 0)
		return error;
	uint64_t end;
	if (bar.io || length == 0 || __builtin_add_overflow(offset, length, &end) || end > bar.size)
		return -EINVAL;
	*out = mmio_map(bar.address + offset, length);
	return *out != NULL ? 0 : -ENOMEM;
}

/* --- interrupts --------------------------------------------------------------------------- */

unsigned pci_msix_count(const struct pci_device *device)
{
	unsigned at = pci_capability(device, 0, PCI_CAP_ID_MSIX);
	if (at == 0)
		return 0;
	return (pci_read16(device, at + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;
}

int pci_msix_attach(struct pci_device *device, unsigned vector, struct irq_handler *handler)
{
	unsigned count = pci_msix_count(device);
	if (vector >= count)
		return -EINVAL;

	if (device->msix_table == NULL) {
		unsigned at = pci_capability(device, 0, PCI_CAP_ID_MSIX);
		uint32_t table = pci_read32(device, at + PCI_MSIX_TABLE);
		void *mapped;
		int error =
			pci_map(device, table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET,
				(uint64_t)count * PCI_MSIX_ENTRY_SIZE, &mapped);
		if (error != 0)
			return error;
		device->msix_table = mapped;
	}

	struct irq_message message;
	int error = irq_register_message(handler, &message);
	if (error != 0)
		return error;
	volatile uint32_t *entry =
		(void *)(device->msix_table + (size_t)vector * PCI_MSIX_ENTRY_SIZE);
	entry[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = (uint32_t)message.address;
	entry[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = (uint32_t)(message.address >> 32);
	entry[PCI_MSIX_ENTRY_DATA / 4] = message.data;
	entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] &= ~PCI_MSIX_ENTRY_CTRL_MASKBIT;
	return 0;
}

void pci_msix_enable(struct pci_device *device, bool enable)
{
	unsigned at = pci_capability(device, 0, PCI_CAP_ID_MSIX);
	if (at == 0)
		return;
	uint16_t flags = pci_read16(device, at + PCI_MSIX_FLAGS);
	flags &= ~(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_write16(device, at + PCI_MSIX_FLAGS, enable ? flags | PCI_MSIX_FLAGS_ENABLE : flags);
}

int pci_line_attach(struct pci_device *device, struct irq_handler *handler)
{
	uint8_t line = pci_read8(device, PCI_INTERRUPT_LINE);
	if (pci_read8(device, PCI_INTERRUPT_PIN) == 0 || line == LINE_NONE || line >= IRQ_LINES)
		return -ENXIO;
	return irq_register_line(line, handler);
}
