/*
 * The ELF and flat parsers: what a sound file's plan looks like, and that each way of lying about
 * a segment is refused. Each test starts from a sound file and breaks one thing.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/string.h"
#include "loader/elf.h"
#include "loader/flat.h"
#include <linux/elf.h>
#include <linux/mman.h>

#define BASE     UINT64_C(0x400000)
#define SEGMENTS 8

/* A file of one text and one data segment, as ld makes it, in pieces that a test may change. */
struct file {
	Elf64_Ehdr header;
	Elf64_Phdr phdr[SEGMENTS];
};

static struct file sound(void)
{
	struct file file = {
		.header = {
			.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = BASE + 0x100,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.phdr = {
			{.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0,
			 .p_vaddr = BASE, .p_filesz = 0x1234, .p_memsz = 0x1234,
			 .p_align = 0x1000},
			{.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x1ff0,
			 .p_vaddr = BASE + 0x2ff0, .p_filesz = 0x20, .p_memsz = 0x3000,
			 .p_align = 0x1000},
		},
	};
	return file;
}

static struct image_segment segments[SEGMENTS];
static struct image_plan plan;

static int parse(const struct file *file)
{
	struct elf_file elf;
	int error = elf_read_header(&file->header, sizeof(file->header), &elf);

	if (error != 0)
		return error;
	assert_true(elf.phnum <= SEGMENTS);
	return elf_make_plan(&elf, file->phdr, segments, &plan);
}

static void refuses(const struct file *file)
{
	assert_int_equal(parse(file), -ENOEXEC);
}

static void a_sound_file_becomes_its_plan(void **state)
{
	struct file file = sound();
	uint64_t bias = 1;

	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan.count, 2);
	assert_false(plan.relocatable);
	assert_int_equal(plan.segments[0].address, BASE);
	assert_int_equal(plan.segments[0].end, BASE + 0x1234);
	assert_int_equal(plan.segments[0].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(plan.segments[1].address, BASE + 0x2000);
	assert_int_equal(plan.segments[1].offset, 0x1000);
	assert_int_equal(plan.segments[1].file_end, BASE + 0x3010);
	assert_int_equal(plan.segments[1].end, BASE + 0x5ff0);
	assert_int_equal(plan.segments[1].prot, PROT_READ | PROT_WRITE);
	assert_int_equal(plan.file_needed, 0x2010);
	assert_int_equal(plan.phdr, BASE + sizeof(Elf64_Ehdr));
	assert_int_equal(plan.phnum, 2);
	assert_int_equal(plan.entry, BASE + 0x100);
	assert_false(plan.executable_stack);
	assert_int_equal(plan_start(&plan), BASE);
	assert_int_equal(plan_end(&plan), BASE + 0x6000);
	assert_int_equal(plan_bias(&plan, PIE_BASE, &bias), 0);
	assert_int_equal(bias, 0);
}

static void each_field_of_the_file_header_is_checked(void **state)
{
	struct file file;

#define BREAK(what)       \
	file = sound();   \
	file.header.what; \
	refuses(&file)
	BREAK(e_ident[0] = 0);
	BREAK(e_ident[EI_CLASS] = ELFCLASS32);
	BREAK(e_ident[EI_DATA] = ELFDATA2MSB);
	BREAK(e_ident[EI_VERSION] = 0);
	BREAK(e_version = 2);
	BREAK(e_machine = EM_386);
	BREAK(e_type = ET_REL);
	BREAK(e_type = ET_CORE);
	BREAK(e_phentsize = sizeof(Elf32_Phdr));
	BREAK(e_phentsize = 0);
	BREAK(e_phnum = 0);
	BREAK(e_phnum = 0xffff);
	BREAK(e_entry = BASE - 1);
	BREAK(e_entry = 0);
	BREAK(e_entry = BASE + 0x1234);
	BREAK(e_entry = BASE + 0x3000);
#undef BREAK
}

static void a_short_header_is_refused(void **state)
{
	struct file file = sound();
	struct elf_file elf;

	for (size_t length = 0; length < sizeof(file.header); length++)
		assert_int_equal(elf_read_header(&file.header, length, &elf), -ENOEXEC);
	assert_int_equal(elf_read_header(&file.header, sizeof(file.header), &elf), 0);
}

static void each_lie_about_a_segment_is_refused(void **state)
{
	struct file file;

#define BREAK(what)        \
	file = sound();    \
	file.phdr[1].what; \
	refuses(&file)
	BREAK(p_filesz = 0x3001);
	BREAK(p_filesz = UINT64_MAX);
	BREAK(p_memsz = UINT64_MAX);
	BREAK(p_memsz = UINT64_MAX - BASE);
	BREAK(p_memsz = USER_MAX);
	BREAK(p_offset = (UINT64_MAX & ~UINT64_C(0xfff)) | 0xff0);
	BREAK(p_offset = (INT64_MAX & ~UINT64_C(0xfff)) | 0xff0);
	BREAK(p_offset = 0x1ff1);
	BREAK(p_offset = 0);
	BREAK(p_vaddr = USER_MAX - 0x10);
	BREAK(p_vaddr = UINT64_C(0xffffffff80000ff0));
	BREAK(p_vaddr = UINT64_C(0xffff800000000ff0));
	BREAK(p_vaddr = UINT64_MAX - 0xf);
	BREAK(p_vaddr = UINT64_C(0x800000000ff0));
	BREAK(p_vaddr = USER_MIN - 0x10);
	BREAK(p_vaddr = 0xff0);
	BREAK(p_vaddr = BASE - 0x10);
	BREAK(p_vaddr = BASE + 0xff0);
#undef BREAK
}

static void a_file_without_segments_is_refused(void **state)
{
	struct file file = sound();

	file.phdr[0].p_type = file.phdr[1].p_type = PT_NOTE;
	refuses(&file);
}

static void an_empty_segment_is_no_segment(void **state)
{
	struct file file = sound();

	file.phdr[1].p_filesz = file.phdr[1].p_memsz = 0;
	file.phdr[1].p_vaddr = 0;
	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan.count, 1);
}

