/*
 * ACPI tables in a physical memory made of an array: what QEMU and PCs have is understood, what is
 * broken is refused, and no length is believed. Whatever is mapped is a copy of exactly that size, so
 * that the address sanitizer sees every byte read beyond it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/boot_info.h"
#include "kernel/clock.h"
#include "mm/kmap.h"

/* In place of the processor (kernel/x86_64/cpu.h). */
#define HAWSER_KERNEL_X86_64_CPU_H
static struct {
	uint8_t physical_bits;
} cpu_features = {.physical_bits = 36};
static uint32_t cpu_count = 1;

#define PM1A 0x604
#define PM1B 0x704
#define SMI  0xb2

static uint16_t pm1a, pm1b;
static unsigned enabled, last_reset_port, last_reset_value;

static uint16_t inw(uint16_t port)
{
	return port == PM1A ? pm1a : port == PM1B ? pm1b : 0xffff;
}

static void outw(uint16_t port, uint16_t value)
{
	if (port == PM1A)
		pm1a = value;
	else if (port == PM1B)
		pm1b = value;
}

static void outb(uint16_t port, uint8_t value)
{
	if (port == SMI && value == 0xf1) {
		enabled++;
		pm1a |= 1; /* SCI_EN */
	} else {
		last_reset_port = port;
		last_reset_value = value;
	}
}

struct boot_info boot_info;

void clock_delay_us(unsigned microseconds)
{
}

/* --- physical memory ----------------------------------------------------------------------------------- */

static uint8_t memory[MIB];

static struct mapping {
	struct mapping *next;
	uint8_t bytes[];
} *mappings;
static unsigned mapping_count;

static void *map_copy(paddr_t address, size_t length)
{
	struct mapping *mapping = malloc(sizeof(*mapping) + length);

	/* Where there is nothing, the bus gives ones. */
	memset(mapping->bytes, 0xff, length);
	if (address < sizeof(memory))
		memcpy(mapping->bytes, memory + address, MIN(length, sizeof(memory) - address));
	mapping->next = mappings;
	mappings = mapping;
	mapping_count++;
	return mapping->bytes;
}

const void *firmware_map(paddr_t address, size_t length)
{
	return map_copy(address, length);
}

void *mmio_map(paddr_t address, size_t length)
{
	return map_copy(address, length);
}

#include "dev/acpi.c"

static int start_again(void **state)
{
	while (mappings != NULL) {
		struct mapping *next = mappings->next;
		free(mappings);
		mappings = next;
	}
	memset(memory, 0, sizeof(memory));
	memset(&acpi, 0, sizeof(acpi));
	mapping_count = 0;
	boot_info = (struct boot_info){0};
	pm1a = pm1b = 0;
	enabled = last_reset_port = last_reset_value = 0;
	return 0;
}

/* --- building tables ------------------------------------------------------------------------------------ */

#define RSDP_AT 0xf5aa0
#define RSDT_AT 0x10000
#define XSDT_AT 0x11000
#define FADT_AT 0x12000
#define DSDT_AT 0x13000
#define MADT_AT 0x14000

/* As QEMU's i440fx has it: Name (\_S5_, Package (4) { Zero, Zero, Zero, Zero }) and things around. */
static const uint8_t aml_qemu[] = {0x10, 0x05, 0x5c, 0x00, 0x08, '_',  'S',  '4',	'_',  0x12,
				   0x06, 0x04, 0x0a, 0x02, 0x0a, 0x02, 0x00, 0x00,	0x08, '_',
				   'S',	 '5',  '_',  0x12, 0x06, 0x04, 0x00, 0x00,	0x00, 0x00};
/* As PCs do: \_S5_, byte constants, five for a and b. */
static const uint8_t aml_pc[] = {0x08, '\\', '_', 'S',	'5', '_',  0x12,
				 0x0a, 0x04, 0x0a, 0x05, 0x0a, 0x07, 0x00, 0x00};
