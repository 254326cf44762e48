/*
 * PCI configuration space made of an array: every bus is found however deep it lies, and no list of
 * capabilities, however it is linked, keeps a walk from ending.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dev/pci.h"
#include "mm/kmap.h"
#include "mm/slab.h"

/* In place of the processor's instructions (kernel/x86_64/regs.h). */
#define HAWSER_KERNEL_X86_64_REGS_H

/* On each bus there is one device, in slot 0; a bus without one has vendor 0xffff. */
static uint8_t space[256][256];
static uint32_t selected;

static uint8_t *at_port(uint16_t port)
{
	static uint8_t nothing[4];
	unsigned bus = selected >> 16 & 0xff, slot_and_function = selected >> 8 & 0xff;

	assert_in_range(port, 0xcfc, 0xcff);
	memset(nothing, 0xff, sizeof(nothing));
	return slot_and_function == 0 ? &space[bus][(selected & 0xfc) + port - 0xcfc] : nothing;
}

static uint8_t inb(uint16_t port)
{
	return *at_port(port);
}

static uint16_t inw(uint16_t port)
{
	uint16_t value;

	memcpy(&value, at_port(port), sizeof(value));
	return value;
}

static uint32_t inl(uint16_t port)
{
	uint32_t value;

	memcpy(&value, at_port(port), sizeof(value));
	return value;
}

static void outw(uint16_t port, uint16_t value)
{
	memcpy(at_port(port), &value, sizeof(value));
}

static void outl(uint16_t port, uint32_t value)
{
	if (port == 0xcf8)
		selected = value;
	else
		memcpy(at_port(port), &value, sizeof(value));
}

/* The deepest and the highest that the stack was when a device was found. */
static uintptr_t stack_lowest, stack_highest;

void *kzalloc(size_t size)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	stack_lowest = MIN(stack_lowest, here);
	stack_highest = MAX(stack_highest, here);
	return calloc(1, size);
}

void *mmio_map(paddr_t address, size_t length)
{
	return NULL;
}

int irq_register_line(unsigned line, struct irq_handler *handler)
{
	return 0;
}

int irq_register_message(struct irq_handler *handler, struct irq_message *out)
{
	return -ENOSPC;
}

#include "dev/pci.c"

static int start_again(void **state)
{
	while (devices != NULL) {
		struct pci_device *next = devices->next;
		free(devices);
		devices = next;
	}
	memset(buses, 0, sizeof(buses));
	memset(space, 0xff, sizeof(space));
	stack_lowest = UINTPTR_MAX;
	stack_highest = 0;
	return 0;
}

static void put_device(unsigned bus, uint16_t vendor, uint8_t header)
{
	memset(space[bus], 0, sizeof(space[bus]));
	memcpy(&space[bus][PCI_VENDOR_ID], &vendor, sizeof(vendor));
	space[bus][PCI_HEADER_TYPE] = header;
}

static void put_bridge(unsigned bus, uint8_t behind)
{
	put_device(bus, 0x1b36, PCI_HEADER_TYPE_BRIDGE);
	space[bus][PCI_SECONDARY_BUS] = behind;
}

static unsigned count_devices(void)
{
	unsigned count = 0;

	for (struct pci_device *d = NULL; (d = pci_find(d, NULL)) != NULL;)
		count++;
	return count;
}

/* --- buses -------------------------------------------------------------------------------------------------- */

static void a_chain_of_bridges_takes_no_stack(void **state)
{
	for (unsigned bus = 0; bus < 255; bus++)
		put_bridge(bus, (uint8_t)(bus + 1));
	put_device(255, 0x1af4, PCI_HEADER_TYPE_NORMAL);
	pci_init();
	assert_int_equal(count_devices(), 256);
	assert_int_equal(stack_highest - stack_lowest, 0);
}

static void a_bridge_to_a_lower_bus_is_followed(void **state)
{
	put_bridge(0, 200);
	put_bridge(200, 7);
	put_device(7, 0x1af4, PCI_HEADER_TYPE_NORMAL);
	pci_init();
	assert_int_equal(count_devices(), 3);
}

static void a_circle_of_bridges_is_walked_once(void **state)
{
	put_bridge(0, 1);
	put_bridge(1, 0);
	pci_init();
	assert_int_equal(count_devices(), 2);
}

/* --- capabilities ------------------------------------------------------------------------------------------ */

static struct pci_device *with_capabilities(const uint8_t (*links)[2], unsigned count)
{
	put_device(0, 0x1af4, PCI_HEADER_TYPE_NORMAL);
	space[0][PCI_STATUS] = PCI_STATUS_CAP_LIST;
	space[0][PCI_CAPABILITY_LIST] = links[0][0];
	for (unsigned i = 0; i < count; i++) {
		space[0][links[i][0] + PCI_CAP_LIST_ID] = PCI_CAP_ID_VNDR;
		space[0][links[i][0] + PCI_CAP_LIST_NEXT] = links[i][1];
	}
	pci_init();
	return pci_find(NULL, NULL);
}

static unsigned count_capabilities(const struct pci_device *device)
{
	unsigned count = 0;

	for (unsigned at = 0; (at = pci_capability(device, at, PCI_CAP_ID_VNDR)) != 0; count++)
		assert_true(count < 64);
	return count;
}

static void capabilities_are_found_in_their_order(void **state)
{
	static const uint8_t links[][2] = { { 0x80, 0x40 }, { 0x40, 0xfc }, { 0xfc, 0 } };
	const struct pci_device *device = with_capabilities(links, ARRAY_SIZE(links));

	assert_int_equal(pci_capability(device, 0, PCI_CAP_ID_VNDR), 0x80);
	assert_int_equal(pci_capability(device, 0x80, PCI_CAP_ID_VNDR), 0x40);
	assert_int_equal(pci_capability(device, 0x40, PCI_CAP_ID_VNDR), 0xfc);
	assert_int_equal(pci_capability(device, 0xfc, PCI_CAP_ID_VNDR), 0);
	assert_int_equal(pci_capability(device, 0, PCI_CAP_ID_MSIX), 0);
}

static void a_capability_that_follows_itself_is_there_once(void **state)
{
	static const uint8_t links[][2] = { { 0x40, 0x40 } };

	assert_int_equal(count_capabilities(with_capabilities(links, 1)), 1);
}

static void a_circle_of_capabilities_is_walked_once(void **state)
{
	static const uint8_t links[][2] = { { 0x40, 0x50 }, { 0x50, 0x60 }, { 0x60, 0x50 } };

	assert_int_equal(count_capabilities(with_capabilities(links, ARRAY_SIZE(links))), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_chain_of_bridges_takes_no_stack, start_again),
		cmocka_unit_test_setup(a_bridge_to_a_lower_bus_is_followed, start_again),
		cmocka_unit_test_setup(a_circle_of_bridges_is_walked_once, start_again),
		cmocka_unit_test_setup(capabilities_are_found_in_their_order, start_again),
		cmocka_unit_test_setup(a_capability_that_follows_itself_is_there_once, start_again),
		cmocka_unit_test_setup(a_circle_of_capabilities_is_walked_once, start_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
