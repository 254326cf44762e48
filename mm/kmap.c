/*
 * mm/kmap.c - kernel virtual memory outside the direct map.
 *
 *	KMAP_BASE   ┌─────┬───────┬─────┬───────┬─────┬─
 *	  stacks    │guard│ stack │guard│ stack │guard│ …   half the area, slots of one size
 *	            ├─────┴───────┴─────┴───────┴─────┴─
 *	  devices   │ pages as they are asked for …       the other half, never given back
 *	            └──────────────────────────────────
 */
#include "mm/kmap.h"

#include "kernel/lock.h"
#include "kernel/sched.h"
#include "kernel/x86_64/cpu.h"
#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/x86_64/kernel_map.h"
#include <bsd/sys/queue.h>

#define STACK_PAGES  (KSTACK_SIZE / PAGE_SIZE)
#define STACK_STRIDE (KSTACK_SIZE + PAGE_SIZE)
#define STACK_AREA   (KMAP_BASE + PAGE_SIZE)
#define DEVICE_AREA  (KMAP_BASE + KMAP_SIZE / 2)
#define STACKS_KEPT  16 /* free stacks that stay mapped */

#define SLOTS_MAX    8192 /* kernel stacks that can exist at once */

/* Lies at the bottom of a free stack that stays mapped. */
struct free_stack {
	SLIST_ENTRY(free_stack) link;
};

static struct spinlock kmap_lock = SPINLOCK_INIT("kmap", RANK_KMAP);
static SLIST_HEAD(, free_stack) kept = SLIST_HEAD_INITIALIZER(kept); /* kmap_lock */
static unsigned kept_count;                                          /* kmap_lock */
static vaddr_t stack_next = STACK_AREA;                              /* kmap_lock */
static vaddr_t device_next = DEVICE_AREA;                            /* kmap_lock */

/* Slots whose frames were given back, as a list through an array: slot number + 1, 0 ends it. */
static uint16_t slot_next[SLOTS_MAX]; /* kmap_lock */
static uint16_t slot_free;            /* kmap_lock */

static unsigned slot_of(vaddr_t base)
{
	return (unsigned)((base - STACK_AREA) / STACK_STRIDE);
}

static vaddr_t take_slot(void)
{
	vaddr_t base = 0;

	spin_lock(&kmap_lock);
	if (slot_free) {
		base = STACK_AREA + (slot_free - 1u) * STACK_STRIDE;
		slot_free = slot_next[slot_free - 1u];
	} else if (slot_of(stack_next) < SLOTS_MAX) {
		base = stack_next;
		stack_next += STACK_STRIDE;
	}
	spin_unlock(&kmap_lock);
	return base;
}

static void return_slot(vaddr_t base)
{
	unsigned slot = slot_of(base);

	spin_lock(&kmap_lock);
	slot_next[slot] = slot_free;
	slot_free = (uint16_t)(slot + 1);
	spin_unlock(&kmap_lock);
}

static void unmap_stack(vaddr_t base, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		frame_put(frame_of(kernel_unmap_page(base + i * PAGE_SIZE)));
	return_slot(base);
}

vaddr_t kstack_alloc(void)
{
	struct free_stack *stack;
	vaddr_t base;

	spin_lock(&kmap_lock);
	stack = SLIST_FIRST(&kept);
	if (stack) {
		SLIST_REMOVE_HEAD(&kept, link);
		kept_count--;
	}
	spin_unlock(&kmap_lock);
	if (stack)
		return (vaddr_t)stack;

	base = take_slot();
	if (!base)
		return 0;
	for (unsigned i = 0; i < STACK_PAGES; i++) {
		/*
		 * Zeroed for QEMU's sake: where firmware has once run code in the page, it would look for
		 * that at each write, a hundred times slower, until all of the page has been written.
		 */
		struct frame *frame = frame_alloc(FRAME_STACK, 0, FRAME_ZERO);
		if (frame && kernel_map_page(base + i * PAGE_SIZE, frame_paddr(frame),
					     KERNEL_MAP_WRITE) == 0)
			continue;
		if (frame)
			frame_put(frame);
		unmap_stack(base, i);
		return 0;
	}
	return base;
}

void kstack_free(vaddr_t base)
{
	struct free_stack *stack = (struct free_stack *)base;
	bool keep;

	spin_lock(&kmap_lock);
	keep = kept_count < STACKS_KEPT;
	if (keep) {
		SLIST_INSERT_HEAD(&kept, stack, link);
		kept_count++;
	}
	spin_unlock(&kmap_lock);
	if (!keep)
		unmap_stack(base, STACK_PAGES);
}

void kstack_drain(void)
{
	for (;;) {
		struct free_stack *stack;

		spin_lock(&kmap_lock);
		stack = SLIST_FIRST(&kept);
		if (stack) {
			SLIST_REMOVE_HEAD(&kept, link);
			kept_count--;
		}
		spin_unlock(&kmap_lock);
		if (!stack)
			return;
		unmap_stack((vaddr_t)stack, STACK_PAGES);
	}
}

static void *map_device(paddr_t address, size_t length, unsigned flags)
{
	uint64_t offset = address & PAGE_MASK;
	uint64_t size;
	paddr_t end;
	vaddr_t base;

	/* An address that does not fit into a PTE would fault with reserved bits set. */
	if (length == 0 || __builtin_add_overflow(offset + PAGE_MASK, length, &size) ||
	    __builtin_add_overflow(address, length, &end) ||
	    end > UINT64_C(1) << cpu_features.physical_bits)
		return NULL;
	size = ALIGN_DOWN(size, PAGE_SIZE);
	spin_lock(&kmap_lock);
	base = device_next;
	if (size > KMAP_BASE + KMAP_SIZE - device_next)
		base = 0;
	else
		device_next += size;
	spin_unlock(&kmap_lock);
	if (!base)
		return NULL;
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		if (kernel_map_page(base + at, address - offset + at, flags) < 0)
			return NULL;
	return (void *)(base + offset);
}

void *mmio_map(paddr_t address, size_t length)
{
	return map_device(address, length, KERNEL_MAP_WRITE | KERNEL_MAP_UNCACHED);
}

const void *firmware_map(paddr_t address, size_t length)
{
	return map_device(address, length, 0);
}