/* A reference to \_S5_ before the name itself, a word constant, a package with a long length. */
static const uint8_t aml_odd[] = {0x70, '_',  'S',  '5',  '_',	0x60, 0x08, '_',  'S',	'5', '_',
				  0x12, 0x4b, 0x00, 0x02, 0x0b, 0x06, 0x00, 0x01, 0x00, 0x00};

static void seal(void *bytes, size_t length, size_t checksum_offset)
{
	uint8_t *b = bytes, sum = 0;

	b[checksum_offset] = 0;
	for (size_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + b[i]);
	b[checksum_offset] = (uint8_t)-sum;
}

static void seal_table(size_t at)
{
	uint32_t length;

	memcpy(&length, memory + at + 4, sizeof(length));
	if (length > offsetof(struct table, checksum) && length <= sizeof(memory) - at)
		seal(memory + at, length, offsetof(struct table, checksum));
}

static struct table *table(size_t at, const char *signature, uint32_t length)
{
	struct table *header = (struct table *)(memory + at);

	memcpy(header->signature, signature, 4);
	header->length = length;
	return header;
}

static void put_dsdt(const uint8_t *aml, size_t length)
{
	table(DSDT_AT, "DSDT", (uint32_t)(sizeof(struct table) + length));
	memcpy(memory + DSDT_AT + sizeof(struct table), aml, length);
	seal_table(DSDT_AT);
}

static struct fadt *put_fadt(uint32_t length)
{
	struct fadt *fadt = (struct fadt *)table(FADT_AT, "FACP", length);

	fadt->dsdt = DSDT_AT;
	fadt->smi_command = SMI;
	fadt->acpi_enable = 0xf1;
	fadt->pm1a_control = PM1A;
	fadt->pm1b_control = PM1B;
	fadt->century = 0x32;
	seal_table(FADT_AT);
	return fadt;
}

static void put_roots(void)
{
	struct rsdp *rsdp = (struct rsdp *)(memory + RSDP_AT);
	uint32_t tables[] = {MADT_AT, FADT_AT};
	uint64_t wide[] = {MADT_AT, FADT_AT};

	table(RSDT_AT, "RSDT", sizeof(struct table) + sizeof(tables));
	memcpy(memory + RSDT_AT + sizeof(struct table), tables, sizeof(tables));
	seal_table(RSDT_AT);
	table(XSDT_AT, "XSDT", sizeof(struct table) + sizeof(wide));
	memcpy(memory + XSDT_AT + sizeof(struct table), wide, sizeof(wide));
	seal_table(XSDT_AT);

	memcpy(rsdp->signature, "RSD PTR ", 8);
	rsdp->rsdt = RSDT_AT;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = XSDT_AT;
	seal(rsdp, RSDP_V1_SIZE, offsetof(struct rsdp, checksum));
	seal(rsdp, sizeof(*rsdp), offsetof(struct rsdp, extended_checksum));
}

static void put_madt(void)
{
	/* Two processors, one of them off; an I/O APIC; one x2APIC. */
	static const uint8_t entries[] = {
		0, 8, 0, 0, 1, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0, 0, 1, 12, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
	};

	table(MADT_AT, "APIC", (uint32_t)(MADT_HEADER + sizeof(entries)));
	memcpy(memory + MADT_AT + MADT_HEADER, entries, sizeof(entries));
	seal_table(MADT_AT);
}

static void put_machine(const uint8_t *aml, size_t length)
{
	put_roots();
	put_fadt(sizeof(struct fadt));
	put_madt();
	put_dsdt(aml, length);
}

static void power_off_writes(unsigned type_a, unsigned type_b)
{
	acpi_power_off();
	assert_int_equal(pm1a & ~1u, type_a << 10 | 1u << 13);
	assert_int_equal(pm1b, type_b << 10 | 1u << 13);
}

/* --- the tests ------------------------------------------------------------------------------------------ */

static void qemus_tables_switch_the_machine_off(void **state)
{
	put_machine(aml_qemu, sizeof(aml_qemu));
	acpi_init();
	power_off_writes(0, 0);
	assert_int_equal(enabled, 1);
	assert_int_equal(acpi_century_register(), 0x32);
}

