/*
 * mm/x86_64/tlb.c - what processors remember of page tables, and making them forget.
 *
 * A pmap's generation is raised by every flush. A CPU remembers the generation up to which its TLB is in
 * step; if it comes back to the table it still has loaded (after a kernel thread, which borrows whatever
 * is loaded) and no flush happened meanwhile, nothing is done. A flush of a pmap that is loaded nowhere
 * only raises the generation: loading CR3 forgets all of the user half anyway.
 */
#include "mm/pmap.h"

#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "mm/x86_64/kernel_map.h"

#define FLUSH_SINGLE 32 /* pages; above that reloading CR3 is cheaper */

static struct {
	_Atomic uint64_t flushes, avoided;
} counters;

/* Forgets on this CPU; interrupts off. */
static void flush_local(vaddr_t start, vaddr_t end)
{
	if ((end - start) / PAGE_SIZE > FLUSH_SINGLE) {
		write_cr3(read_cr3());
		return;
	}
	for (; start < end; start += PAGE_SIZE)
		invlpg(start);
}

void pmap_flush(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	uint64_t generation, others;
	struct cpu *cpu;

	irq_push_off();
	cpu = this_cpu();
	generation = atomic_fetch_add(&pmap->generation, 1) + 1;
	others = atomic_load(&pmap->cpus) & ~(UINT64_C(1) << cpu->number);
	if (cpu->pmap == pmap) {
		flush_local(start, end);
		cpu->pmap_generation = generation;
		atomic_fetch_add_explicit(&counters.flushes, 1, memory_order_relaxed);
	} else {
		atomic_fetch_add_explicit(&counters.avoided, 1, memory_order_relaxed);
	}
	irq_pop_off();
	assert(others == 0); /* only the boot CPU runs: there is nobody to shoot down */
}

void pmap_activate(struct pmap *pmap)
{
	struct cpu *cpu = this_cpu();
	uint64_t bit = UINT64_C(1) << cpu->number;
	uint64_t generation;

	if (cpu->pmap == pmap &&
	    (!pmap || cpu->pmap_generation == atomic_load(&pmap->generation))) {
		atomic_fetch_add_explicit(&counters.avoided, 1, memory_order_relaxed);
		return;
	}
	if (!pmap) {
		write_cr3(kernel_root);
	} else {
		/* Into the mask first: a flush from now on either sees us or is seen by the load. */
		atomic_fetch_or(&pmap->cpus, bit);
		generation = atomic_load(&pmap->generation);
		write_cr3(frame_paddr(pmap->root));
		cpu->pmap_generation = generation;
	}
	if (cpu->pmap && cpu->pmap != pmap)
		atomic_fetch_and(&cpu->pmap->cpus, ~bit);
	cpu->pmap = pmap;
	atomic_fetch_add_explicit(&counters.flushes, 1, memory_order_relaxed);
}

void pmap_get_stats(struct pmap_stats *out)
{
	*out = (struct pmap_stats){
		.flushes = atomic_load(&counters.flushes),
		.flushes_avoided = atomic_load(&counters.avoided),
	};
}

/* --- pages by their physical address ---------------------------------------------------------- */

void pmap_zero_frames(struct frame *frames, uint64_t count)
{
	memset(frame_data(frames), 0, count * PAGE_SIZE);
}

void pmap_copy_frame(struct frame *to, paddr_t from)
{
	memcpy(frame_data(to), phys_to_virt(from), PAGE_SIZE);
}