/*
 *	[tttt]        text ends in the page
 *	   [dddd]     where data begins: one page of memory, one page of the file
 */
static struct file sharing(void)
{
	struct file file = sound();

	file.phdr[0].p_flags = PF_R;
	file.phdr[1].p_flags = PF_R | PF_X;
	file.phdr[1].p_offset = 0x1234;
	file.phdr[1].p_vaddr = BASE + 0x1234;
	file.header.e_entry = BASE + 0x1234;
	return file;
}

static void a_page_may_be_shared_if_nothing_is_lost(void **state)
{
	struct file file = sharing();

	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan.segments[1].address, BASE + 0x1000);
}

static void a_page_may_not_be_shared_if_something_is_lost(void **state)
{
	struct file file = sharing();

	/* Another page of the file. */
	file.phdr[1].p_offset = 0x2234;
	refuses(&file);
	/* The first one's zeroes. */
	file = sharing();
	file.phdr[0].p_filesz -= 1;
	refuses(&file);
	/* The first one's right to run. */
	file = sharing();
	file.phdr[0].p_flags = PF_R | PF_X;
	file.phdr[1].p_flags = PF_R | PF_W;
	file.header.e_entry = BASE + 0x100;
	refuses(&file);
	/* The first one's bytes, under zeroes. */
	file = sharing();
	file.phdr[1].p_filesz = 0;
	refuses(&file);
}

static void a_relocatable_file_goes_where_it_is_told(void **state)
{
	struct file file = sound();
	uint64_t bias;

	file.header.e_type = ET_DYN;
	file.header.e_entry -= BASE;
	file.phdr[0].p_vaddr -= BASE;
	file.phdr[1].p_vaddr -= BASE;
	file.phdr[1].p_align = 0x200000;
	assert_int_equal(parse(&file), 0);
	assert_true(plan.relocatable);
	assert_int_equal(plan_bias(&plan, PIE_BASE + 0x1000, &bias), 0);
	assert_int_equal(bias, ALIGN_DOWN(PIE_BASE, 0x200000));
	assert_int_equal(plan_bias(&plan, USER_MAX - 0x1000, &bias), 0);

	file.phdr[1].p_align = UINT64_C(1) << 63;
	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan_bias(&plan, PIE_BASE, &bias), -ENOEXEC);

	file.phdr[1].p_align = 12345; /* no power of two: ignored, as on Linux */
	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan.alignment, 0x1000);

	file.phdr[1].p_memsz = UINT64_C(0x7f0000000000);
	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan_bias(&plan, PIE_BASE, &bias), -ENOEXEC);
}