static void byte_constants_and_a_root_prefix_are_understood(void **state)
{
	put_machine(aml_pc, sizeof(aml_pc));
	pm1a = 1 | 3 << 10; /* enabled already, some other sleep type */
	acpi_init();
	power_off_writes(5, 7);
	assert_int_equal(enabled, 0);
}

static void only_the_name_itself_counts(void **state)
{
	put_machine(aml_odd, sizeof(aml_odd));
	acpi_init();
	power_off_writes(6, 1);
}

static void the_rsdp_is_taken_from_the_loader_or_searched(void **state)
{
	put_machine(aml_pc, sizeof(aml_pc));
	memcpy(memory + 0x8000, memory + RSDP_AT, sizeof(struct rsdp));
	memset(memory + RSDP_AT, 0, sizeof(struct rsdp));
	acpi_init();
	assert_int_equal(acpi.pm1a, 0);
	boot_info.rsdp = 0x8000;
	acpi_init();
	assert_int_equal(acpi.pm1a, PM1A);

	memset(&acpi, 0, sizeof(acpi));
	boot_info.rsdp = 0;
	memcpy(memory + 0xe0010, memory + 0x8000, sizeof(struct rsdp));
	acpi_init();
	assert_int_equal(acpi.pm1a, PM1A);

	memset(&acpi, 0, sizeof(acpi));
	memset(memory + 0xe0010, 0, sizeof(struct rsdp));
	memcpy(memory + 0x40e, (uint16_t[]){0x9fc0}, 2);
	memcpy(memory + 0x9fc00 + 0x3d0, memory + 0x8000, sizeof(struct rsdp));
	acpi_init();
	assert_int_equal(acpi.pm1a, PM1A);
}

static void an_old_short_fadt_has_no_new_fields(void **state)
{
	struct fadt *fadt;

	put_machine(aml_pc, sizeof(aml_pc));
	fadt = put_fadt(sizeof(struct fadt));
	fadt->flags = FADT_RESET_SUPPORTED;
	fadt->reset_register = (struct address){.space = SPACE_IO, .address = 0xcf9};
	fadt->reset_value = 6;
	fadt->header.length = offsetof(struct fadt, reset_register);
	seal_table(FADT_AT);
	acpi_init();
	acpi_reset();
	assert_int_equal(last_reset_port, 0);

	memset(&acpi, 0, sizeof(acpi));
	fadt->header.length = sizeof(*fadt);
	seal_table(FADT_AT);
	acpi_init();
	acpi_reset();
	assert_int_equal(last_reset_port, 0xcf9);
	assert_int_equal(last_reset_value, 6);
}

static void the_extended_fields_are_preferred(void **state)
{
	struct fadt *fadt;

	put_machine(aml_pc, sizeof(aml_pc));
	fadt = put_fadt(sizeof(struct fadt));
	fadt->pm1a_control = 0x1234;
	fadt->x_pm1a_control = (struct address){.space = SPACE_IO, .address = PM1A};
	fadt->dsdt = 0xdead0000;
	fadt->x_dsdt = DSDT_AT;
	seal_table(FADT_AT);
	acpi_init();
	power_off_writes(5, 7);
}

static void broken_tables_are_refused(void **state)
{
	put_machine(aml_pc, sizeof(aml_pc));
	memory[FADT_AT + 60] ^= 1; /* the checksum */
	acpi_init();
	assert_int_equal(acpi.pm1a, 0);

	start_again(NULL);
	put_machine(aml_pc, sizeof(aml_pc));
	memory[DSDT_AT + 40] ^= 1;
	acpi_init();
	acpi_power_off();
	assert_int_equal(pm1a, 0);

	/* An XSDT that is broken leaves the RSDT. */
	start_again(NULL);
	put_machine(aml_pc, sizeof(aml_pc));
	memory[XSDT_AT + 40] ^= 1;
	acpi_init();
	power_off_writes(5, 7);

	static const uint32_t lengths[] = {0, 1, 35, 5 * MIB, UINT32_MAX};
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		start_again(NULL);
		put_machine(aml_pc, sizeof(aml_pc));
		table(FADT_AT, "FACP", lengths[i]);
		acpi_init();
		assert_int_equal(acpi.pm1a, 0);
	}
}

