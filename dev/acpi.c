/*
 * dev/acpi.c - the firmware's tables (ACPI specification 6.5, chapter 5.2).
 *
 *	RSDP ──> RSDT or XSDT ──> FADT ──> DSDT (AML; only \_S5_ is looked for)
 *	                      └─> MADT (how many processors there are)
 *
 * Firmware is as little to be believed as a packet: a table is used only if its header lies in
 * physical memory, its length is sane and its bytes add up to zero; and whatever is read from it is
 * read within that length. A table shorter than the structure we know is an older one: the missing
 * fields are taken as zero, which is how they say "not there".
 */
#include "dev/acpi.h"

#include "kernel/boot_info.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "mm/kmap.h"

/* The largest table worth believing: DSDTs of servers reach some hundred KiB. */
#define TABLE_MAX (4 * MIB)

/* Each table that is listed is mapped to be looked at: more than this no firmware has. */
#define LISTED_MAX 256

/* Where a BIOS may put the RSDP (5.2.5.1); nearly all put it into the upper half of their area. */
#define EBDA_SEGMENT UINT64_C(0x40e)
#define EBDA_SEARCH  KIB
#define BIOS_UPPER   UINT64_C(0xf0000)
#define BIOS_LOWER   UINT64_C(0xe0000)
#define BIOS_HALF    (64 * KIB)
#define RSDP_ALIGN   16
#define RSDP_V1_SIZE 20