static void the_interpreter_and_the_stack_are_noted(void **state)
{
	struct file file = sound();

	file.header.e_phnum = 4;
	file.phdr[2] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = 0x200, .p_filesz = 28 };
	file.phdr[3] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W | PF_X };
	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan.interpreter_offset, 0x200);
	assert_int_equal(plan.interpreter_length, 28);
	assert_true(plan.executable_stack);

	/* The first one counts, whatever the second is. */
	file.phdr[3] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = 0x300, .p_filesz = 1 };
	assert_int_equal(parse(&file), 0);
	assert_int_equal(plan.interpreter_offset, 0x200);

	file.phdr[2].p_filesz = 1;
	refuses(&file);
	file.phdr[2].p_filesz = PAGE_SIZE + 1;
	refuses(&file);
	file.phdr[2].p_filesz = 28;
	file.phdr[2].p_offset = UINT64_MAX - 3;
	assert_int_equal(parse(&file), -EINVAL);
}

static struct flat_header sound_flat(void)
{
	return (struct flat_header){
		.magic = { 0x7f, 'B', 'I', 'N' },
		.text_size = 0x1000,
		.address = BASE,
		.file_size = 0x1800,
		.memory_size = 0x4000,
		.entry = BASE + 32,
	};
}

static int parse_flat(const struct flat_header *header)
{
	return flat_make_plan(header, sizeof(*header), segments, &plan);
}

static void a_flat_binary_becomes_its_plan(void **state)
{
	struct flat_header header = sound_flat();

	assert_int_equal(parse_flat(&header), 0);
	assert_int_equal(plan.count, 2);
	assert_int_equal(plan.segments[0].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(plan.segments[1].address, BASE + 0x1000);
	assert_int_equal(plan.segments[1].offset, 0x1000);
	assert_int_equal(plan.segments[1].file_end, BASE + 0x1800);
	assert_int_equal(plan.segments[1].end, BASE + 0x4000);
	assert_int_equal(plan.file_needed, 0x1800);

	header.text_size = header.file_size = header.memory_size = 0x123;
	assert_int_equal(parse_flat(&header), 0);
	assert_int_equal(plan.count, 1);
}

static void each_lie_of_a_flat_header_is_refused(void **state)
{
	struct flat_header header;

#define BREAK(what)            \
	header = sound_flat(); \
	header.what;           \
	assert_int_equal(parse_flat(&header), -ENOEXEC)
	BREAK(magic[1] = 'X');
	BREAK(text_size = 31);
	BREAK(text_size = 0x1801);
	BREAK(text_size = 0x1234); /* data in the text's last page */
	BREAK(file_size = 0x4001);
	BREAK(address = BASE + 1);
	BREAK(address = 0);
	BREAK(address = USER_MAX);
	BREAK(address = UINT64_MAX & ~UINT64_C(0xfff));
	BREAK(entry = BASE - 1);
	BREAK(entry = BASE + 0x1000);
#undef BREAK
	header = sound_flat();
	assert_int_equal(flat_make_plan(&header, sizeof(header) - 1, segments, &plan), -ENOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_file_becomes_its_plan),
		cmocka_unit_test(each_field_of_the_file_header_is_checked),
		cmocka_unit_test(a_short_header_is_refused),
		cmocka_unit_test(each_lie_about_a_segment_is_refused),
		cmocka_unit_test(a_file_without_segments_is_refused),
		cmocka_unit_test(an_empty_segment_is_no_segment),
		cmocka_unit_test(a_page_may_be_shared_if_nothing_is_lost),
		cmocka_unit_test(a_page_may_not_be_shared_if_something_is_lost),
		cmocka_unit_test(a_relocatable_file_goes_where_it_is_told),
		cmocka_unit_test(the_interpreter_and_the_stack_are_noted),
		cmocka_unit_test(a_flat_binary_becomes_its_plan),
		cmocka_unit_test(each_lie_of_a_flat_header_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