static void addresses_beyond_physical_memory_are_not_mapped(void **state)
{
	struct rsdp *rsdp = (struct rsdp *)(memory + RSDP_AT);

	put_machine(aml_pc, sizeof(aml_pc));
	rsdp->xsdt = UINT64_MAX - 8;
	seal(rsdp, sizeof(*rsdp), offsetof(struct rsdp, extended_checksum));
	acpi_init();
	power_off_writes(5, 7); /* by way of the RSDT */
}

/* Looking at a table maps it, for good: a list as long as it may be must not use memory up. */
static void a_list_without_end_is_not_followed(void **state)
{
	struct rsdp *rsdp = (struct rsdp *)(memory + RSDP_AT);
	uint32_t entries = (sizeof(memory) / 2 - sizeof(struct table)) / sizeof(uint32_t);

	put_roots();
	rsdp->revision = 0;
	rsdp->rsdt = sizeof(memory) / 4;
	seal(rsdp, RSDP_V1_SIZE, offsetof(struct rsdp, checksum));
	memset(memory + rsdp->rsdt, 0, sizeof(memory) / 2);
	struct table *list = table(rsdp->rsdt, "RSDT", sizeof(memory) / 2);
	for (uint32_t i = 0; i < entries; i++)
		memcpy((uint8_t *)(list + 1) + i * sizeof(uint32_t), &(uint32_t){MADT_AT}, sizeof(uint32_t));
	seal_table(rsdp->rsdt);
	acpi_init();
	assert_true(mapping_count < 2000);
}

static void processors_that_are_enabled_are_counted(void **state)
{
	put_madt();
	assert_int_equal(count_processors((const struct table *)(memory + MADT_AT)), 2);
}

/* Every prefix of an AML that stops in the middle of \_S5_ is refused without reading on. */
static void truncated_aml_is_refused(void **state)
{
	for (size_t length = 0; length < sizeof(aml_pc) - 2; length++) {
		start_again(NULL);
		put_machine(aml_pc, length);
		acpi_init();
		assert_false(length < 11 && acpi.have_s5);
	}
}

/* Random bytes anywhere in the tables, checksums put right again: nothing is read out of bounds. */
static void no_corruption_is_believed(void **state)
{
	static const size_t places[] = {RSDT_AT, XSDT_AT, FADT_AT, DSDT_AT, MADT_AT};

	srand(7);
	for (unsigned round = 0; round < 3000; round++) {
		start_again(NULL);
		put_machine(aml_odd, sizeof(aml_odd));
		for (unsigned i = 0; i < 1 + round % 4; i++) {
			size_t place = places[(unsigned)rand() % ARRAY_SIZE(places)];
			/* The lengths more often than the rest. */
			size_t offset = (size_t)rand() % (rand() % 3 ? sizeof(struct fadt) : 8);
			memory[place + offset] = (uint8_t)rand();
		}
		for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
			seal_table(places[i]);
		acpi_init();
		acpi_power_off();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(qemus_tables_switch_the_machine_off, start_again),
		cmocka_unit_test_setup(byte_constants_and_a_root_prefix_are_understood, start_again),
		cmocka_unit_test_setup(only_the_name_itself_counts, start_again),
		cmocka_unit_test_setup(the_rsdp_is_taken_from_the_loader_or_searched, start_again),
		cmocka_unit_test_setup(an_old_short_fadt_has_no_new_fields, start_again),
		cmocka_unit_test_setup(the_extended_fields_are_preferred, start_again),
		cmocka_unit_test_setup(broken_tables_are_refused, start_again),
		cmocka_unit_test_setup(addresses_beyond_physical_memory_are_not_mapped, start_again),
		cmocka_unit_test_setup(a_list_without_end_is_not_followed, start_again),
		cmocka_unit_test_setup(processors_that_are_enabled_are_counted, start_again),
		cmocka_unit_test_setup(truncated_aml_is_refused, start_again),
		cmocka_unit_test_setup(no_corruption_is_believed, start_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) + start_again(NULL);
}