struct rsdp {
	char signature[8]; /* "RSD PTR " */
	uint8_t checksum;  /* of the first RSDP_V1_SIZE bytes */
	char oem[6];
	uint8_t revision; /* 2: the rest is there */
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __packed;
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 5.2.5.3");

struct table {
	char signature[4];
	uint32_t length; /* with this header */
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __packed;
_Static_assert(sizeof(struct table) == 36, "ACPI 5.2.6");

/* Generic address structure (5.2.3.2). */
struct address {
	uint8_t space, width, offset, access;
	uint64_t address;
} __packed;
enum { SPACE_MEMORY = 0, SPACE_IO = 1 };

struct fadt {
	struct table header;
	uint32_t facs, dsdt;
	uint8_t reserved1, profile;
	uint16_t sci_interrupt;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control;
	uint8_t not_used1[108 - 72];
	uint8_t century;
	uint8_t not_used2[3];
	uint32_t flags;
	struct address reset_register;
	uint8_t reset_value;
	uint8_t not_used3[3];
	uint64_t x_facs, x_dsdt;
	struct address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
} __packed;
_Static_assert(offsetof(struct fadt, century) == 108, "ACPI 5.2.9");
_Static_assert(offsetof(struct fadt, reset_register) == 116, "ACPI 5.2.9");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "ACPI 5.2.9");
_Static_assert(offsetof(struct fadt, x_pm1a_control) == 172, "ACPI 5.2.9");
#define FADT_RESET_SUPPORTED (1u << 10)

/* Processor entries of the MADT (5.2.12.2, 5.2.12.12). */
#define MADT_HEADER       (sizeof(struct table) + 8)
#define MADT_LOCAL_APIC   0
#define MADT_LOCAL_X2APIC 9
#define MADT_ENABLED      1u

/* PM1 control register (4.8.3.2.1). */
#define PM1_SCI_ENABLED  (1u << 0)
#define PM1_TYPE_SHIFT   10
#define PM1_TYPE_MASK    (7u << PM1_TYPE_SHIFT)
#define PM1_SLEEP_ENABLE (1u << 13)

/* AML opcodes (20.2). */
#define AML_ZERO         0x00
#define AML_ONE          0x01
#define AML_NAME         0x08
#define AML_BYTE_PREFIX  0x0a
#define AML_WORD_PREFIX  0x0b
#define AML_DWORD_PREFIX 0x0c
#define AML_PACKAGE      0x12

/* How long the firmware may take to hand the hardware over, and the machine to go. */
#define ENABLE_TRIES   300
#define ENABLE_STEP_US 10000

/* What was found; written once at boot. */
static struct {
	uint16_t pm1a, pm1b; /* control ports; 0: none */
	bool have_s5;
	uint8_t s5_type_a, s5_type_b;
	uint16_t smi_command;
	uint8_t acpi_enable;
	struct address reset;
	volatile uint8_t *reset_memory; /* the reset register, if it is in memory */
	uint8_t reset_value;
	uint8_t century;
} acpi;

/* --- tables ----------------------------------------------------------------------------------------------- */

static bool sums_to_zero(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

/* A view of physical memory, or NULL if it cannot be there. */
static const void *map(paddr_t address, size_t length)
{
	paddr_t end;

	if (address == 0 || __builtin_add_overflow(address, length, &end) ||
	    end > UINT64_C(1) << cpu_features.physical_bits)
		return NULL;
	return firmware_map(address, length);
}

/* The table at `address` if it is whole and bears this signature. */
static const struct table *table_at(paddr_t address, const char *signature)
{
	const struct table *header = map(address, sizeof(*header));

	if (header == NULL || memcmp(header->signature, signature, sizeof(header->signature)) != 0)
		return NULL;
	size_t length = header->length;
	if (length < sizeof(*header) || length > TABLE_MAX)
		goto broken;
	const struct table *table = map(address, length);
	if (table == NULL || table->length != length || !sums_to_zero(table, length))
		goto broken;
	return table;

broken:
	log_warn("acpi: the table %.4s at %#lx is broken", header->signature, address);
	return NULL;
}

static bool rsdp_valid(const struct rsdp *rsdp)
{
	return memcmp(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature)) == 0 &&
	       sums_to_zero(rsdp, RSDP_V1_SIZE);
}

static const struct rsdp *search_rsdp(paddr_t start, size_t length)
{
	const uint8_t *area = map(start, length);

	if (area == NULL)
		return NULL;
	for (size_t i = 0; i + sizeof(struct rsdp) <= length; i += RSDP_ALIGN) {
		const struct rsdp *rsdp = (const struct rsdp *)(area + i);
		if (rsdp->signature[0] == 'R' && rsdp_valid(rsdp))
			return rsdp;
	}
	return NULL;
}

static const struct rsdp *find_rsdp(void)
{
	const struct rsdp *rsdp = map(boot_info.rsdp, sizeof(*rsdp));

	if (rsdp != NULL && rsdp_valid(rsdp))
		return rsdp;
	rsdp = search_rsdp(BIOS_UPPER, BIOS_HALF);
	if (rsdp == NULL)
		rsdp = search_rsdp(BIOS_LOWER, BIOS_HALF);
	if (rsdp != NULL)
		return rsdp;
	const uint16_t *segment = map(EBDA_SEGMENT, sizeof(*segment));
	return segment != NULL ? search_rsdp((paddr_t)*segment << 4, EBDA_SEARCH) : NULL;
}

/* The list of tables, and how wide its entries are. */
static const struct table *find_root(size_t *entry_size)
{
	const struct rsdp *rsdp = find_rsdp();

	if (rsdp == NULL)
		return NULL;
	*entry_size = sizeof(uint64_t);
	if (rsdp->revision >= 2 && sums_to_zero(rsdp, sizeof(*rsdp))) {
		const struct table *xsdt = table_at(rsdp->xsdt, "XSDT");
		if (xsdt != NULL)
			return xsdt;
	}
	*entry_size = sizeof(uint32_t);
	return table_at(rsdp->rsdt, "RSDT");
}

static const struct table *find_table(const struct table *root, size_t entry_size,
				      const char *signature)
{
	const uint8_t *entry = (const uint8_t *)(root + 1);
	const uint8_t *end = (const uint8_t *)root + root->length;

	for (unsigned i = 0; i < LISTED_MAX && (size_t)(end - entry) >= entry_size;
	     i++, entry += entry_size) {
		uint64_t address = 0;
		memcpy(&address, entry, entry_size);
		const struct table *table = table_at(address, signature);
		if (table != NULL)
			return table;
	}
	return NULL;
}

/* --- \_S5_ ------------------------------------------------------------------------------------------------ */

struct aml {
	const uint8_t *next, *end;
};

static bool aml_byte(struct aml *aml, uint8_t *out)
{
	if (aml->next == aml->end)
		return false;
	*out = *aml->next++;
	return true;
}

/* PkgLength (20.2.4): its two top bits say how many bytes follow. The length itself is not needed. */
static bool aml_package_length(struct aml *aml)
{
	uint8_t lead;

	if (!aml_byte(aml, &lead) || (size_t)(aml->end - aml->next) < lead >> 6)
		return false;
	aml->next += lead >> 6;
	return true;
}

/* A constant integer (20.2.3), of which a sleep type takes the low byte. */
static bool aml_integer(struct aml *aml, uint8_t *out)
{
	uint8_t opcode, more;
	size_t skip;

	if (!aml_byte(aml, &opcode))
		return false;
	switch (opcode) {
	case AML_ZERO:
	case AML_ONE:
		*out = opcode;
		return true;
	case AML_BYTE_PREFIX:
		skip = 0;
		break;
	case AML_WORD_PREFIX:
		skip = 1;
		break;
	case AML_DWORD_PREFIX:
		skip = 3;
		break;
	default:
		return false;
	}
	if (!aml_byte(aml, out))
		return false;
	while (skip-- > 0) {
		if (!aml_byte(aml, &more))
			return false;
	}
	return true;
}

/* Package () { SLP_TYPa, SLP_TYPb, … } (7.4.2), behind the name. */
static bool parse_s5(struct aml aml)
{
	uint8_t opcode, count, a, b;

	if (!aml_byte(&aml, &opcode) || opcode != AML_PACKAGE || !aml_package_length(&aml) ||
	    !aml_byte(&aml, &count) || count < 1 || !aml_integer(&aml, &a))
		return false;
	if (count < 2 || !aml_integer(&aml, &b))
		b = a;
	acpi.s5_type_a = a & 7;
	acpi.s5_type_b = b & 7;
	return true;
}

/* Name (_S5_, Package …) or Name (\_S5_, …): the bytes stand as they are, in no other context. */
static bool find_s5(const struct table *dsdt)
{
	const uint8_t *start = (const uint8_t *)(dsdt + 1);
	const uint8_t *end = (const uint8_t *)dsdt + dsdt->length;

	for (const uint8_t *p = start; end - p >= 4; p++) {
		if (*p != '_' || memcmp(p, "_S5_", 4) != 0)
			continue;
		bool named = (p - start >= 1 && p[-1] == AML_NAME) ||
			     (p - start >= 2 && p[-1] == '\\' && p[-2] == AML_NAME);
		if (named && parse_s5((struct aml){ .next = p + 4, .end = end }))
			return true;
	}
	return false;
}

/* --- reading the FADT and the MADT -------------------------------------------------------------------- */

static uint16_t control_port(const struct address *extended, uint32_t legacy)
{
	if (extended->space == SPACE_IO && extended->address != 0)
		return (uint16_t)extended->address;
	return (uint16_t)legacy;
}

static void read_reset_register(const struct fadt *fadt)
{
	const struct address *reset = &fadt->reset_register;

	if (!(fadt->flags & FADT_RESET_SUPPORTED) || reset->address == 0)
		return;
	acpi.reset = *reset;
	acpi.reset_value = fadt->reset_value;
	if (reset->space == SPACE_MEMORY && reset->address < UINT64_C(1)
								     << cpu_features.physical_bits)
		acpi.reset_memory = mmio_map(reset->address, 1);
}

static void read_fadt(const struct table *table)
{
	struct fadt fadt = { 0 };

	memcpy(&fadt, table, MIN(sizeof(fadt), table->length));
	acpi.pm1a = control_port(&fadt.x_pm1a_control, fadt.pm1a_control);
	acpi.pm1b = control_port(&fadt.x_pm1b_control, fadt.pm1b_control);
	acpi.smi_command = (uint16_t)fadt.smi_command;
	acpi.acpi_enable = fadt.acpi_enable;
	acpi.century = fadt.century;
	read_reset_register(&fadt);

	const struct table *dsdt = table_at(fadt.x_dsdt != 0 ? fadt.x_dsdt : fadt.dsdt, "DSDT");
	acpi.have_s5 = dsdt != NULL && find_s5(dsdt);
}

static unsigned count_processors(const struct table *madt)
{
	const uint8_t *entry = (const uint8_t *)madt + MADT_HEADER;
	const uint8_t *end = (const uint8_t *)madt + madt->length;
	unsigned count = 0;

	/* Each entry: type, length, …; flags at 4 in a local APIC's, at 8 in an x2APIC's. */
	while (end - entry >= 2 && entry[1] >= 2 && entry[1] <= end - entry) {
		if ((entry[0] == MADT_LOCAL_APIC && entry[1] >= 8 && (entry[4] & MADT_ENABLED)) ||
		    (entry[0] == MADT_LOCAL_X2APIC && entry[1] >= 16 && (entry[8] & MADT_ENABLED)))
			count++;
		entry += entry[1];
	}
	return count;
}

void acpi_init(void)
{
	size_t entry_size;
	const struct table *root = find_root(&entry_size);

	if (root == NULL) {
		log_warn("acpi: no tables: the machine cannot be switched off by software");
		return;
	}
	const struct table *fadt = find_table(root, entry_size, "FACP");
	if (fadt != NULL)
		read_fadt(fadt);
	if (!acpi.have_s5 || acpi.pm1a == 0)
		log_warn("acpi: no soft off: the machine cannot be switched off by software");

	const struct table *madt = find_table(root, entry_size, "APIC");
	if (madt != NULL && madt->length >= MADT_HEADER)
		log_info("acpi: %u processors, %u in use", count_processors(madt), cpu_count);
}

uint8_t acpi_century_register(void)
{
	return acpi.century;
}

/* --- using it ----------------------------------------------------------------------------------------------- */

/* Has the firmware hand the power-management registers over (4.8.2.5), if they are still its own. */
static void enable(void)
{
	if (acpi.smi_command == 0 || acpi.acpi_enable == 0 || (inw(acpi.pm1a) & PM1_SCI_ENABLED))
		return;
	outb(acpi.smi_command, acpi.acpi_enable);
	for (unsigned i = 0; i < ENABLE_TRIES && !(inw(acpi.pm1a) & PM1_SCI_ENABLED); i++)
		clock_delay_us(ENABLE_STEP_US);
}

static void enter_sleep(uint16_t port, uint8_t type)
{
	uint16_t value = inw(port) & (uint16_t) ~(PM1_TYPE_MASK | PM1_SLEEP_ENABLE);

	value |= (uint16_t)(type << PM1_TYPE_SHIFT);
	outw(port, value);
	outw(port, value | PM1_SLEEP_ENABLE);
}

void acpi_power_off(void)
{
	if (!acpi.have_s5 || acpi.pm1a == 0)
		return;
	enable();
	enter_sleep(acpi.pm1a, acpi.s5_type_a);
	if (acpi.pm1b != 0)
		enter_sleep(acpi.pm1b, acpi.s5_type_b);
}

void acpi_reset(void)
{
	if (acpi.reset_memory != NULL)
		*acpi.reset_memory = acpi.reset_value;
	else if (acpi.reset.space == SPACE_IO && acpi.reset.address != 0)
		outb((uint16_t)acpi.reset.address, acpi.reset_value);
}
